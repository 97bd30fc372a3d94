"""A client of EST (RFC 7030): asks an authority for one certificate, and reads what it answers."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType

import h11
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.est import exchange, messages
from cloud_keystore.est.exchange import NoAnswer, Reply, TooLarge
from cloud_keystore.est.messages import CERTIFICATES, REQUEST, NoCertificates
from cloud_keystore.est.tls import load_pair
from cloud_keystore.model.pki.est import MOST_BETWEEN, Answer, Credentials, Errand, EstServer, Said

STEP_SECONDS = 25.0  # for a request, from the connection on
LONGEST_WAIT = 10**9  # seconds that are said

# What a status means for whoever looks after the authority
MEANT: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: (
            "the EST server refuses the request (400)",
            "look there why; it may not certify this profile or these names",
        ),
        HTTPStatus.UNAUTHORIZED: (
            "the EST server does not know the keystore (401)",
            "name another user and password, or certificate: cloudcard ra ca est",
        ),
        HTTPStatus.FORBIDDEN: (
            "the EST server does not let the keystore ask (403)",
            "have the keystore's user or certificate allowed there",
        ),
        HTTPStatus.NOT_FOUND: (
            "there is no EST server at the address (404)",
            "name the address with its label, such as https://HOST/.well-known/est/LABEL",
        ),
    }
)
LOOK = "look at the EST server"


class Wrong(Exception):
    """An answer is of no use; the text says why, `fix` what to do."""

    def __init__(self, why: str, fix: str = LOOK) -> None:
        super().__init__(why)
        self.fix = fix


@dataclass(slots=True)
class Client:
    """Asks the servers that this keystore may call; `hosts` are they, with their ports."""

    hosts: Collection[tuple[str, int]]
    step_seconds: float = STEP_SECONDS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _between: dict[tuple[EstServer, bytes], tuple[bytes, ...] | Wrong] = field(default_factory=dict)

    def forget(self) -> None:
        """Read the servers' authorities anew when they are asked next."""
        self._between.clear()

    async def ask(self, errand: Errand) -> Answer:
        """Ask for a certificate; nothing is raised for what a server does."""
        try:
            between = await self._authorities(errand)
            body = messages.encode(errand.csr)
            kind = [("Content-Type", REQUEST), ("Content-Transfer-Encoding", "base64")]
            operation = "simplereenroll" if errand.renews else "simpleenroll"
            reply = await self.exchange(errand, operation, kind, body)
            if reply.status == HTTPStatus.ACCEPTED:
                return Answer(
                    Said.LATER,
                    seconds=seconds_of(reply, self.now()),
                    why="the authority has not decided yet",
                    fix="have it approved there, or wait",
                )
            return _issued(errand, _certificates(reply), between)
        except Wrong as wrong:
            return Answer(Said.WRONG, why=str(wrong), fix=wrong.fix)

    async def _authorities(self, errand: Errand) -> tuple[bytes, ...]:
        """The server's authorities, DER, which have to lead to the one that is trusted: else it is
        not asked for anything.
        """
        asked = errand.server, errand.trusted
        if asked not in self._between:
            try:
                self._between[asked] = await self._read_authorities(errand)
            except Wrong as wrong:
                # A server that is not there does not keep the others of the portion waiting.
                self._between[asked] = wrong
        known = self._between[asked]
        if isinstance(known, Wrong):
            raise known
        return known

    async def _read_authorities(self, errand: Errand) -> tuple[bytes, ...]:
        found = _certificates(await self.exchange(errand, "cacerts", [], None))
        if not messages.leads_to(found, errand.trusted):
            raise Wrong(
                "the EST server has other authorities (cacerts) than the one that is trusted",
                "have the server's authority trusted (cloudcard ra ca trust), or name its own "
                "server",
            )
        return tuple(each.public_bytes(Encoding.DER) for each in found[:MOST_BETWEEN])

    async def exchange(
        self,
        errand: Errand,
        operation: str,
        headers: list[tuple[str, str]],
        body: bytes | None,
        accept: str = CERTIFICATES,
    ) -> Reply:
        """What the server of an errand answers to an operation. Raises Wrong."""
        server = errand.server
        host, port = server.place
        if server.place not in self.hosts:
            raise Wrong(
                f"this keystore may not call {host}:{port}",
                f"have it started with --ca-host {host}:{port}",
            )
        with _understood(f"{host}:{port}", self.step_seconds):
            tls = _tls(server, errand.credentials)
            async with asyncio.timeout(self.step_seconds):
                return await exchange.ask(
                    server.place,
                    tls,
                    f"{server.path}/{operation}",
                    [("Accept", accept), *headers, *_basic(server, errand.credentials)],
                    body,
                )


