"""The pages behind a real nginx, as docs/web.md has both: a browser sees what it sees without one,
and nobody gets another's share by what they say of themselves.
"""

from __future__ import annotations

import base64
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import expect, sync_playwright

from cloud_keystore.web.ra.visiting import AREA, CARD, LOG_IN
from cloudcard.registry.v1 import identities_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support import proxy
from support.keystore_process import KeystoreProcess
from support.page_holders import DIGEST, held
from support.pages import DESK, FLAGS, Site
from support.proxy import HOST
from support.visitor import FORM, TOKEN

ORIGIN = f"https://{HOST}"
FLOODING, OTHER, WRONG = "127.0.0.2", "127.0.0.3", "127.0.0.4"
TRIES = 20  # of one address, and hardly another one while the tests run


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    head: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Proxied:
    """A keystore whose pages are behind a proxy, and a browser for which that is at port 443."""

    site: Site
    port: int
    cards: int
    trust: ssl.SSLContext

    def ask(
        self, path: str, form: Mapping[str, str] | None = None, source: str = WRONG, **sent: str
    ) -> Told:
        """What is answered to an address of this computer, to a form or to none; `sent` is what
        the request says beyond that, or otherwise.
        """
        head = {"Host": HOST, "Origin": ORIGIN, **FORM}
        head |= {name.replace("_", "-"): value for name, value in sent.items()}
        body = None if form is None else urlencode(form)
        asking = HTTPSConnection(
            "localhost", self.port, timeout=60, source_address=(source, 0), context=self.trust
        )
        with closing(asking):
            asking.request("GET" if form is None else "POST", path, body, head)
            told = asking.getresponse()
            return Told(told.status, dict(told.getheaders()), told.read().decode())

    def code(self) -> str:
        """A code for the log-in of the first operator."""
        identities = self.site.keystore.registry.identities
        made = identities.CreateVisitCode(identities_pb2.CreateVisitCodeRequest())
        assert made.address == f"{ORIGIN}{LOG_IN}"
        return str(made.code)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    (cards,) = free_ports(1)
    with Nursery(folder / "logs") as nursery, sync_playwright() as playwright:
        front = proxy.start(nursery, folder, at_usual_port=True)
        flags = [
            *FLAGS,
            f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{front.port}",
            f"--ignore-certificate-errors-spki-list={pin(front.certificate)}",
        ]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        try:
            shown = ("--web-cards", f"127.0.0.1:{cards}")
            limit = ("--limit", f"enrolment=0.001/{TRIES}")
            keystore = KeystoreProcess(folder, nursery, (*front.options, *shown, *limit))
            trust = ssl.create_default_context(cafile=str(front.authority))
            site = Site(keystore, ORIGIN, browser, folder / "camera.mjpeg")
            yield Proxied(site, front.port, cards, trust)
        finally:
            browser.close()


def pin(pem: Path) -> str:
    """The key by which a browser knows a server."""
    _, _, certificate = pem.read_bytes().partition(b"-----END PRIVATE KEY-----")
    public = x509.load_pem_x509_certificate(certificate).public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(sha256(spki).digest()).decode()


def test_an_operator_works_behind_it(proxied: Proxied) -> None:
    """Log-in by code, a page, and a form with its token; the browser keeps the visit's secret for
    this host by TLS alone.
    """
    with proxied.site.page(DESK["width"]) as page:
        page.goto(f"{ORIGIN}/ra")
        page.get_by_label("Code").fill(proxied.code())
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="People")).to_be_visible()
        page.get_by_role("button", name="Add a person").click()
        page.get_by_label("Full name").fill("Cy Cole")
        page.get_by_role("button", name="Add the person").click()
        expect(page.get_by_role("heading", name="Cy Cole is added")).to_be_visible()
        (kept,) = (each for each in page.context.cookies() if each["name"] == AREA.cookie)
        assert AREA.cookie.startswith("__Host-")
        assert (kept["secure"], kept["httpOnly"], kept["sameSite"]) == (True, True, "Lax")


def test_a_phone_is_told_at_once_behind_it(proxied: Proxied) -> None:
    """AUTH-01: the stream of requests is not held up, and what is approved is signed."""
    with held(proxied.site, "Ada Byron") as ada:
        made = ada.ask()
        ada.page.get_by_label("Number on the workstation's screen").fill(made.number)
        ada.page.get_by_role("button", name="Approve").click()
        expect(ada.page.get_by_role("heading", name="Approved")).to_be_visible()
        ada.verify(ada.workstation.perform(made.id, DIGEST))


def test_forms_of_others_are_refused_behind_it(proxied: Proxied) -> None:
    """For another host, of another site, and without the token of the visit's forms."""
    code = proxied.code()
    for status, sent in (
        (421, {"Host": "evil.example.org", "Origin": "https://evil.example.org"}),
        (421, {"Host": "evil.example.org", "X_Forwarded_Host": HOST}),
        (403, {"Origin": "https://evil.example.org"}),
    ):
        assert proxied.ask(LOG_IN, {"code": code}, **sent).status == status
    entered = proxied.ask(LOG_IN, {"code": code})
    assert entered.status == 303
    assert entered.head["strict-transport-security"]
    cookie, _, attributes = entered.head["set-cookie"].partition("; ")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} < set(attributes.split("; "))
    assert proxied.ask("/ra/add", {"name": "Eve"}, Cookie=cookie).status == 403
    found = TOKEN.search(proxied.ask("/ra/people", Cookie=cookie).body)
    assert found is not None
    leaving = proxied.ask("/ra/log-out", {"form_token": found[1]}, Cookie=cookie)
    assert leaving.status == 303


def test_addresses_are_those_of_clients_behind_it(proxied: Proxied) -> None:
    """The attack: another address, which is said to be one's own, with each try, or somebody
    else's, who would be shut out.
    """
    said = (
        {"X_Forwarded_For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}
        if number % 2
        else {"X_Forwarded_For": f"{OTHER}, {OTHER}", "X_Real_IP": OTHER}
        for number in range(TRIES)
    )
    told = [proxied.ask(LOG_IN, {"code": "1"}, FLOODING, **sent).status for sent in said]
    assert 429 not in told
    assert proxied.ask(LOG_IN, {"code": "1"}, FLOODING).status == 429
    assert proxied.ask(LOG_IN, {"code": "1"}, FLOODING, X_Forwarded_For=OTHER).status == 429
    assert proxied.ask(LOG_IN, {"code": "1"}, OTHER).status == told[0]


def test_cards_are_shown_beside_it(proxied: Proxied) -> None:
    """At the port of cards itself, from where the way leads back to the proxy."""
    to = proxied.ask(CARD).head["location"]
    assert to.startswith(f"https://{HOST}:{proxied.cards}/?for=")
    known = proxied.site.keystore.folder / "operator" / "ca.pem"
    asking = HTTPSConnection(
        "localhost",
        proxied.cards,
        timeout=60,
        context=ssl.create_default_context(cafile=str(known)),
    )
    with closing(asking):
        asking.request("GET", to.removeprefix(f"https://{urlsplit(to).netloc}"))
        told = asking.getresponse()
        assert told.status == 403
        assert f'href="{ORIGIN}{CARD}"' in told.read().decode()
