"""What a device signs, and what the keystore signs for the device (docs/protocol.md)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cloud_keystore.model.errors import ApprovalRejected
from cloud_keystore.model.operations import Approval, Decision

STATEMENT_DOMAIN = b"cloudcard statement v1\0"
REQUEST_DOMAIN = b"cloudcard request v1\0"


def statement(payload: bytes, decision: Decision, number: str) -> bytes:
    """The bytes that a device signs: domain, decision, number, payload.

    The first three have one reading only: the domain ends with a zero byte, the decision is one
    byte, and the number is one byte of length and that many digits.
    """
    digits = number.encode("ascii")
    return STATEMENT_DOMAIN + bytes((decision, len(digits))) + digits + payload


def request(payload: bytes) -> bytes:
    """The bytes that the keystore's request key signs, so that a device knows who asks."""
    return REQUEST_DOMAIN + payload


def verify(payload: bytes, approval: Approval, device_public_key: bytes) -> None:
    """Check that the device signed this decision and number over this payload; raise
    ApprovalRejected.
    """
    key = load_der_public_key(device_public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ApprovalRejected("the device has no key of a kind that can approve: enrol it again")
    signed = statement(payload, approval.decision, approval.number)
    try:
        key.verify(approval.device_signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise ApprovalRejected("the device's signature is not over this request") from None
