"""The simulated issuance service: who is certified, and that such a card logs in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.issuance.service import ISSUANCES, LIST
from support.authority import key_usage
from support.brokers import PATIENCE, Simulated, simulated
from support.simulators import HOLDER, SECRET, SECRETIVE, Held

NUMBER, NAME = HOLDER.split("_")[0], "Ada Lovelace"
KEY = ec.generate_private_key(ec.SECP256R1())


def request(key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """What a card's key for authentication asks for."""
    builder = (
        x509.CertificateSigningRequestBuilder(x509.Name([]))
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    return base64.b64encode(builder.sign(key, SHA256()).public_bytes(Encoding.DER)).decode()


ASKED = {"id": "first", "csr": request(), "person": NUMBER, "name": NAME, "card": "15"}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("issuance")
    with Nursery(folder / "logs") as nursery:
        yield simulated(folder, nursery)


def ask(at: Simulated, body: bytes, client: str = f"{SECRETIVE}:{SECRET}") -> tuple[int, bytes]:
    told = {"Authorization": f"Basic {base64.b64encode(client.encode()).decode()}"}
    try:
        sent = Request(f"{at.url}{ISSUANCES}", body, told)
        with urlopen(sent, context=at.tls, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, b""


def certified(at: Simulated, **other: str) -> bytes:
    status, body = ask(at, json.dumps({**ASKED, **other}).encode())
    assert status == HTTPStatus.OK
    return base64.b64decode(json.loads(body)["certificate"])


def test_a_card_that_was_certified_here_logs_in(at: Simulated) -> None:
    """CIS-01: at the simulated broker, without more authorities and lists."""
    made = x509.load_der_x509_certificate(certified(at))
    made.verify_directly_issued_by(at.cards)
    assert at.ticket(Held(KEY, made)).startswith("AQIC5w")


def test_whoever_asks_again_gets_the_same(at: Simulated) -> None:
    assert certified(at) == certified(at)
    assert certified(at, id="second") != certified(at)
    other = request(ec.generate_private_key(ec.SECP256R1()))
    status, _ = ask(at, json.dumps({**ASKED, "csr": other}).encode())
    assert status == HTTPStatus.CONFLICT


@pytest.mark.parametrize("client", ["", SECRETIVE, f"{SECRETIVE}:wrong", f"nobody:{SECRET}"])
def test_who_is_not_known_gets_nothing(at: Simulated, client: str) -> None:
    assert ask(at, json.dumps(ASKED).encode(), client)[0] == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    "other",
    [
        {"person": "1234"},
        {"person": "12345678901a"},
        {"name": ""},
        {"id": "x" * 300},
        {"csr": "!"},
        {"csr": "AAAA"},
        {"card": 15},
    ],
)
def test_what_is_not_clear_is_not_certified(at: Simulated, other: dict[str, object]) -> None:
    body = json.dumps({**ASKED, "id": "third", **other}).encode()
    assert ask(at, body)[0] == HTTPStatus.BAD_REQUEST
    assert ask(at, b"{")[0] == HTTPStatus.BAD_REQUEST


def test_its_revocation_list_is_its_own(at: Simulated) -> None:
    with urlopen(f"{at.url}{LIST}", context=at.tls, timeout=PATIENCE) as answer:
        found = x509.load_der_x509_crl(answer.read())
    public = at.cards.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert found.is_signature_valid(public)
    assert len(found) == 0
