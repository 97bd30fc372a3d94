"""Public keys and the card verifiable certificate, as SP 800-73-5 part 2 has them."""

from __future__ import annotations

import pytest

from card_os import tlv
from card_os.piv.issuing import encode_keys


def test_public_keys() -> None:
    assert encode_keys.rsa_public_key(b"\xc0" * 256, b"\1\0\1") == (
        bytes.fromhex("81820100") + b"\xc0" * 256 + bytes.fromhex("8203010001")
    )
    assert encode_keys.ecc_public_key(b"\4" * 65) == bytes.fromhex("8641") + b"\4" * 65


def test_the_card_verifiable_certificate() -> None:
    oid = bytes.fromhex("2A8648CE3D030107")
    covered = encode_keys.verifiable_covered(b"issuer!!", b"g" * 16, oid, b"\4" * 65)
    assert covered == (
        bytes.fromhex("5F290180 4208")
        + b"issuer!!"
        + bytes.fromhex("5F2010")
        + b"g" * 16
        + bytes.fromhex("7F494D 0608")
        + oid
        + bytes.fromhex("8641")
        + b"\4" * 65
        + bytes.fromhex("5F4C0100")
    )
    whole = encode_keys.verifiable_certificate(covered, b"signature")
    inside = tlv.decode_one(0x7F21, whole)
    assert inside == covered + tlv.encode(0x5F37, b"signature")


@pytest.mark.parametrize(("issuer", "guid"), [(b"short", b"g" * 16), (b"issuer!!", b"g" * 15)])
def test_lengths_that_do_not_fit(issuer: bytes, guid: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        encode_keys.verifiable_covered(issuer, guid, b"", b"")
