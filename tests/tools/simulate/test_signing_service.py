"""The signing service of the simulators: requests of applications, who signs, and what is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import RSAKey

from cloudcard_tools.eps import signatures
from cloudcard_tools.eps.signatures import ALGORITHMS
from cloudcard_tools.simulate import faults
from cloudcard_tools.simulate.cis2 import clients
from cloudcard_tools.simulate.exchange import Request, Response
from cloudcard_tools.simulate.signing_service.service import (
    BASE,
    MEDIA_TYPE,
    REQUEST,
    RESPONSE,
    SIGN,
    TRACKER,
)
from support.authority import key_usage
from support.simulators import CLIENT, HOLDER, NOW, RETURN, Town, registered
from support.simulators import RSA as SHORT

KEY = RSAKey.generate_key(4096, {"use": "sig"}, auto_kid=True)
OTHER = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
SIGNER = rsa.generate_private_key(65537, 2048)
UID = "555073168108"
RS1 = ALGORITHMS["RS1"]


def signed_info(number: int) -> bytes:
    return signatures.signed_info(b"prescription %d" % number, RS1)


def payloads(count: int) -> list[dict[str, str]]:
    return [
        {"id": f"rx-{each}", "payload": base64.b64encode(signed_info(each)).decode()}
        for each in range(count)
    ]


@dataclass
class Application:
    """A browser application and its signer."""

    town: Town = field(default_factory=Town)

    def __post_init__(self) -> None:
        self.town.simulators.clients = clients.read(json.dumps(registered(KEY)))
        self.town.simulators.__post_init__()
        usage = key_usage("content_commitment")
        self.certificate = self.town.authority.certify(HOLDER, SIGNER.public_key(), usage)

    def token(self, *, key: RSAKey = KEY, alg: str = "RS512", **claims: object) -> str:
        told = {
            "iss": CLIENT,
            "sub": UID,
            "aud": self.town.at.at(BASE),
            "iat": int(NOW.timestamp()),
            "exp": int((NOW + timedelta(seconds=600)).timestamp()),
            "payloads": payloads(2),
            "algorithm": "RS1",
            **claims,
        }
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode({"alg": alg, "kid": key.kid}, kept, key, algorithms=[alg])

    def post(self, token: str, query: str = "", media_type: str = MEDIA_TYPE) -> Response:
        sent = {"host": "localhost:8443", "content-type": media_type}
        request = Request("POST", REQUEST, query, token.encode(), sent)
        return self.town.simulators.answer(request, self.town.now, with_card=False)

    def begun(self, **claims: object) -> str:
        """The token of a request that was taken."""
        answer = self.post(self.token(**claims), "state=a+state")
        assert answer.status == HTTPStatus.CREATED, answer.body
        told = json.loads(answer.body)
        assert told["redirectUri"] == f"{self.town.at.at(SIGN)}?token={told['token']}"
        return str(told["token"])

    def signed(
        self, count: int = 2, certificate: x509.Certificate | None = None
    ) -> dict[str, object]:
        """What `cloudcard eps sign --json` prints."""
        by = certificate or self.certificate
        values = [SIGNER.sign(signed_info(each), PKCS1v15(), RS1.hash) for each in range(count)]
        made = [
            signatures.written(signed_info(each), value, by) for each, value in enumerate(values)
        ]
        rows = [
            {"id": f"rx-{each}", "signature": base64.b64encode(one).decode()}
            for each, one in enumerate(made)
        ]
        der = base64.b64encode(by.public_bytes(Encoding.DER)).decode()
        return {"signatures": rows, "certificate": der}

    def give(self, token: str, signed: Mapping[str, object]) -> Response:
        form = {"token": token, "signed": json.dumps(signed)}
        return self.town.ask("POST", self.town.at.at(SIGN), form)

    def fetch(self, token: str) -> Response:
        return self.town.ask("GET", f"{self.town.at.origin}{RESPONSE}{token}")


def test_an_application_gets_its_signatures_once() -> None:
    """The page says who asks for what; the signer returns to the application with its state."""
    one = Application()
    token = one.begun()
    assert one.fetch(token).status == HTTPStatus.NOT_FOUND
    page = one.town.ask("GET", f"{one.town.at.at(SIGN)}?token={token}").body.decode()
    for said in (CLIENT, UID, "rx-0", "rx-1"):
        assert said in page
    told = json.loads(one.town.ask("GET", f"{one.town.at.at(SIGN)}?token={token}&as=json").body)
    assert told == {"payloads": payloads(2), "algorithm": "RS1"}
    answer = one.give(token, one.signed())
    assert answer.status == HTTPStatus.SEE_OTHER
    location = dict(answer.fields)["Location"]
    assert location.startswith(RETURN)
    assert parse_qs(urlsplit(location).query) == {"token": [token], "state": ["a state"]}
    assert json.loads(one.fetch(token).body) == one.signed()
    assert one.fetch(token).status == HTTPStatus.NOT_FOUND
    assert one.give(token, one.signed()).status == HTTPStatus.NOT_FOUND


def test_the_tracker_lists_what_was_signed() -> None:
    one = Application()
    tracker = one.town.at.at(TRACKER)
    assert "None." in one.town.ask("GET", tracker).body.decode()
    token = one.begun()
    assert "rx-0" not in one.town.ask("GET", tracker).body.decode()
    one.give(token, one.signed())
    page = one.town.ask("GET", tracker).body.decode()
    for said in ("rx-0", "rx-1", "RS1", "LOVELACE Ada", CLIENT):
        assert said in page


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "another audience": ({"aud": "https://localhost:8443"}, "aud is"),
    "an audience among others": ({"aud": ["x", "y"]}, "aud is"),
    "over": ({"exp": int(NOW.timestamp()) - 61}, "exp is over"),
    "too long": ({"exp": int(NOW.timestamp()) + 661}, "600 seconds"),
    "without an end": ({"exp": None}, "exp is over"),
    "to come": ({"iat": int(NOW.timestamp()) + 61}, "iat is"),
    "without a beginning": ({"iat": None}, "iat is"),
    "of nobody": ({"iss": "somebody"}, "iss names"),
    "of a client without keys": ({"iss": "secretive"}, "iss names"),
    "for nobody": ({"sub": ""}, "sub is"),
    "RS256": ({"alg": "RS256"}, "RS512"),
    "with another key": ({"key": OTHER}, "kid names no key"),
    "251 documents": ({"payloads": payloads(251)}, "1 to 250"),
    "no documents": ({"payloads": []}, "1 to 250"),
    "one twice": ({"payloads": payloads(1) * 2}, "same id"),
    "something else": ({"payloads": [{"id": "a", "payload": "AAAA"}]}, "not SignedInfo"),
    "another algorithm": ({"algorithm": "RS256"}, "not SignedInfo"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_is_refused(name: str) -> None:
    changed, said = REFUSED[name]
    one = Application()
    made = dict(changed)
    key, alg = made.pop("key", KEY), made.pop("alg", "RS512")
    assert isinstance(key, RSAKey)
    answer = one.post(one.token(key=key, alg=str(alg), **made))
    assert answer.status == HTTPStatus.UNAUTHORIZED
    assert said in json.loads(answer.body)["error_description"]


def test_a_request_of_another_key_by_the_name_of_one() -> None:
    one = Application()
    told = dict(OTHER.as_dict(private=True), kid=KEY.kid)
    answer = one.post(one.token(key=RSAKey.import_key(told)))
    assert answer.status == HTTPStatus.UNAUTHORIZED
    assert b"not signed with" in answer.body


def test_a_request_for_250() -> None:
    assert Application().begun(payloads=payloads(250))


def test_a_request_counts_once() -> None:
    one = Application()
    token = one.token()
    assert one.post(token).status == HTTPStatus.CREATED
    assert one.post(token).status == HTTPStatus.UNAUTHORIZED


def test_a_request_that_is_not_signed() -> None:
    one = Application()
    _, claims, signature = one.token().split(".")
    header = json.dumps({"alg": "none", "kid": KEY.kid}).encode()
    unsigned = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
    for each in ("", signature):
        answer = one.post(f"{unsigned}.{claims}.{each}")
        assert answer.status == HTTPStatus.UNAUTHORIZED
        assert b"RS512, and with nothing else" in answer.body


def test_a_key_that_is_too_short() -> None:
    one = Application()
    one.town.simulators.clients = clients.read(json.dumps(registered(SHORT)))
    one.town.simulators.__post_init__()
    answer = one.post(one.token(key=SHORT))
    assert answer.status == HTTPStatus.UNAUTHORIZED
    assert b"4096 bits" in answer.body


@pytest.mark.parametrize("body", ["", "a.b.c", "{}", "é", "e30.e30."])
def test_what_is_no_token(body: str) -> None:
    answer = Application().post(body)
    assert answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.BAD_REQUEST)


def test_the_body_is_text() -> None:
    one = Application()
    answer = one.post(one.token(), media_type="application/json")
    assert answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_a_request_that_waited_too_long() -> None:
    one = Application()
    token = one.begun()
    one.town.now = NOW + timedelta(minutes=10)
    assert one.give(token, one.signed()).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("one less", HTTPStatus.BAD_REQUEST),
        ("exchanged", HTTPStatus.BAD_REQUEST),
        ("by another key", HTTPStatus.BAD_REQUEST),
        ("nothing", HTTPStatus.BAD_REQUEST),
        ("another person", HTTPStatus.FORBIDDEN),
        ("a key for authentication", HTTPStatus.FORBIDDEN),
        ("of strangers", HTTPStatus.FORBIDDEN),
        ("revoked", HTTPStatus.FORBIDDEN),
    ],
)
def test_signatures_are_refused(name: str, status: HTTPStatus) -> None:
    """And the request still waits for right ones."""
    one = Application()
    token = one.begun()
    certify, usage = one.town.authority.certify, key_usage("content_commitment")
    public = SIGNER.public_key()
    signed = one.signed()
    rows = signed["signatures"]
    assert isinstance(rows, list)
    match name:
        case "one less":
            signed = one.signed(1)
        case "exchanged":
            rows[0]["id"], rows[1]["id"] = rows[1]["id"], rows[0]["id"]
        case "by another key":
            other = rsa.generate_private_key(65537, 2048).public_key()
            signed = one.signed(certificate=certify(HOLDER, other, usage))
        case "nothing":
            signed = {"signatures": 1}
        case "another person":
            signed = one.signed(certificate=certify("555073168109_Bo_Byron", public, usage))
        case "a key for authentication":
            usage = key_usage("digital_signature")
            signed = one.signed(certificate=certify(HOLDER, public, usage))
        case "of strangers":
            signed = one.signed(certificate=Town().authority.certify(HOLDER, public, usage))
        case "revoked":
            one.town.simulators.faults = faults.parse(["revoked"])
    assert one.give(token, signed).status == status
    assert one.fetch(token).status == HTTPStatus.NOT_FOUND
    one.town.simulators.faults = faults.parse([])
    assert one.give(token, one.signed()).status == HTTPStatus.SEE_OTHER
