"""The gate: which requests are served, and what every response has."""

from __future__ import annotations

import gzip

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from cloud_keystore.http.bodies import LARGEST_BODY
from cloud_keystore.model.limits import Limits, with_limits
from cloud_keystore.web.gate import FIELDS
from cloud_keystore.web.origins import is_own
from support.keystore_world import World
from support.site import ORIGIN, ask, site

ENROLMENTS = "/authenticator/v1/enrolments"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/authenticator", 200), ("/nothing", 404), ("/assets/cloudcard.css", 200)],
)
def test_every_response_keeps_the_browser_to_our_pages(
    world: World, path: str, status: int
) -> None:
    told = ask(site(world), "GET", path)
    assert told.status == status
    for name, value in FIELDS.items():
        assert told.fields[name.lower()] == value
    policy = told.fields["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any(word in told.fields["content-security-policy"] for word in ("unsafe", "nonce"))
    assert told.fields["strict-transport-security"] == "max-age=31536000"
    assert told.fields["cache-control"] == ("public, no-cache" if "assets" in path else "no-store")


def test_without_tls_browsers_are_not_told_to_want_it(world: World) -> None:
    told = ask(site(world), "GET", "/", {"host": "localhost:8080"})
    assert "strict-transport-security" not in told.fields


@pytest.mark.parametrize("host", ["", "evil.example", "cards.example.org.evil.example", "cards"])
def test_pages_are_at_our_addresses_alone(world: World, host: str) -> None:
    told = ask(site(world), "GET", "/", {"host": host})
    assert told.status == 421
    assert "evil" not in told.body.decode()


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://cards.example.org"},
        {"origin": ORIGIN + ".evil.example"},
    ],
)
def test_pages_of_others_change_nothing(world: World, sent: dict[str, str]) -> None:
    assert ask(site(world), "POST", ENROLMENTS, sent, b"{}").status == 403


def test_who_says_nothing_of_its_page_changes_nothing() -> None:
    assert not is_own("POST", ORIGIN, {})
    assert not is_own("POST", ORIGIN, {"sec-fetch-site": "none"})
    assert not is_own("POST", ORIGIN, {"sec-fetch-site": "same-site"})
    assert is_own("POST", ORIGIN, {"sec-fetch-site": "same-origin"})
    assert is_own("GET", ORIGIN, {"origin": "https://evil.example"})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(world: World, method: str) -> None:
    assert ask(site(world), method, "/").status == 405


def test_a_page_cannot_be_posted_to(world: World) -> None:
    assert ask(site(world), "POST", "/authenticator", {}, b"{}").status == 405


def test_a_large_body_is_refused(world: World) -> None:
    told = ask(site(world), "POST", ENROLMENTS, {}, b"x" * (LARGEST_BODY + 1))
    assert (told.status, told.kind) == (413, "content-too-large")


def test_an_address_asks_for_so_much(world: World) -> None:
    pages = site(world, with_limits(Limits(), ["web=1/2"]))
    assert [ask(pages, "GET", "/").status for _ in range(3)] == [200, 200, 429]
    told = ask(pages, "GET", "/")
    assert told.fields["retry-after"] == "1"
    assert "Too many requests" in told.body.decode()


def test_behind_a_proxy_each_browser_has_an_address_of_its_own(world: World) -> None:
    pages = site(world, with_limits(Limits(), ["web=1/1"]))
    assert ask(pages, "GET", "/", {"x-forwarded-for": "192.0.2.7"}).status == 200
    # This connection is not from a proxy on this computer, so what it says is not believed.
    assert ask(pages, "GET", "/", {"x-forwarded-for": "192.0.2.8"}).status == 429


def test_a_proxy_here_says_last_whose_a_request_is(world: World) -> None:
    """The attack: what the browser itself says of that comes before it."""
    pages = site(world, with_limits(Limits(), ["web=1/1"]))

    async def near(scope: Scope, receive: Receive, send: Send) -> None:
        await pages({**scope, "client": ("127.0.0.1", 1234)}, receive, send)

    def told(said: str) -> int:
        return ask(near, "GET", "/", {"x-forwarded-for": said}).status

    assert [told("192.0.2.7"), told("192.0.2.8")] == [200, 200]
    assert [told("198.51.100.1, 192.0.2.7"), told("nobody,192.0.2.8")] == [429, 429]
    assert told("192.0.2.7, 192.0.2.9") == 200


def test_an_error_is_a_page_with_a_number_of_the_log(world: World) -> None:
    with capture_logs() as logs:
        told = ask(site(world), "GET", "/<script>alert(1)</script>")
    assert told.status == 404
    assert "<script>alert" not in told.body.decode()
    assert told.fields["x-request-id"][:8] in told.body.decode()
    assert [each["status"] for each in logs if each["event"] == "request"] == [404]


def test_a_script_is_told_problems(world: World) -> None:
    told = ask(site(world), "GET", "/authenticator/v1/nothing")
    assert told.fields["content-type"] == "application/problem+json"


def test_what_a_cache_has_is_not_sent_again(world: World) -> None:
    pages = site(world)
    told = ask(pages, "GET", "/assets/cloudcard.css")
    assert told.fields["content-type"].startswith("text/css")
    again = ask(pages, "GET", "/assets/cloudcard.css", {"if-none-match": told.fields["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/cloudcard.css", "/authenticator"])
def test_a_browser_that_unpacks_gets_less(world: World, path: str) -> None:
    pages = site(world)
    whole, packed = (
        ask(pages, "GET", path, {"accept-encoding": accepted}) for accepted in ("br", "br, gzip")
    )
    assert "content-encoding" not in whole.fields
    assert packed.fields["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == whole.body
    assert packed.fields["content-length"] == str(len(packed.body))
    assert packed.fields["vary"] == whole.fields["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path", ["/assets/../pages.py", "/assets/vendor/SHA256SUMS", "/assets/%2e%2e/pages.py"]
)
def test_no_other_file_is_served(world: World, path: str) -> None:
    assert ask(site(world), "GET", path).status == 404
