"""The port at which browsers show cards, over real TLS: what it takes for a card, and from whom."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import quote
from warnings import catch_warnings, simplefilter

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloud_keystore.config import Address, Settings, Web
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.limits import Limits
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.people.rights.card_log_ins import CardLogIns
from cloud_keystore.pki import issuers
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.pki.building import begin, ca, named
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.cards import CardPort
from cloud_keystore.run.faces.own_tls import certificate
from cloud_keystore.run.offering import access
from cloud_keystore.run.offering.card_log_ins import CARDS, CardUseCases
from cloud_keystore.web.proofs import encoded
from cloudcard_tools.demo.stage import free_ports
from support.authority import Authority

BROWSER = encoded(b"\x01" * 32)
CODE = "cccard_" + "A" * 100
PATH = f"/?for={BROWSER}&next=/ra/people"
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
CODE_FIELD = re.compile(r'name="code" value="([^"]*)"')


@dataclass
class Custody:
    """What custody says, and what it was asked."""

    trusted_ones: tuple[bytes, ...]
    why: str = ""
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)

    def trusted(self) -> tuple[bytes, ...]:
        return self.trusted_ones

    def make_code(self, certificate: bytes, browser: bytes) -> str:
        self.asked.append((certificate, browser))
        if self.why:
            raise TokenRejected(self.why)
        return CODE


@dataclass(frozen=True, slots=True)
class Told:
    """What a browser got."""

    status: int
    head: str
    body: str

    @property
    def code(self) -> str:
        found = CODE_FIELD.search(self.body)
        return "" if found is None else found[1]


@dataclass
class Desk:
    """A browser before the port."""

    custody: Custody
    authority: issuers.Authority
    server: Path
    folder: Path
    port: int
    back: str

    def card(
        self, issuer: issuers.Authority | None = None, usage: x509.ObjectIdentifier = CLIENT
    ) -> tuple[Path, bytes]:
        """Key and certificate in a file, as TLS needs them, and the certificate."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        by, file = issuer or self.authority, self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        builder = begin(named("Olga"), key.public_key(), by, now, timedelta(days=1))
        made = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(
            by.private, SHA256()
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + made.public_bytes(Encoding.PEM))
        return file, made.public_bytes(Encoding.DER)

    def tls(self, card: Path | None = None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(self.server))
        if card is not None:
            made.load_cert_chain(card)
        return made

    def get(
        self,
        card: Path | None = None,
        path: str = PATH,
        method: str = "GET",
        context: ssl.SSLContext | None = None,
        **sent: str,
    ) -> Told:
        """Ask once over a new connection, and read to its end."""
        with self.connected(context or self.tls(card)) as own:
            return exchanged(own, method, path, self.port, sent)

    @contextmanager
    def connected(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as own,
        ):
            yield own


