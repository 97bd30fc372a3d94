"""Whose signatures over a statement count."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.approval import statement
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey, RelyingParty
from cloud_keystore.model.errors import ApprovalRejected, InvalidInput
from cloud_keystore.model.operations import Approval, Assertion, Decision
from support.keystore_world import spki

PAYLOAD = b"payload"
P256, ED25519 = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
ASSERTION = Assertion(b"data", b"{}")


def approval(signature: bytes, assertion: Assertion | None = None) -> Approval:
    return Approval("phone", Decision.APPROVE, "42", signature, assertion)


def sign(private: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, signed: bytes) -> bytes:
    if isinstance(private, Ed25519PrivateKey):
        return private.sign(signed)
    return private.sign(signed, ec.ECDSA(SHA256()))


def test_a_statement_is_domain_decision_number_and_payload() -> None:
    expected = b"cloudcard statement v1\0" + bytes((Decision.DENY, 2)) + b"42" + PAYLOAD
    assert statement.statement(PAYLOAD, Decision.DENY, "42") == expected
    assert statement.request(PAYLOAD) == b"cloudcard request v1\0" + PAYLOAD
    digests = sha256(b"secret").digest() + sha256(b"csr").digest()
    assert statement.enrolment(b"secret", b"csr") == b"cloudcard enrolment v1\0" + digests
    assert statement.challenge(b"signed") == sha256(b"signed").digest()


@pytest.mark.parametrize("private", [P256, ED25519], ids=["P-256", "Ed25519"])
def test_a_native_key_signs_the_statement(
    private: ec.EllipticCurvePrivateKey | Ed25519PrivateKey,
) -> None:
    key = NativeKey(spki(private))
    signed = statement.statement(PAYLOAD, Decision.APPROVE, "42")
    statement.verify(PAYLOAD, approval(sign(private, signed)), key)
    for other in (
        statement.statement(PAYLOAD, Decision.APPROVE, "43"),
        statement.statement(PAYLOAD, Decision.DENY, "42"),
        statement.statement(PAYLOAD + b"!", Decision.APPROVE, "42"),
    ):
        with pytest.raises(ApprovalRejected, match="not over this request"):
            statement.verify(PAYLOAD, approval(sign(private, other)), key)


def test_a_native_key_sends_no_assertion_and_a_passkey_nothing_else() -> None:
    signed = statement.statement(PAYLOAD, Decision.APPROVE, "42")
    with_both = approval(sign(P256, signed), ASSERTION)
    with pytest.raises(ApprovalRejected, match="a key of its own, and no passkey"):
        statement.verify(PAYLOAD, with_both, NativeKey(spki(P256)))
    passkey: ApprovalKey = Passkey(
        *(spki(P256), b"credential", RelyingParty("example.org", "https://example.org")),
        *(0, False, False),
    )
    with pytest.raises(ApprovalRejected, match="by its passkey alone"):
        statement.verify(PAYLOAD, approval(sign(P256, signed)), passkey)


def test_possession_is_proved_by_a_signature() -> None:
    assert statement.native_key(spki(P256), sign(P256, b"signed"), b"signed").public_key == spki(
        P256
    )
    with pytest.raises(InvalidInput, match="P-256 or Ed25519"):
        statement.native_key(spki(P256), sign(P256, b"other"), b"signed")


def der(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed448PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_long_key_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def parse(public_key: bytes) -> ec.EllipticCurvePublicKey:
        parsed.append(public_key)
        return P256.public_key()

    monkeypatch.setattr(statement, "load_der_public_key", parse)
    longest = bytes(statement.LARGEST_PUBLIC_KEY)
    assert statement.native_key(longest, sign(P256, b"signed"), b"signed").public_key == longest
    with pytest.raises(InvalidInput, match="P-256 or Ed25519"):
        statement.native_key(longest + b"\0", sign(P256, b"signed"), b"signed")
    assert parsed == [longest]


P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
LONG = spki(P256) + bytes(statement.LARGEST_PUBLIC_KEY)


@pytest.mark.parametrize(
    ("public_key", "signature"),
    [
        (der(P384), P384.sign(b"signed", ec.ECDSA(SHA384()))),
        (der(P384), P384.sign(b"signed", ec.ECDSA(SHA256()))),
        (der(RSA), bytes(128)),
        (der(Ed448PrivateKey.generate()), bytes(114)),
        (LONG, sign(P256, b"signed")),
        (b"", sign(P256, b"signed")),
        (b"no key", sign(P256, b"signed")),
    ],
    ids=["P-384", "P-384 with SHA-256", "RSA", "Ed448", "long", "none", "text"],
)
def test_keys_of_other_kinds_are_refused(public_key: bytes, signature: bytes) -> None:
    with pytest.raises(InvalidInput, match="P-256 or Ed25519"):
        statement.native_key(public_key, signature, b"signed")
    with pytest.raises(ApprovalRejected, match="enrol it again"):
        statement.verify(PAYLOAD, approval(signature), NativeKey(public_key))
