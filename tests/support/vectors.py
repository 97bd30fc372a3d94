"""The test vectors of docs/test-vectors.md, made anew by the product's code."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.approval import numbers, qr, statement
from cloud_keystore.audit import notes, tree
from cloud_keystore.model.operations import Decision
from cloudcard.approval.v1 import approval_pb2
from reader_bridge.remote import check_code

Vectors: TypeAlias = Mapping[str, Mapping[str, str]]

OPERATION = "0192f0c4-7d3a-7e51-9d0b-5d9f1a2b3c4d"
ENTRIES = (
    b'{"kind":"card.issued","time":1793188800000000}',
    b'{"kind":"card.revoked","time":1793188801000000}',
)
ORIGIN = "cloudcard/journal/0123456789abcdef"


def vectors() -> Vectors:
    """Each group by its heading: names and hexadecimal bytes or text."""
    request_key, device_key = p256("request key"), p256("device")
    ed25519 = Ed25519PrivateKey.from_private_bytes(seed("device"))
    signed = payload()
    requested = statement.request(signed)
    approved = statement.statement(signed, Decision.APPROVE, "42")
    scanned = statement.statement(signed, Decision.APPROVE, "")
    refused = statement.statement(signed, Decision.NOT_ME, "")
    secret, csr = seed("token")[:16], b"\x30\x03\x02\x01\x00"
    code = seed("code")[:16]
    enrolling = statement.enrolment(secret, csr)
    renewing = statement.renewal(seed("present certificate"), csr)
    return {
        "Payload": {"operation_id": OPERATION, "payload": signed.hex()},
        "Number": {
            "salt": seed("number").hex(),
            "commitment to 42": numbers.commitment(seed("number"), "42").hex(),
        },
        "Check code": {
            "request_id": seed("request")[:16].hex(),
            "text": check_code.of_payload(approval_pb2.Payload.FromString(signed)),
        },
        "Request signature": {
            "request key, private scalar": scalar("request key").to_bytes(32, "big").hex(),
            "request key, SubjectPublicKeyInfo": spki(request_key),
            "signed": requested.hex(),
            "signature (ECDSA, RFC 6979)": ecdsa(request_key, requested),
        },
        "Statement": {
            "approve, number 42": approved.hex(),
            "approve, without a number": scanned.hex(),
            "not me": refused.hex(),
            "P-256 key, private scalar": scalar("device").to_bytes(32, "big").hex(),
            "P-256 key, SubjectPublicKeyInfo": spki(device_key),
            "approve, number 42: signature (ECDSA, RFC 6979)": ecdsa(device_key, approved),
            "Ed25519 key, private": seed("device").hex(),
            "Ed25519 key, SubjectPublicKeyInfo": spki(ed25519),
            "approve, number 42: signature (Ed25519)": ed25519.sign(approved).hex(),
            "approve, number 42: challenge of a passkey": statement.challenge(approved).hex(),
        },
        "Enrolment statement": {
            "token's secret": secret.hex(),
            "request for a certificate (any bytes)": csr.hex(),
            "signed": enrolling.hex(),
            "signature (Ed25519)": ed25519.sign(enrolling).hex(),
            "challenge of a passkey": statement.challenge(enrolling).hex(),
        },
        "Renewal statement": {
            "SHA-256 of the present certificate": seed("present certificate").hex(),
            "request for a certificate (any bytes)": csr.hex(),
            "signed": renewing.hex(),
            "signature by the P-256 key (ECDSA, RFC 6979)": ecdsa(device_key, renewing),
        },
        "QR code": {"secret": code.hex(), "text": qr.text(OPERATION, code)},
        "Journal": journal(Ed25519PrivateKey.from_private_bytes(seed("journal"))),
    }


def payload() -> bytes:
    """An encoded request with every field that a single use has."""
    made = datetime(2026, 10, 28, 12, 0, tzinfo=UTC)
    message = approval_pb2.Payload(
        version=2,
        operation_id=OPERATION,
        key_use=approval_pb2.KEY_USE_SIGN,
        key_id="0192f0c4-0000-7000-8000-000000000001",
        key_ref=0x9C,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        certificate_sha256=seed("certificate"),
        card_serial="1500000000000017",
        user_id="0192f0c4-0000-7000-8000-000000000002",
        user_display_name="Ada Byron",
        input_sha256=[seed("input")],
        workstation=approval_pb2.WorkstationClaim(
            workstation_id="0192f0c4-0000-7000-8000-000000000003",
            display_name="WARD7-PC3",
            site="Ward 7",
            certificate_sha256=seed("workstation"),
        ),
        application="pkcs11-tool",
        nonce=seed("nonce"),
        policy="default/v2/3",
        factors=["passcode"],
        organisation="default",
        number_commitment=numbers.commitment(seed("number"), "42"),
        request_id=seed("request")[:16],
    )
    message.create_time.FromDatetime(made)
    message.expire_time.FromDatetime(made.replace(minute=2))
    return message.SerializeToString(deterministic=True)


def journal(key: Ed25519PrivateKey) -> Mapping[str, str]:
    """Two entries, their tree, and its checkpoint."""
    public = key.public_key().public_bytes_raw()
    leaves = [tree.leaf_hash(entry) for entry in ENTRIES]
    checkpoint = notes.Checkpoint(ORIGIN, len(leaves), tree.root_of(leaves))
    note = notes.close(checkpoint, public, key.sign)
    return {
        "entry 0": ENTRIES[0].decode(),
        "entry 1": ENTRIES[1].decode(),
        "leaf 0": leaves[0].hex(),
        "leaf 1": leaves[1].hex(),
        "root": checkpoint.root.hex(),
        "Ed25519 key, private": seed("journal").hex(),
        "Ed25519 key, public": public.hex(),
        "signed": checkpoint.text.encode().hex(),
        "checkpoint, base64 of the note": base64.b64encode(note).decode(),
    }


def seed(name: str) -> bytes:
    """32 bytes that anybody can make: SHA-256 of a name."""
    return sha256(f"cloudcard test vector: {name}".encode()).digest()


def scalar(name: str) -> int:
    """A private scalar of P-256."""
    return int.from_bytes(seed(name), "big") >> 1


def p256(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(scalar(name), ec.SECP256R1())


def spki(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()


def ecdsa(key: ec.EllipticCurvePrivateKey, signed: bytes) -> str:
    """The signature that is the same each time (RFC 6979)."""
    return key.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True)).hex()
