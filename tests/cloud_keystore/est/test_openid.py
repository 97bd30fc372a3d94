"""A process without keys asks an OpenID provider: over real connections, and as others break it."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from cloud_keystore.est.openid import EXCHANGE_SECONDS, PAUSE_SECONDS, WELL_KNOWN, Openid
from cloud_keystore.model.rights.oidc import (
    LEASE_TIME,
    OidcAnswer,
    OidcErrand,
    OidcTerms,
    ProviderFacts,
)

SECRET = "s3cret+/"
ERRAND = OidcErrand("id", 1, "https://cards.example.org/back", "the-code", "the-verifier")


@dataclass
class Custody:
    """What is asked for, and what was brought."""

    errands: list[OidcErrand] = field(default_factory=list)
    facts: list[ProviderFacts] = field(default_factory=list)
    answers: list[OidcAnswer] = field(default_factory=list)
    told_with: list[int] = field(default_factory=list)  # how much it had learnt at each answer

    def learn(self, facts: ProviderFacts) -> None:
        self.facts.append(facts)

    def take(self) -> Sequence[OidcErrand]:
        taken, self.errands = self.errands, []
        return taken

    def tell(self, own_id: str, tries: int, answer: OidcAnswer) -> None:
        assert (own_id, tries) == ("id", 1)
        self.answers.append(answer)
        self.told_with.append(len(self.facts))


class Provider(ThreadingHTTPServer):
    """Answers by a table of paths; each request is kept."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}/realm"
        self.heard: list[tuple[str, str, dict[str, list[str]]]] = []
        self.said: dict[str, tuple[int, bytes]] = {}
        self.say(f"/realm{WELL_KNOWN}", self.facts())
        self.say("/keys", {"keys": [{"kid": "a"}]})
        self.say("/token", {"id_token": "a", "access_token": "access"})
        self.goes_on = threading.Event()
        self.is_slow = False

    def facts(self, **changed: object) -> dict[str, object]:
        at = f"http://127.0.0.1:{self.server_port}"
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/keys",
            **changed,
        }

    def say(self, path: str, what: object, status: int = 200) -> None:
        raw = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.said[path] = (status, raw)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Provider

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        if self.server.is_slow:
            self.server.goes_on.wait(60)
        form = parse_qs(body.decode())
        self.server.heard.append((self.path, self.headers.get("Authorization", ""), form))
        status, raw = self.server.said.get(self.path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/token")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_said: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.goes_on.set()
        made.shutdown()
        thread.join()


@dataclass
class Clock:
    """Time that tests let pass."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Asker:
    """The process, portion by portion."""

    openid: Openid
    custody: Custody
    clock: Clock
    runner: asyncio.Runner

    def ask(self, *errands: OidcErrand) -> Custody:
        self.custody.errands = list(errands)
        self.runner.run(self.openid.ask(asyncio.Event()))
        return self.custody

    def why(self) -> str:
        """What comes of one errand that fails."""
        (answer,) = self.ask(ERRAND).answers
        assert answer.token == ""
        return answer.why


@pytest.fixture
def asker(provider: Provider) -> Iterator[Asker]:
    custody, clock = Custody(), Clock()
    terms = OidcTerms(provider.issuer, "key+store", "/nowhere")
    tls = ssl.create_default_context()
    openid = Openid(custody, terms, SECRET, tls, lambda token: token, 60.0, monotonic=clock)
    with asyncio.Runner() as runner:
        yield Asker(openid, custody, clock, runner)


def test_a_code_is_exchanged(asker: Asker, provider: Provider) -> None:
    """By client_secret_basic, with the verifier; what is known is not asked twice."""
    asker.ask()
    custody = asker.ask(ERRAND, ERRAND)
    assert custody.answers == [OidcAnswer("a", "access")] * 2
    (facts,) = custody.facts
    assert (facts.issuer, json.loads(facts.keys)) == (provider.issuer, {"keys": [{"kid": "a"}]})
    assert facts.authorization_endpoint.endswith("/authorize")
    assert not facts.names_itself
    paths = [each[0] for each in provider.heard]
    assert paths == [f"/realm{WELL_KNOWN}", "/keys", "/token", "/token"]
    _, basic, form = provider.heard[-1]
    assert basic == "Basic a2V5JTJCc3RvcmU6czNjcmV0JTJCJTJG"
    assert form == {
        "grant_type": ["authorization_code"],
        "code": ["the-code"],
        "redirect_uri": [ERRAND.redirect_uri],
        "code_verifier": ["the-verifier"],
    }
    assert SECRET not in repr(asker.openid)


def test_a_provider_that_takes_forms_alone(asker: Asker, provider: Provider) -> None:
    methods = ["private_key_jwt", "client_secret_post"]
    facts = provider.facts(
        token_endpoint_auth_methods_supported=methods,
        authorization_response_iss_parameter_supported=True,
    )
    provider.say(f"/realm{WELL_KNOWN}", facts)
    custody = asker.ask(ERRAND)
    assert custody.facts[0].names_itself
    _, basic, form = provider.heard[-1]
    assert (basic, form["client_id"], form["client_secret"]) == ("", ["key+store"], [SECRET])


def test_a_new_key_is_looked_for_once_in_a_while(asker: Asker, provider: Provider) -> None:
    """However many tokens name keys that there are not."""
    provider.say("/token", {"id_token": "b"})
    asker.ask(ERRAND)
    asker.ask(ERRAND, ERRAND)
    assert len(asker.custody.facts) == 1
    asker.clock.now += PAUSE_SECONDS
    provider.say("/keys", {"keys": [{"kid": "b"}]})
    asker.ask(ERRAND, ERRAND)
    assert len(asker.custody.facts) == 2
    asker.clock.now += PAUSE_SECONDS
    asker.ask(ERRAND)
    assert len(asker.custody.facts) == 2


def test_log_ins_wait_for_the_key_that_one_of_them_looks_for(
    asker: Asker, provider: Provider
) -> None:
    """None is told to custody before custody knows the key that has signed it."""
    asker.ask()
    asker.clock.now += PAUSE_SECONDS
    provider.say("/token", {"id_token": "b"})
    provider.say("/keys", {"keys": [{"kid": "b"}]})
    asker.ask(ERRAND, ERRAND, ERRAND)
    assert asker.custody.told_with == [2, 2, 2]


def test_a_provider_is_asked_again_each_hour(asker: Asker) -> None:
    asker.ask()
    asker.clock.now += 3601
    asker.ask()
    assert len(asker.custody.facts) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example.org"},
        {"token_endpoint": "http://evil.example.org/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"token_endpoint_auth_methods_supported": ["none"]},
        {"token_endpoint_auth_methods_supported": "client_secret_basic"},
    ],
)
def test_what_a_provider_says_of_itself_has_to_make_sense(
    asker: Asker, provider: Provider, changed: dict[str, object]
) -> None:
    provider.say(f"/realm{WELL_KNOWN}", provider.facts(**changed))
    assert "does not say where" in asker.why()
    assert asker.custody.facts == []


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"[" * 100_000, b"x" * 200_000, b'{"keys": 1}', b'{"keys": [1]}']
)
@pytest.mark.parametrize("path", [f"/realm{WELL_KNOWN}", "/keys"])
def test_malformed_and_huge_answers_are_none(
    asker: Asker, provider: Provider, path: str, raw: bytes
) -> None:
    provider.say(path, raw)
    asker.ask()
    assert asker.custody.facts == []


def test_keys_are_bounded(asker: Asker, provider: Provider) -> None:
    provider.say("/keys", {"keys": [{"kid": "k" * 70_000}]})
    asker.ask()
    assert asker.custody.facts == []


@pytest.mark.parametrize(
    ("status", "raw", "why"),
    [
        (400, b'{"error": "invalid_grant"}', "does not take the code"),
        (401, b"", "does not take the code"),
        (500, b"", "answers 500, which is not followed"),
        (302, b"", "answers 302, which is not followed"),
        (200, b"{}", "gives no ID token"),
        (200, b'{"id_token": 1}', "gives no ID token"),
        (200, json.dumps({"id_token": "t" * 20_000}).encode(), "gives no ID token"),
        (200, b"nothing", "does not answer in JSON"),
        (200, b"x" * 200_000, "does not answer as one does"),
    ],
)
def test_why_there_is_no_token_is_told(
    asker: Asker, provider: Provider, status: int, raw: bytes, why: str
) -> None:
    provider.say("/token", raw, status)
    assert why in asker.why()


def test_a_provider_that_is_silent_is_not_waited_for(asker: Asker, provider: Provider) -> None:
    asker.ask()
    provider.is_slow = True
    asker.openid.step_seconds = 0.2
    assert "does not answer in time" in asker.why()


def test_an_exchange_is_over_before_somebody_else_has_it(asker: Asker, provider: Provider) -> None:
    """However many questions it takes, of which each is answered in time."""
    assert LEASE_TIME.total_seconds() > EXCHANGE_SECONDS
    asker.ask()
    provider.is_slow = True
    asker.openid.exchange_seconds = 0.2
    assert "does not answer in time" in asker.why()


def test_a_provider_that_is_down(asker: Asker, provider: Provider) -> None:
    asker.ask()
    provider.shutdown()
    provider.server_close()
    asker.openid.step_seconds = 60.0
    assert "not reached" in asker.why() or "as one does" in asker.why()


def test_a_process_that_stops_tells_so(asker: Asker) -> None:
    async def stopped() -> None:
        stop = asyncio.Event()
        stop.set()
        await asker.openid.ask(stop)

    asker.custody.errands = [ERRAND]
    asyncio.run(stopped())
    (answer,) = asker.custody.answers
    assert "stopping" in answer.why