def _issued(errand: Errand, found: Sequence[x509.Certificate], between: Sequence[bytes]) -> Answer:
    """The one of some certificates that was asked for; the others can be of authorities."""
    own = [each for each in found if messages.is_for(each, errand.csr)]
    if len(own) != 1:
        raise Wrong(
            "the answer has no certificate for the key" if not own else "the answer has several",
            "look at the EST server: it mixes up requests",
        )
    others = [each.public_bytes(Encoding.DER) for each in found if each != own[0]]
    some = tuple(dict.fromkeys([*others, *between]))[:MOST_BETWEEN]
    return Answer(Said.ISSUED, own[0].public_bytes(Encoding.DER), some)


def _certificates(reply: Reply) -> Sequence[x509.Certificate]:
    if reply.status in MEANT:
        raise Wrong(*MEANT[reply.status])
    if reply.status != HTTPStatus.OK:
        raise Wrong(f"the EST server answers {reply.status}")
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != CERTIFICATES:
        raise Wrong(f"the answer of the EST server is not of the type {CERTIFICATES}")
    try:
        return messages.certificates(reply.body)
    except NoCertificates as error:
        raise Wrong(f"the answer of the EST server has no certificates: {error}") from None


def seconds_of(reply: Reply, now: datetime) -> int:
    """After how long a server wants to be asked again; 0 if it does not say."""
    return _seconds(reply.headers.get("retry-after", ""), now)


def _seconds(said: str, now: datetime) -> int:
    """After how long to ask again: a number, or a time (RFC 9110, 10.2.3); 0 if it is neither."""
    if said.isascii() and said.isdigit():
        return min(int(said[:12]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return 0
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(int((until - now).total_seconds()), 0)


def _basic(server: EstServer, credentials: Credentials) -> list[tuple[str, str]]:
    if not server.user:
        return []
    both = base64.b64encode(f"{server.user}:{credentials.password}".encode()).decode()
    return [("Authorization", f"Basic {both}")]


def _tls(server: EstServer, credentials: Credentials) -> ssl.SSLContext:
    """What knows the server by its anchors alone. Raises SSLError."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_verify_locations(cadata=server.anchors.decode("ascii"))
    # An anchor need not be a root.
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if server.certificate:
        load_pair(tls, credentials.private, server.certificate)
    return tls


@contextmanager
def _understood(where: str, seconds: float) -> Iterator[None]:
    """Say what is wrong in words, without what the other side has sent."""
    try:
        yield
    except TimeoutError:
        raise Wrong(
            f"{where} does not answer within {seconds:.0f} seconds",
            "look whether the EST server runs; what it may have issued is left unused",
        ) from None
    except ssl.SSLCertVerificationError:
        raise Wrong(
            f"the certificate of {where} is not one by which the EST server is to be known",
            "if it has a new one, name it: cloudcard ra ca est --tls-ca",
        ) from None
    except (ssl.SSLError, UnicodeDecodeError):
        raise Wrong(
            f"no TLS with {where}",
            "look whether the EST server takes the keystore's certificate, and TLS 1.2",
        ) from None
    except OSError as error:
        raise Wrong(
            f"{where} is not reached ({type(error).__name__})",
            "look whether the EST server runs, and whether the network lets the keystore there",
        ) from None
    except NoAnswer:
        raise Wrong(
            f"{where} ends the connection without an answer",
            "look whether the EST server runs; what it may have issued is left unused",
        ) from None
    except h11.ProtocolError:
        raise Wrong(f"{where} does not speak HTTP") from None
    except TooLarge:
        raise Wrong("the answer of the EST server is too large") from None
