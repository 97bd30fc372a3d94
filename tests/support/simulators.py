"""Simulators without their network, a browser and a client for them, and cards to log in with."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from cloudcard_tools.simulate.application import Simulators
from cloudcard_tools.simulate.cards import Cards
from cloudcard_tools.simulate.cis2 import clients, places
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.cis2.proving import KIND
from cloudcard_tools.simulate.directory import Directory
from cloudcard_tools.simulate.exchange import FORM, Request, Response
from cloudcard_tools.simulate.faults import Faults
from support.authority import Authority, key_usage

# The clock of a town is the computer's in an hour: a run of tests takes no longer, and what is
# certified in it is valid then.
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
RETURN = "http://localhost:9000/callback"
LOGGED_OUT = "http://localhost:9000/logged-out"
TELL = "http://localhost:9000/back-channel"
CLIENT, SECRETIVE = "developer", "secretive"
SECRET = "s" * 20
HOLDER = "555073168108_Ada_Lovelace"
RSA = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
PUBLISHED = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)


@dataclass(frozen=True)
class Held:
    """A card's key for authentication and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path) -> Path:
        """Private key and certificate in one file, PEM."""
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / f"{self.certificate.serial_number:x}.pem"
        path.write_bytes(private + self.certificate.public_bytes(Encoding.PEM))
        return path


def card(
    authority: Authority,
    name: str = HOLDER,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    usage: str = "digital_signature",
) -> Held:
    """A card of an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    extensions = (key_usage(usage), x509.ExtendedKeyUsage([purpose]))
    return Held(key, authority.certify(name, key.public_key(), *extensions))


def revocation_list(
    authority: Authority,
    *revoked: Held,
    now: datetime | None = None,
    life: timedelta = timedelta(days=3),
) -> x509.CertificateRevocationList:
    """A list of an authority, of today unless another time is given."""
    now = now or datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(last_update=now, next_update=now + life)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now).build())
    return authority.sign(builder)


def registered(key: RSAKey = RSA) -> list[dict[str, object]]:
    """Two clients: one with a key, and one with a secret."""
    common: dict[str, object] = {
        "redirect_uris": [RETURN],
        "post_logout_redirect_uris": [LOGGED_OUT],
        "backchannel_logout_uri": TELL,
    }
    jwks = {"keys": [key.as_dict(private=False)]}
    return [
        {"client_id": CLIENT, "jwks": jwks, **common},
        {"client_id": SECRETIVE, "client_secret": SECRET, **common},
    ]


@dataclass
class Town:
    """Simulators, an authority of cards, and what its list says."""

    authority: Authority = field(default_factory=Authority)
    revoked: list[Held] = field(default_factory=list)
    lists: Callable[[], Sequence[x509.CertificateRevocationList]] | None = None
    now: datetime = NOW
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.at = Places("localhost", 8443, 8444)
        read = self.lists or (lambda: [revocation_list(self.authority, *self.revoked, now=NOW)])
        self.simulators = Simulators(
            self.at,
            clients.read(json.dumps(registered())),
            Cards([self.authority.certificate], read, Directory(1)),
            PUBLISHED,
            lambda _url: b"",
            self.faults,
        )

    def ask(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        *,
        certificate: bytes | None = None,
        **fields: str,
    ) -> Response:
        """Send a request to an address of theirs."""
        parts = urlsplit(url)
        sent = {"host": parts.netloc or "localhost:8443", **fields}
        if form is not None:
            sent["content-type"] = FORM
        request = Request(
            method, parts.path, parts.query, urlencode(form or {}).encode(), sent, certificate
        )
        with_card = parts.netloc == "localhost:8444"
        return self.simulators.answer(request, self.now, with_card=with_card)

    def assertion(self, *, key: RSAKey = RSA, alg: str = "RS512", **claims: object) -> str:
        """A client's assertion; claims that are None are left out."""
        told = {
            "iss": CLIENT,
            "sub": CLIENT,
            "aud": self.at.at(places.TOKEN),
            "iat": int(self.now.timestamp()),
            "exp": int((self.now + timedelta(minutes=4)).timestamp()),
            "jti": secrets.token_hex(8),
            **claims,
        }
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode({"alg": alg, "kid": key.kid}, kept, key, algorithms=[alg])

    def token(self, code: str, **form: str) -> tuple[HTTPStatus, dict[str, object]]:
        """What the token endpoint says to a client with a key."""
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": RETURN,
            **form,
        }
        if "client_assertion" not in sent and "client_secret" not in sent:
            sent["client_assertion"] = self.assertion()
        if "client_assertion" in sent:
            sent.setdefault("client_assertion_type", KIND)
        answer = self.ask("POST", self.at.at(places.TOKEN), sent)
        return answer.status, json.loads(answer.body)

    def id_token(self, code: str, **form: str) -> dict[str, object]:
        """The claims of the ID token for a code."""
        status, found = self.token(code, **form)
        assert status == HTTPStatus.OK, found
        return dict(jwt.decode(str(found["id_token"]), PUBLISHED, algorithms=["RS256"]).claims)


