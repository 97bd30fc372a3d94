"""Which keys are asked for at each use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.names import Algorithm
from cloud_keystore.custody.use.commitment import commits
from cloud_keystore.model.cards import Key

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def certificate(content_commitment: bool | None) -> bytes:
    """A certificate whose key usage says so, or which has none."""
    private = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), private.public_key(), 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if content_commitment is not None:
        rest = dict.fromkeys(
            (
                *("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"),
                *("crl_sign", "encipher_only", "decipher_only"),
            ),
            False,
        )
        usage = x509.KeyUsage(digital_signature=True, content_commitment=content_commitment, **rest)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(private, SHA256()).public_bytes(Encoding.DER)


def key(key_ref: int, certificate: bytes) -> Key:
    return Key("k", "c", key_ref, Algorithm.ECC_P256, certificate, NOW)


@pytest.mark.parametrize("content", [b"", certificate(None), certificate(False)])
def test_the_signature_key_commits_whatever_its_certificate_says(content: bytes) -> None:
    assert commits(key(0x9C, content))
    assert not commits(key(0x9A, content))


def test_a_certificate_says_that_its_key_commits() -> None:
    assert commits(key(0x9A, certificate(True)))


def test_a_certificate_that_nobody_can_read_is_taken_to_say_so() -> None:
    whole = certificate(False)
    for unreadable in (b"junk", whole[:-1], whole + b"\0"):
        assert commits(key(0x9A, unreadable))
