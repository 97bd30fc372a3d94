"""docs/test-vectors.md is what the product makes, and what docs/protocol.md says."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cloudcard.approval.v1.approval_pb2 import Payload
from support.vectors import ENTRIES, OPERATION, vectors

TEXT = (Path(__file__).parents[2] / "docs" / "test-vectors.md").read_text()
WRITTEN: Mapping[str, Mapping[str, str]] = {
    heading: dict(re.findall(r"^(\S.*):\n  (.*)$", group, re.MULTILINE))
    for heading, group in re.findall(r"^## ([^\n]+)\n\n```text\n(.*?)^```$", TEXT, re.M | re.S)
}
PAYLOAD = bytes.fromhex(WRITTEN["Payload"]["payload"])


def octets(heading: str, name: str) -> bytes:
    return bytes.fromhex(WRITTEN[heading][name])


def check(heading: str, key: str, signed: bytes, signature: str) -> None:
    public = load_der_public_key(octets(heading, key))
    if isinstance(public, Ed25519PublicKey):
        public.verify(octets(heading, signature), signed)
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(octets(heading, signature), signed, ec.ECDSA(SHA256()))


@pytest.mark.parametrize("heading", vectors())
def test_the_product_makes_them(heading: str) -> None:
    assert WRITTEN[heading] == vectors()[heading]


def test_there_are_no_others() -> None:
    assert list(WRITTEN) == list(vectors())


def test_number() -> None:
    said = octets("Number", "commitment to 42")
    assert sha256(b"cloudcard number v1\0" + octets("Number", "salt") + b"42").digest() == said
    assert said in PAYLOAD


def test_check_code() -> None:
    """One input, no session."""
    said = Payload.FromString(PAYLOAD)
    assert said.request_id == octets("Check code", "request_id")
    serial = said.card_serial.encode()
    numbers = (16, len(serial), said.key_ref, said.algorithm, said.key_use, 0, 0, 1)
    subject = b"".join(number.to_bytes(8) for number in numbers)
    subject += said.request_id + serial + said.input_sha256[0]
    domain = b"cloudcard check code v1\0"
    derived = pbkdf2_hmac("sha256", subject, domain, 10_000, 5)
    to_crockford = str.maketrans(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    )
    text = base64.b32encode(derived).decode().translate(to_crockford)
    assert WRITTEN["Check code"]["text"] == f"{text[:4]} {text[4:]}"


def test_request_signature() -> None:
    signed = b"cloudcard request v1\0" + PAYLOAD
    assert octets("Request signature", "signed") == signed
    check(
        "Request signature",
        "request key, SubjectPublicKeyInfo",
        signed,
        "signature (ECDSA, RFC 6979)",
    )


def test_statements() -> None:
    approve = b"cloudcard statement v1\0" + b"\x01\x0242" + PAYLOAD
    assert octets("Statement", "approve, number 42") == approve
    assert octets("Statement", "approve, without a number") == (
        b"cloudcard statement v1\0" + b"\x01\x00" + PAYLOAD
    )
    assert octets("Statement", "not me") == b"cloudcard statement v1\0" + b"\x03\x00" + PAYLOAD
    for kind, how in (("P-256", "ECDSA, RFC 6979"), ("Ed25519", "Ed25519")):
        signature = f"approve, number 42: signature ({how})"
        check("Statement", f"{kind} key, SubjectPublicKeyInfo", approve, signature)
    challenge = octets("Statement", "approve, number 42: challenge of a passkey")
    assert challenge == sha256(approve).digest()


def test_enrolment_statement() -> None:
    hashes = [
        sha256(octets("Enrolment statement", name)).digest()
        for name in ("token's secret", "request for a certificate (any bytes)")
    ]
    signed = b"cloudcard enrolment v1\0" + b"".join(hashes)
    assert octets("Enrolment statement", "signed") == signed
    Ed25519PublicKey.from_public_bytes(
        octets("Statement", "Ed25519 key, SubjectPublicKeyInfo")[-32:]
    ).verify(octets("Enrolment statement", "signature (Ed25519)"), signed)


def test_renewal_statement() -> None:
    heading = "Renewal statement"
    request = octets(heading, "request for a certificate (any bytes)")
    signed = b"cloudcard renewal v1\0" + octets(heading, "SHA-256 of the present certificate")
    signed += sha256(request).digest()
    assert octets(heading, "signed") == signed
    public = load_der_public_key(octets("Statement", "P-256 key, SubjectPublicKeyInfo"))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = octets(heading, "signature by the P-256 key (ECDSA, RFC 6979)")
    public.verify(signature, signed, ec.ECDSA(SHA256()))


def test_qr_code() -> None:
    prefix, version, body = WRITTEN["QR code"]["text"].split(":")
    raw = base64.b32decode(body + "=" * (-len(body) % 8))
    assert (prefix, version) == ("CLOUDCARD", "1")
    assert raw == UUID(OPERATION).bytes + octets("QR code", "secret")


def test_checkpoint() -> None:
    leaves = [sha256(b"\0" + entry).digest() for entry in ENTRIES]
    root = sha256(b"\1" + b"".join(leaves)).digest()
    note = base64.b64decode(WRITTEN["Journal"]["checkpoint, base64 of the note"]).decode()
    text, _, line = note.partition("\n\n")
    signature = base64.b64decode(line.split()[2])
    assert text.splitlines()[1:] == ["2", base64.b64encode(root).decode()]
    public = octets("Journal", "Ed25519 key, public")
    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], f"{text}\n".encode())
    named = text.splitlines()[0].encode() + b"\n\x01" + public
    assert signature[:4] == sha256(named).digest()[:4]