@dataclass
class Browser:
    """A browser with its cookies."""

    town: Town
    cookies: dict[str, str] = field(default_factory=dict)

    def go(
        self,
        url: str,
        form: Mapping[str, str] | None = None,
        *,
        certificate: bytes | None = None,
        **fields: str,
    ) -> Response:
        """Open an address, or send a form there."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        method = "GET" if form is None else "POST"
        answer = self.town.ask(method, url, form, certificate=certificate, cookie=cookie, **fields)
        for name, value in answer.fields:
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return answer

    def authorize(self, **parameters: str) -> Response:
        """A client sends somebody to log in."""
        return self.go(authorize_url(self.town.at, **parameters))

    def by_card(self, page: Response, held: Held) -> Response:
        """Use a card on a page that asks to log in; follows to the next page."""
        url = f"{self.town.at.at_card(places.CARD)}?waiting={waiting(page)}"
        return self.follow(self.go(url, certificate=held.der))

    def follow(self, answer: Response) -> Response:
        """Go where an answer sends, as long as that is here."""
        while answer.status == HTTPStatus.SEE_OTHER and there(answer).startswith(
            self.town.at.origin
        ):
            answer = self.go(there(answer))
        return answer

    def choose(self, page: Response, role_id: str) -> Response:
        """Choose a role."""
        form = {"waiting": waiting(page), "role": role_id}
        return self.follow(self.go(self.town.at.at(places.ROLE), form))

    def code(self, held: Held, **parameters: str) -> str:
        """Log in with a card; the code that the client gets."""
        return told(self.by_card(self.authorize(**parameters), held))["code"]


def authorize_url(at: Places, **parameters: str) -> str:
    """Where a client sends somebody; parameters that are empty are left out."""
    asked = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": RETURN,
        "scope": "openid",
        "state": "a state",
        "nonce": "a nonce",
        **parameters,
    }
    kept = {name: value for name, value in asked.items() if value}
    return f"{at.at(places.AUTHORIZE)}?{urlencode(kept)}"


def waiting(page: Response) -> str:
    """What a page of the provider waits for."""
    assert page.status == HTTPStatus.OK, page.body
    return waiting_in(page.body.decode())


def waiting_in(page: str) -> str:
    """The same, of a page as text."""
    return page.split('name="waiting" value="')[1].partition('"')[0]


def there(answer: Response) -> str:
    """Where an answer sends."""
    return dict(answer.fields)["Location"]


def told(answer: Response) -> dict[str, str]:
    """What a client is told by the address to which an answer sends."""
    assert answer.status == HTTPStatus.SEE_OTHER, answer.body
    assert there(answer).startswith(RETURN)
    return {name: each[0] for name, each in parse_qs(urlsplit(there(answer)).query).items()}


def proof() -> tuple[str, str]:
    """A verifier and its challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    digest = base64.urlsafe_b64encode(sha256(verifier.encode()).digest())
    return verifier, digest.rstrip(b"=").decode()