def exchanged(
    connection: socket.socket, method: str, path: str, port: int, sent: Mapping[str, str]
) -> Told:
    fields = {"Host": f"localhost:{port}", **{k.replace("_", "-"): v for k, v in sent.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while part := connection.recv(65536):
        answer += part
    if not answer:
        raise ConnectionResetError("there is no answer")
    head, _, body = answer.decode().partition("\r\n\r\n")
    return Told(int(head.split()[1]), head.lower(), body)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The port in a thread of its own."""
    now, (web, cards) = datetime.now(UTC), free_ports(2)
    authority = ca("Cards", ec.generate_private_key(ec.SECP256R1()), now)
    custody = Custody((authority.der,))
    server = Authority()
    pem, trust = server.write_server(tmp_path), server.write(tmp_path)
    at = Web(Address("127.0.0.1", web), pem, pem, Address("127.0.0.1", cards))
    settings = Settings(tmp_path, public_host="localhost", web=at)
    own = tmp_path / "cards"
    own.mkdir()
    made = Desk(custody, authority, trust, own, cards, f"https://localhost:{web}")
    with serving(settings, custody):
        yield made


@contextmanager
def serving(settings: Settings, custody: Custody) -> Iterator[None]:
    """The port for the time of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    metrics = Metrics()
    limiter = Limiter(Limits(), time.monotonic, metrics)
    cases = CardUseCases(cast(Announcing, None), cast(CardLogIns, custody))
    starting = CardPort.start(settings, cases, certificate(settings.web), limiter, metrics, utc_now)
    try:
        port = asyncio.run_coroutine_threadsafe(starting, loop).result(60)
        yield
        asyncio.run_coroutine_threadsafe(port.close(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_the_card_of_the_connection_gets_a_code(desk: Desk) -> None:
    """The form brings it to the pages alone, in its body; the connection ends with the answer."""
    file, der = desk.card()
    told = desk.get(file)
    assert (told.status, told.code) == (200, CODE)
    assert desk.custody.asked == [(der, b"\x01" * 32)]
    assert f'action="{desk.back}/ra/log-in/card/code"' in told.body
    assert f"form-action {desk.back};" in told.head
    assert "connection: close" in told.head
    assert "referrer-policy: origin" in told.head
    assert CODE.lower() not in told.head
    # Nothing that a browser fetches by another connection, which would use the card again.
    assert not re.search(r'(src|href)="(?!data:,)', told.body)


def test_whoever_shows_no_card_is_told_what_to_do(desk: Desk) -> None:
    told = desk.get()
    assert (told.status, told.code) == (403, "")
    assert "Your browser has shown no card" in told.body
    assert f'href="{desk.back}/ra/log-in/card"' in told.body
    assert desk.custody.asked == []


def test_a_refusal_is_told(desk: Desk) -> None:
    desk.custody.why = "this card is <b>suspended</b>"
    told = desk.get(desk.card()[0])
    assert (told.status, told.code) == (403, "")
    assert "This card is &lt;b&gt;suspended&lt;/b&gt;." in told.body


def test_certificates_of_others_end_the_handshake(desk: Desk) -> None:
    """Another authority's, one's own, and one for another purpose."""
    other = ca("Cards", ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC))
    for file, _ in (
        desk.card(other),
        desk.card(usage=ExtendedKeyUsageOID.SERVER_AUTH),
        desk.card(usage=ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ):
        with pytest.raises(OSError):  # noqa: PT011 (as the client notices)
            desk.get(file)
    assert desk.custody.asked == []


def test_header_fields_say_nothing_of_cards(desk: Desk) -> None:
    """Those in which proxies forward certificates; and what a request says of itself."""
    _, der = desk.card()
    pem = ssl.DER_cert_to_PEM_cert(der).replace("\n", " ")
    told = desk.get(
        X_SSL_Client_Cert=pem,
        X_Forwarded_Client_Cert=f'Cert="{pem}"',
        Client_Cert=f":{base64.b64encode(der).decode()}:",
        Ssl_Client_Verify="SUCCESS",
        Cloudcard_Certificate=der.hex(),
    )
    assert (told.status, desk.custody.asked) == (403, [])


def test_plain_http_is_not_answered(desk: Desk) -> None:
    with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as plain:
        plain.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost:{desk.port}\r\n\r\n".encode())
        assert b"HTTP" not in plain.recv(1000)
    assert desk.custody.asked == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_not_resumed_without_the_card(desk: Desk, version: ssl.TLSVersion) -> None:
    """Whoever has taken the card out shows none."""
    context = desk.tls(desk.card()[0])
    context.minimum_version = context.maximum_version = version
    with desk.connected(context) as own:
        assert exchanged(own, "GET", PATH, desk.port, {}).code == CODE
        session = own.session
    with desk.connected(context, session) as again:
        told = exchanged(again, "GET", PATH, desk.port, {})
        # Else the card has signed once more.
        assert told.code == ("" if again.session_reused else CODE)


def test_old_versions_of_tls_are_refused(desk: Desk) -> None:
    context = desk.tls(desk.card()[0])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):  # noqa: PT011 (as the client notices)
        desk.get(context=context)


def test_it_leads_back_to_our_pages_alone(desk: Desk) -> None:
    file, _ = desk.card()
    for wanted in ("https://evil.example/", "//evil.example", '/ra"><script>', "/me"):
        told = desk.get(file, f"/?for={BROWSER}&next={quote(wanted, safe='')}")
        assert told.code == CODE
        assert f'name="next" value="{wanted}"' not in told.body
        assert "evil" not in told.body
        assert "<script" not in told.body


@pytest.mark.parametrize("query", ["", "?for=", "?for=%", "?for=a", "?next=/ra"])
def test_what_no_page_of_ours_sends_gets_no_code(desk: Desk, query: str) -> None:
    desk.custody.why = "begin again"
    assert desk.get(desk.card()[0], f"/{query}").code == ""


def test_it_has_one_page_and_one_name(desk: Desk) -> None:
    file, _ = desk.card()
    assert desk.get(file, "/ra/log-in").status == 404
    assert desk.get(file, method="POST", Content_Length="0").status == 403
    assert desk.get(file, method="DELETE").status == 405
    assert desk.get(file, Host="evil.example").status == 421
    assert desk.custody.asked == []


def test_cards_are_not_tried_for_long(desk: Desk) -> None:
    file, _ = desk.card()
    desk.custody.why = "unknown"
    assert 429 in [desk.get(file).status for _ in range(40)]


def test_no_other_process_says_which_card_was_shown() -> None:
    """Neither that of the pages, nor those of other ports; and this one begins no visit."""
    tables = (access.MAIN, access.ENROLMENT, access.STATUS, access.REST, access.WEB, access.EST)
    for table in (*tables, access.MAIL, access.OUTSIDE):
        assert not {"card_log_ins.make_code", "card_log_ins.trusted"} & table.keys()
    assert CARDS.keys() == {"announcing.certify", "card_log_ins.trusted", "card_log_ins.make_code"}
