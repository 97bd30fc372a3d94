"""The broker of sessions: who gets a ticket, for how long, and what applications are told."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from lxml import etree

from cloudcard_tools.simulate import faults
from cloudcard_tools.simulate.broker.broker import (
    ACTIVATE,
    ASSERTION,
    IDLE_TIME,
    LOGOUT,
    SELECTION,
    VALIDATE,
)
from cloudcard_tools.simulate.exchange import Request, Response
from cloudcard_tools.spine import proving
from support.authority import key_usage
from support.simulators import HOLDER, NOW, Held, Town, revocation_list

KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
PURPOSES = (
    key_usage("digital_signature"),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
)
PARAMETER = re.compile(r'<gpPARAM name="(\w+)"[^>]*>(.*?)</gpPARAM>')
SAML = {"s": "urn:oasis:names:tc:SAML:1.0:assertion"}


@dataclass
class Client:
    """An identity agent with a card whose key is in memory."""

    town: Town = field(default_factory=Town)
    key: rsa.RSAPrivateKey = KEY
    digest: str = "sha1"

    def __post_init__(self) -> None:
        public = KEY.public_key()
        self.certificate = self.town.authority.certify(HOLDER, public, *PURPOSES)

    def post(self, path: str, **parameters: str) -> Mapping[str, str]:
        answer = self.send(path, message(parameters))
        assert answer.status == HTTPStatus.OK
        return dict(PARAMETER.findall(answer.body.decode()))

    def send(self, path: str, body: bytes) -> Response:
        request = Request("POST", path, "", body, {"host": "localhost:8443"})
        return self.town.simulators.answer(request, self.town.now, with_card=False)

    def get(self, path: str, **parameters: str) -> Response:
        query = "&".join(f"{name}={quote(each, safe='')}" for name, each in parameters.items())
        return self.town.ask("GET", f"{self.town.at.at(path)}?{query}")

    def challenge(self, name: str = "one") -> bytes:
        told = self.post(ACTIVATE, service="ACTIVATION", log_session_id=name, auth_method="3")
        return base64.b64decode(told["challenge"], validate=True)

    def proof(self, challenge: bytes) -> str:
        hashes = {"sha1": SHA1(), "sha256": SHA256()}

        def sign(content: bytes) -> bytes:
            return self.key.sign(content, PKCS1v15(), hashes[self.digest])

        der = self.certificate.public_bytes(Encoding.DER)
        return proving.proof(challenge, der, self.digest, sign)

    def validate(self, proof: str, name: str = "one") -> Mapping[str, str]:
        return self.post(
            VALIDATE,
            service="AUTHENTICATION",
            log_session_id=name,
            signature=proof,
            card_type="p11",
        )

    def ticket(self) -> str:
        """Log in."""
        return self.validate(self.proof(self.challenge()))["sso_ticket"]


def message(parameters: Mapping[str, str]) -> bytes:
    rows = "".join(
        f'<gpPARAM name="{name}">{escape(each)}</gpPARAM>' for name, each in parameters.items()
    )
    return f"<gpOBJECT>{rows}</gpOBJECT>".encode()


def attributes(answer: Response) -> list[tuple[str, str]]:
    """What an application reads of an assertion."""
    assert answer.status == HTTPStatus.OK, answer.body
    root = etree.fromstring(answer.body)
    found = root.findall(".//s:Attribute", SAML)
    return [
        (each.get("AttributeName", ""), each.findtext("s:AttributeValue", "", SAML))
        for each in found
    ]


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_a_card_gets_a_ticket(digest: str) -> None:
    """As tickets look; the reply is no XML, because of its ampersands."""
    client = Client(digest=digest)
    proof = client.proof(client.challenge())
    asked = {"service": "AUTHENTICATION", "log_session_id": "one", "signature": proof}
    answer = client.send(VALIDATE, message(asked))
    text = answer.body.decode()
    found = dict(PARAMETER.findall(text))
    assert re.fullmatch(r"AQIC5w\S+=@AAJTSQACMDE=#", found["sso_ticket"])
    assert found["cn"] == "LOVELACE Ada"
    assert found["sso_session_time"] == "600"
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.body)
    roles = re.findall(
        r'<gpPARAM name="nhsjobrole\d" id="(\d+)" orgcode="(ZZQ\d+)">"([^,]+), ', text
    )
    assert len(roles) == 3


def test_openssl_as_a_client(tmp_path: Path) -> None:
    """Its signature has signed attributes, and leaves the content out."""
    client = Client()
    (tmp_path / "challenge").write_bytes(client.challenge())
    (tmp_path / "key.pem").write_bytes(
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "own.pem").write_bytes(client.certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "cms", "-sign", "-binary", "-md", "sha1", "-outform", "DER"]
    command += ["-in", "challenge", "-inkey", "key.pem", "-signer", "own.pem"]
    der = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    told = client.validate(base64.b64encode(der).decode())
    assert "sso_ticket" in told, told


def test_an_application_is_told_whose_a_ticket_is() -> None:
    """SAML 1.1, a minute ahead and three back; each nhsIdCode begins the block of a role."""
    client = Client()
    ticket = client.ticket()
    answer = client.get(ASSERTION, token=ticket)
    found = attributes(answer)
    assert found[:2] == [("uid", "555073168108"), ("cn", "LOVELACE Ada")]
    assert [name for name, _ in found].count("nhsIdCode") == 3
    conditions = etree.fromstring(answer.body).find(".//s:Conditions", SAML)
    assert conditions is not None
    for name, moment in (
        ("NotBefore", NOW - timedelta(minutes=3)),
        ("NotOnOrAfter", NOW + timedelta(minutes=1)),
    ):
        assert conditions.get(name) == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_role_is_chosen() -> None:
    client = Client()
    ticket = client.ticket()
    role = dict(attributes(client.get(ASSERTION, token=ticket)))["uniqueJobRoleIdentifier"]
    asked = {"token": ticket, "selectedRoleUid": role, "ssbMode": "1", "gacVersion": "1"}
    assert client.get(SELECTION, **asked).status == HTTPStatus.OK
    found = attributes(client.get(ASSERTION, token=ticket))
    assert [each for name, each in found if name == "uniqueJobRoleIdentifier"] == [role]
    assert ("ssbMode", "1") in found
    for wrong in ({"selectedRoleUid": "1" * 12}, {"ssbMode": "2"}, {"token": "AQIC5w"}):
        assert client.get(SELECTION, **{**asked, **wrong}).status >= HTTPStatus.BAD_REQUEST


def another_key(client: Client) -> None:
    client.key = OTHER


def strangers(client: Client) -> None:
    authority = Town().authority
    client.certificate = authority.certify(HOLDER, KEY.public_key(), *PURPOSES)


def expired(client: Client) -> None:
    """The certificate has ended; the list is of that day."""
    client.town.now = NOW + timedelta(days=40)
    cards = client.town.simulators.cards
    client.town.simulators.cards = type(cards)(
        cards.authorities,
        lambda: [revocation_list(client.town.authority, now=client.town.now)],
        cards.directory,
    )
    client.town.simulators.__post_init__()


def revoked(client: Client) -> None:
    client.town.revoked.append(Held(KEY, client.certificate))  # type: ignore[arg-type]


def signature_key(client: Client) -> None:
    usage = key_usage("content_commitment")
    client.certificate = client.town.authority.certify(HOLDER, KEY.public_key(), usage)


REFUSED = {
    "a bad signature": (another_key, "BAD_SIGNATURE", "not that of the card"),
    "a foreign certificate": (strangers, "CARD_REFUSED", "no authority"),
    "an expired certificate": (expired, "CARD_REFUSED", "not valid now"),
    "a revoked or suspended card": (revoked, "CARD_REFUSED", "revoked, or suspended"),
    "the signature key": (signature_key, "CARD_REFUSED", "not that of the key for auth"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nobody_gets_a_ticket_with(name: str) -> None:
    wrong, code, said = REFUSED[name]
    client = Client()
    wrong(client)
    told = client.validate(client.proof(client.challenge()))
    assert told["error_code"] == code
    assert said in told["error_message"]
    assert "sso_ticket" not in told


def test_a_challenge_is_good_once_and_for_a_minute() -> None:
    """A proof that failed has spent it too."""
    client = Client()
    proof = client.proof(client.challenge())
    assert "sso_ticket" in client.validate(proof)
    assert client.validate(proof)["error_code"] == "CHALLENGE_SPENT"
    client.challenge()
    assert client.validate(proof)["error_code"] == "BAD_SIGNATURE"
    late = client.proof(client.challenge())
    assert client.validate(client.proof(bytes(32)))["error_code"] == "BAD_SIGNATURE"
    assert client.validate(late)["error_code"] == "CHALLENGE_SPENT"
    late = client.proof(client.challenge())
    client.town.now = NOW + timedelta(seconds=60)
    assert client.validate(late)["error_code"] == "CHALLENGE_SPENT"


def test_a_proof_is_of_its_own_log_in() -> None:
    client = Client()
    proof = client.proof(client.challenge("one"))
    client.challenge("two")
    assert client.validate(proof, "two")["error_code"] == "BAD_SIGNATURE"


def test_an_idle_ticket_ends() -> None:
    client = Client()
    ticket = client.ticket()
    client.town.now = NOW + IDLE_TIME - timedelta(seconds=1)
    assert client.get(ASSERTION, token=ticket).status == HTTPStatus.OK
    client.town.now += IDLE_TIME - timedelta(seconds=1)
    assert client.get(ASSERTION, token=ticket).status == HTTPStatus.OK
    client.town.now += IDLE_TIME
    assert client.get(ASSERTION, token=ticket).status == HTTPStatus.FORBIDDEN


def test_a_ticket_ends_after_ten_hours() -> None:
    client = Client()
    ticket = client.ticket()
    for _ in range(66):
        client.town.now += IDLE_TIME - timedelta(seconds=30)
        last = client.get(ASSERTION, token=ticket).status
    assert client.town.now > NOW + timedelta(hours=10)
    assert last == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("by_message", [True, False])
def test_who_leaves_has_no_ticket(by_message: bool) -> None:
    client = Client()
    ticket = client.ticket()
    if by_message:
        answer = client.send(LOGOUT, message({"service": "LOGOUT", "sso_ticket": ticket}))
    else:
        answer = client.get(LOGOUT, token=ticket, service="LOGOUT")
    assert answer.body == b"<HTML><STATUS>OK</STATUS></HTML>"
    assert client.get(ASSERTION, token=ticket).status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<gpOBJECT/>",
        b"<other><gpPARAM name='a'>b</gpPARAM></other>",
        b"<gpOBJECT><gpPARAM name='a'>b</gpPARAM><gpPARAM name='a'>b</gpPARAM></gpOBJECT>",
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><gpOBJECT/>",
        message({"service": "OTHER", "log_session_id": "one"}),
    ],
)
def test_messages_that_are_not_understood(body: bytes) -> None:
    for path in (ACTIVATE, VALIDATE):
        answer = Client().send(path, body)
        assert dict(PARAMETER.findall(answer.body.decode()))["error_code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "proof", ["", "!", "AAAA", base64.b64encode(b"\x30\x03\x02\x01\x00").decode()]
)
def test_proofs_that_are_none(proof: str) -> None:
    client = Client()
    client.challenge()
    assert client.validate(proof)["error_code"] == "BAD_SIGNATURE"


def test_cards_are_revoked_on_demand() -> None:
    client = Client()
    client.town.simulators.faults = faults.parse(["revoked"])
    assert client.validate(client.proof(client.challenge()))["error_code"] == "CARD_REFUSED"
