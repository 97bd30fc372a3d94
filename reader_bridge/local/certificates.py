"""Certificates of a local card: self-signed ones, attestations, and those of secure messaging.

All are DER. They prove nothing, because the card's file holds its keys. Nothing here is random, so
that the same keys have the same certificates: ECDSA follows RFC 6979.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from card_os import tlv
from card_os.piv import oids
from card_os.piv.algorithms import SUITE_ALGORITHM
from card_os.piv.issuing import encode_keys
from card_os.piv.names import KeyRef
from card_os.piv.rules import ESTABLISHMENT
from private_keys.keys import CURVES, PrivateKey, point
from reader_bridge.local.private_keys import load

LIFETIME = timedelta(days=365)
CLOCK_SKEW = timedelta(minutes=5)
SERIAL_BYTES = 20  # at most, of a positive number (RFC 5280, 4.1.2.2)
ESTABLISHING = frozenset({"key_encipherment", "key_agreement"})
KEY_USAGES: Mapping[int, frozenset[str]] = {
    KeyRef.AUTHENTICATION: frozenset({"digital_signature"}),
    KeyRef.SIGNATURE: frozenset({"digital_signature", "content_commitment"}),
    KeyRef.CARD_AUTHENTICATION: frozenset({"digital_signature"}),
    **dict.fromkeys(ESTABLISHMENT, ESTABLISHING),
}
AGREEING = (ec.EllipticCurvePrivateKey, X25519PrivateKey)
ANYTHING = frozenset({"digital_signature", *ESTABLISHING})  # the usages of an attested key

PURPOSES: Mapping[int, tuple[x509.ObjectIdentifier, ...]] = {
    KeyRef.AUTHENTICATION: tuple(
        map(x509.ObjectIdentifier, (oids.CLIENT_AUTHENTICATION, oids.SMARTCARD_LOGON))
    ),
    KeyRef.CARD_AUTHENTICATION: (x509.ObjectIdentifier(oids.PIV_CARD_AUTHENTICATION),),
}

# The hash of ECDSA goes with the curve (SP 800-78-5, table 2).
HASH_OF_CURVE: Mapping[str, SHA256 | SHA384] = {"secp256r1": SHA256(), "secp384r1": SHA384()}


def of_key(key_ref: int, key: PrivateKey, signer: tuple[int, PrivateKey], now: datetime) -> bytes:
    """The certificate of one of the card's keys. The key signs it itself, except for X25519, which
    cannot sign: `signer` is then another key.
    """
    issuer_ref, issuer = signer
    wanted = KEY_USAGES[key_ref]
    if wanted == ESTABLISHING:
        agrees = isinstance(key, AGREEING)
        wanted = frozenset({"key_agreement" if agrees else "key_encipherment"})
    builder = _builder(_name(f"{key_ref:02X}"), _name(f"{issuer_ref:02X}"), key, wanted)
    if key_ref in PURPOSES:
        purpose = x509.ExtendedKeyUsage(PURPOSES[key_ref])
        builder = builder.add_extension(purpose, critical=key_ref == KeyRef.CARD_AUTHENTICATION)
    return _sign(_valid(builder, now), issuer)


def of_attestation_key(key: PrivateKey, now: datetime) -> bytes:
    """The self-signed certificate of the key that attests the others."""
    name = _name("attestation")
    usages = frozenset({"key_cert_sign"})
    return _sign(_valid(_builder(name, name, key, usages, ca=True), now), key)


def attest(
    key_ref: int,
    key: PrivateKey,
    attester: PrivateKey,
    authority: bytes,
    extensions: Mapping[str, bytes],
) -> bytes:
    """An attestation that a key was made on the card, for as long as the attester is valid.

    `extensions` say more of the key, by their object identifiers.
    """
    issuer = x509.load_der_x509_certificate(authority)
    builder = (
        _builder(_name(f"attestation of {key_ref:02X}"), issuer.subject, key, ANYTHING)
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
    )
    for oid, value in extensions.items():
        told = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(told, critical=False)
    return _sign(builder, attester)


def of_content_signer(key: PrivateKey, now: datetime) -> bytes:
    """The certificate of the key that signs the card verifiable certificate."""
    name = _name("content signer")
    builder = _builder(name, name, key, frozenset({"digital_signature"}))
    purpose = x509.ExtendedKeyUsage([x509.ObjectIdentifier(oids.PIV_CONTENT_SIGNING)])
    return _sign(_valid(builder.add_extension(purpose, critical=True), now), key)


def verifiable(suite: int, private: bytes, guid: bytes, signer: PrivateKey, own: bytes) -> bytes:
    """The card verifiable certificate of key 04 (SP 800-73-5 part 2, 4.1.5).

    `own` is the signer's certificate. Raises TypeError if a key is not on an elliptic curve.
    """
    key = load(suite, private)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
        signer, ec.EllipticCurvePrivateKey
    ):
        raise TypeError(
            f"suite {suite:02X} has keys on the curve {CURVES[SUITE_ALGORITHM[suite]].name}"
        )
    identifier = (
        x509.load_der_x509_certificate(own)
        .extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        .value.digest
    )
    covered = encode_keys.verifiable_covered(
        identifier[: encode_keys.ISSUER_BYTES], guid, oids.CURVE[SUITE_ALGORITHM[suite]], point(key)
    )
    signature = signer.sign(covered, ec.ECDSA(_hash(signer), deterministic_signing=True))
    digital_signature = tlv.encode(
        0x30,
        tlv.encode(0x30, tlv.encode(0x06, oids.SIGNATURE[SUITE_ALGORITHM[suite]])),
        tlv.encode(0x03, b"\0", signature),  # no unused bits
    )
    return encode_keys.verifiable_certificate(covered, digital_signature)


def _name(text: str) -> x509.Name:
    common_name = f"cloudcard local {text}, not for use"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    usages: frozenset[str],
    *,
    ca: bool = False,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(_serial(subject, key))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(
            x509.KeyUsage(**{bit: bit in usages for bit in oids.KEY_USAGE_BITS}), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _serial(subject: x509.Name, key: PrivateKey) -> int:
    """A serial number that follows from subject and key."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    number = int.from_bytes(sha256(subject.public_bytes() + public).digest()[:SERIAL_BYTES])
    return number >> 1 | 1  # neither negative nor zero


def _valid(builder: x509.CertificateBuilder, now: datetime) -> x509.CertificateBuilder:
    return builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(now + LIFETIME)


def _hash(signer: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> SHA256 | SHA384:
    return SHA256() if isinstance(signer, rsa.RSAPrivateKey) else HASH_OF_CURVE[signer.curve.name]


def _sign(builder: x509.CertificateBuilder, signer: PrivateKey) -> bytes:
    if isinstance(signer, X25519PrivateKey):
        raise TypeError("X25519 signs nothing")
    chosen = None if isinstance(signer, Ed25519PrivateKey) else _hash(signer)
    repeatable = True if isinstance(signer, ec.EllipticCurvePrivateKey) else None
    signed = builder.sign(signer, chosen, ecdsa_deterministic=repeatable)
    return signed.public_bytes(Encoding.DER)
