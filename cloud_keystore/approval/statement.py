"""The bytes that a device signs, and those that the keystore signs for it (docs/protocol.md)."""

from __future__ import annotations

from hashlib import sha256
from typing import assert_never

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cloud_keystore.approval import passkeys
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey
from cloud_keystore.model.errors import ApprovalRejected, InvalidInput, RenewalRejected
from cloud_keystore.model.operations import Approval, Assertion, Decision

STATEMENT_DOMAIN = b"cloudcard statement v1\0"
REQUEST_DOMAIN = b"cloudcard request v1\0"
ENROLMENT_DOMAIN = b"cloudcard enrolment v1\0"
RENEWAL_DOMAIN = b"cloudcard renewal v1\0"
ASSENT_DOMAIN = b"cloudcard assent v1\0"
UNLOCK_DOMAIN = b"cloudcard unlock v1\0"
LARGEST_PUBLIC_KEY = 256  # of a native key, DER


def statement(payload: bytes, decision: Decision, number: str) -> bytes:
    """Return the bytes that a device signs: domain, decision, number, payload.

    They can be read in one way only: the domain ends with a zero byte, the decision is one byte,
    and the number is one byte of length followed by its digits.
    """
    digits = number.encode("ascii")
    return STATEMENT_DOMAIN + bytes((decision, len(digits))) + digits + payload


def assent(assent_id: str, number: str) -> bytes:
    """Return the bytes that a device signs that agrees to what is done at the portal: domain, the
    number as one byte of length and its digits, and the question's id.
    """
    digits = number.encode("ascii")
    return ASSENT_DOMAIN + bytes((len(digits),)) + digits + assent_id.encode("ascii")


def unlock(unlock_id: str) -> bytes:
    """Return the bytes to which a passkey answers that agrees to the unlock of a card: domain, and
    the identifier of what an operator has asked for.
    """
    return UNLOCK_DOMAIN + unlock_id.encode("ascii")


def request(payload: bytes) -> bytes:
    """Return the bytes that the request key signs, so that a device can check who asks."""
    return REQUEST_DOMAIN + payload


def enrolment(token_secret: bytes, csr: bytes) -> bytes:
    """Return the bytes that a device's native key signs at enrolment: domain, and SHA-256 of the
    enrolment token's secret and of the certificate request, 32 bytes each.
    """
    return enrolment_by(sha256(token_secret).digest(), csr)


def enrolment_by(token_sha256: bytes, csr: bytes) -> bytes:
    """Return the same bytes for whoever knows only the hash of the token's secret."""
    return ENROLMENT_DOMAIN + token_sha256 + sha256(csr).digest()


def renewal(certificate_sha256: bytes, csr: bytes) -> bytes:
    """Return the bytes that an identity's present key signs to be renewed: domain, and SHA-256 of
    the present certificate and of the certificate request, 32 bytes each.
    """
    return RENEWAL_DOMAIN + certificate_sha256 + sha256(csr).digest()


def check_renewal(
    public_key: bytes, certificate_sha256: bytes, csr: bytes, signature: bytes
) -> None:
    """Raise RenewalRejected unless an identity's present key has signed its renewal."""
    try:
        _verify_native(NativeKey(public_key), renewal(certificate_sha256, csr), signature)
    except ApprovalRejected:
        raise RenewalRejected(
            "the new key is not signed by this identity's present key: it was not renewed"
        ) from None


def challenge(signed: bytes) -> bytes:
    """Return the challenge for a passkey, 32 bytes: a passkey cannot sign a statement directly."""
    return sha256(signed).digest()


def verify(payload: bytes, approval: Approval, key: ApprovalKey) -> None:
    """Check that the device has signed this decision, number and payload.

    Approvals are checked only here: when they are given, and again when they are used. The
    counter of a passkey is checked by the code that takes the decision. Raises ApprovalRejected.
    """
    signed = statement(payload, approval.decision, approval.number)
    verify_signed(signed, key, approval.device_signature, approval.assertion)


def verify_signed(
    signed: bytes, key: ApprovalKey, signature: bytes, assertion: Assertion | None
) -> None:
    """Check that the key by which a device approves has signed these bytes. Raises
    ApprovalRejected.
    """
    match key:
        case NativeKey():
            if assertion is not None:
                raise ApprovalRejected("this device has a key of its own, and no passkey")
            _verify_native(key, signed, signature)
        case Passkey():
            if assertion is None:
                raise ApprovalRejected("this device approves by its passkey alone")
            passkeys.verify(key, challenge(signed), assertion, signature)
        case _:
            assert_never(key)


def native_key(public_key: bytes, signature: bytes, signed: bytes) -> NativeKey:
    """Return a native key whose possession is proved by a signature over `signed`.

    Raises InvalidInput if the key is of another kind, or has not made the signature.
    """
    try:
        _verify_native(NativeKey(public_key), signed, signature)
    except ApprovalRejected:
        raise InvalidInput(
            "native_key must be a P-256 or Ed25519 key that has signed the enrolment statement"
        ) from None
    return NativeKey(public_key)


def _verify_native(key: NativeKey, signed: bytes, signature: bytes) -> None:
    public = _load(key.public_key)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, signed)
        else:
            public.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise ApprovalRejected("the device's signature is not over this request") from None


def _load(public_key: bytes) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    wrong = ApprovalRejected("the device has no key of a kind that can approve: enrol it again")
    if len(public_key) > LARGEST_PUBLIC_KEY:
        raise wrong
    try:
        public = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise wrong from None
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return public
    raise wrong
