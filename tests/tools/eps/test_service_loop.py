"""An application in a browser has prescriptions signed by the simulated signing service, and the
signer's card is one of a real keystore.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import RSAKey

from cloudcard_tools.eps import fragments, signatures
from cloudcard_tools.eps.signatures import ALGORITHMS
from cloudcard_tools.simulate.application import Simulators
from cloudcard_tools.simulate.cards import Cards
from cloudcard_tools.simulate.cis2 import clients
from cloudcard_tools.simulate.directory import Directory
from cloudcard_tools.simulate.exchange import Request
from cloudcard_tools.simulate.signing_service.service import (
    BASE,
    MEDIA_TYPE,
    REQUEST,
    RESPONSE,
    SIGN,
    TRACKER,
)
from support.simulators import CLIENT, PUBLISHED, RETURN, Town, registered, there, told
from support.surgery import Surgery, authority_files, in_time, open_surgery

MESSAGE = (Path(__file__).parents[2] / "samples" / "prescription.xml").read_bytes()
NUMBER = b"D37FD639-E831-420C-B37B-40481DCA910E"
KEY = RSAKey.generate_key(4096, {"use": "sig"}, auto_kid=True)
NUMBERS = [f"D37FD639-E831-420C-B37B-{each:012}" for each in range(3)]


@pytest.fixture(scope="module")
def surgery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surgery]:
    with open_surgery(tmp_path_factory.mktemp("surgery")) as opened:
        yield opened


def town_of(surgery: Surgery, folder: Path) -> Town:
    """Simulators that know the keystore's authority of cards and its list."""
    of_authority, of_list = authority_files(surgery, folder)
    authority = x509.load_pem_x509_certificate(of_authority.read_bytes())
    revoked = x509.load_der_x509_crl(of_list.read_bytes())
    town = Town(now=datetime.now(UTC))
    town.simulators = Simulators(
        town.at,
        clients.read(json.dumps(registered(KEY))),
        Cards([authority], lambda: [revoked], Directory(1)),
        PUBLISHED,
        lambda _url: b"",
    )
    return town


def signed_info(number: str) -> bytes:
    content = fragments.of_prescription(MESSAGE.replace(NUMBER, number.encode())).content
    return signatures.signed_info(content, ALGORITHMS["RS256"])


def request_of(town: Town, subject: str) -> str:
    """What the application asks, signed with its key."""
    claims = {
        "iss": CLIENT,
        "sub": subject,
        "aud": town.at.at(BASE),
        "iat": int(town.now.timestamp()),
        "exp": int((town.now + timedelta(seconds=600)).timestamp()),
        "payloads": [
            {"id": each, "payload": base64.b64encode(signed_info(each)).decode()}
            for each in NUMBERS
        ],
        "algorithm": "RS256",
    }
    return jwt.encode({"alg": "RS512", "kid": KEY.kid}, claims, KEY, algorithms=["RS512"])


def test_an_application_gets_signatures_of_a_card(surgery: Surgery, tmp_path: Path) -> None:
    """From the application's request to its signatures, once; each counts."""
    town = town_of(surgery, tmp_path)
    desk, _ = surgery.desk()
    der = desk.certificate().public_bytes(Encoding.DER)
    signer = town.simulators.cards.prescriber(der, town.now)

    body = request_of(town, signer.id).encode()
    fields = {"host": "localhost:8443", "content-type": MEDIA_TYPE}
    begun = town.simulators.answer(
        Request("POST", REQUEST, "state=a+state", body, fields), town.now, with_card=False
    )
    assert begun.status == HTTPStatus.CREATED
    token = json.loads(begun.body)["token"]

    asked = town.ask("GET", f"{town.at.at(SIGN)}?token={token}&as=json")
    (tmp_path / "request.json").write_bytes(asked.body)
    code, out, error = in_time(surgery, tmp_path / "request.json")
    assert code == 0, error

    back = town.ask("POST", town.at.at(SIGN), {"token": token, "signed": out})
    assert there(back).startswith(RETURN)
    assert told(back) == {"token": token, "state": "a state"}
    got = town.ask("GET", town.at.at(f"{RESPONSE}{token}"))
    assert got.status == HTTPStatus.OK
    found = {each["id"]: each["signature"] for each in json.loads(got.body)["signatures"]}
    assert list(found) == NUMBERS
    for number, value in found.items():
        read = signatures.parse(base64.b64decode(value))
        assert read.signed_info == signed_info(number)
        assert read.is_right()
    assert town.ask("GET", town.at.at(f"{RESPONSE}{token}")).status == HTTPStatus.NOT_FOUND
    tracked = town.ask("GET", town.at.at(TRACKER)).body.decode()
    assert all(each in tracked for each in NUMBERS)
    assert signer.name in tracked


def test_another_person_than_the_asked_one_signs_nothing(surgery: Surgery, tmp_path: Path) -> None:
    town = town_of(surgery, tmp_path)
    body = request_of(town, "555073168108").encode()
    fields = {"host": "localhost:8443", "content-type": MEDIA_TYPE}
    begun = town.simulators.answer(
        Request("POST", REQUEST, "", body, fields), town.now, with_card=False
    )
    token = json.loads(begun.body)["token"]
    asked = town.ask("GET", f"{town.at.at(SIGN)}?token={token}&as=json")
    (tmp_path / "request.json").write_bytes(asked.body)
    code, out, error = in_time(surgery, tmp_path / "request.json")
    assert code == 0, error
    refused = town.ask("POST", town.at.at(SIGN), {"token": token, "signed": out})
    assert refused.status == HTTPStatus.FORBIDDEN
    assert "another person" in refused.body.decode().lower()
    assert town.ask("GET", town.at.at(f"{RESPONSE}{token}")).status == HTTPStatus.NOT_FOUND
