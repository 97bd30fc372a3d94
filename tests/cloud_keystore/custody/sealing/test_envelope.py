"""Envelopes and their attacks: every part is bound to the value's context and to its key."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import count
from math import comb

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody.sealing import envelope
from cloud_keystore.custody.sealing.envelope import HEADER_BYTES, WRAPPED_BYTES, KeyEncryptionKey
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import KeyBackendUnavailable, SealingKeyMissing

ROOT = b"\1" * 32
OLD, NEW = KeyEncryptionKey.of(b"\2" * 32), KeyEncryptionKey.of(b"\3" * 32)
BODY = HEADER_BYTES + WRAPPED_BYTES
# "value" in "context" under OLD, as each version seals it with the random bytes 00 01 02 ...
VERSION_1 = bytes.fromhex(
    "cc5301254afa1ab81e4b652c2d2e2f3031323334353637ef6de0a7051ca3f91a9227ea30785eec0447febba8b752b0"
    "0f88086d855d2e3e9efa62b40fc018cd894a7af08be666a4202122232425262728292a2ba45bca0509c2b73d934087"
    "566753112b85fb6a540c"
)
VERSION_2 = bytes.fromhex(
    "cc5302254afa1ab81e4b652c2d2e2f30313233343536372704a5b5a5ae7973c2e18404a87f9be0d5b6958afdaa2dcc"
    "bbcbaf74e0c4756519c292cc09e724def98d8b8da2bf77cd202122232425262728292a2b427dd1d6ec79296e48ef19"
    "25340e32feb41170f3fa"
)
BUSY = 10**9 * 365 * 10  # uses of a key a day, for ten years


@given(st.binary(), st.text())
def test_a_value_renewed_opens_under_the_new_key_alone(value: bytes, context: str) -> None:
    sealed = Seal(ROOT, os.urandom, [OLD]).close(value, context)
    renewed = Seal(ROOT, os.urandom, [NEW, OLD]).renew(sealed, context)
    assert renewed[BODY:] == sealed[BODY:]
    assert Seal(ROOT, os.urandom, [NEW]).open(renewed, context) == value
    with pytest.raises(SealingKeyMissing, match=NEW.id.hex()):
        Seal(ROOT, os.urandom, [OLD]).open(renewed, context)


def test_renewing_what_is_under_the_current_key_changes_no_byte() -> None:
    seal = Seal(ROOT, os.urandom, [NEW, OLD])
    sealed = seal.close(b"value", "context")
    assert seal.renew(sealed, "context") == sealed


def counting() -> Random:
    """Randomness that is always the same."""
    following = count()
    return lambda size: bytes(next(following) % 256 for _ in range(size))


def test_envelopes_are_made_as_the_protocol_says() -> None:
    assert Seal(ROOT, counting(), [OLD]).close(b"value", "context") == VERSION_2


@pytest.mark.parametrize("sealed", [VERSION_1, VERSION_2])
def test_envelopes_of_every_version_open(sealed: bytes) -> None:
    assert Seal(ROOT, os.urandom, [OLD]).open(sealed, "context") == b"value"
    for place in range(len(sealed)):
        altered = sealed[:place] + bytes([sealed[place] ^ 3]) + sealed[place + 1 :]
        with pytest.raises((SealBroken, SealingKeyMissing)):
            Seal(ROOT, os.urandom, [OLD]).open(altered, "context")


@pytest.mark.parametrize("keys", [[OLD], [NEW, OLD]])
def test_renewing_an_envelope_of_version_1_seals_its_value_anew(
    keys: list[KeyEncryptionKey],
) -> None:
    seal = Seal(ROOT, os.urandom, keys)
    renewed = seal.renew(VERSION_1, "context")
    assert renewed.startswith(envelope.FORMAT)
    assert envelope.key_id(renewed) == keys[0].id
    assert seal.open(renewed, "context") == b"value"
    with pytest.raises(SealBroken):
        seal.renew(VERSION_1, "another context")


def test_an_envelope_is_not_opened_by_the_cipher_of_another_version() -> None:
    seal = Seal(ROOT, os.urandom, [OLD])
    for sealed, other in ((VERSION_1, envelope.FORMAT), (VERSION_2, envelope.FORMAT_1)):
        with pytest.raises(SealBroken):
            seal.open(other + sealed[len(other) :], "context")


def test_randomness_that_repeats_reveals_no_difference_of_two_values() -> None:
    """As on a machine that was copied while it ran. Under AES-GCM, the ciphertexts of two values
    differed as the values do, and the key that authenticates both could be computed.
    """
    one, other = bytes(32), b"\5" * 32
    sealed = [Seal(ROOT, counting(), [OLD]).close(value, "context") for value in (one, other)]
    ends = [int.from_bytes(each[-48:-16]) for each in sealed]
    assert (ends[0] ^ ends[1]).to_bytes(32) != other
    assert sealed[0][:BODY] == sealed[1][:BODY]


def test_a_key_lasts_for_more_than_a_busy_service_seals() -> None:
    """Two data keys of one nonce are revealed only if their synthetic nonces (127 bits) are equal
    too (RFC 8452, 4). Each wrap takes six blocks of the key-encryption key, of which half is used
    to derive others (4): what tells them from random ones is Stam's bound of truncation.
    """
    pairs = comb(BUSY, 2)
    assert Fraction(pairs, 2 ** (8 * envelope.NONCE_BYTES + 127)) < Fraction(1, 2**40)
    blocks = 6 * BUSY
    squared = Fraction((2**64 - 1) * comb(blocks, 2), 2 * 2**128 * (2**128 - blocks))
    assert squared < Fraction(1, 2**40) ** 2
    # Under AES-GCM, where one repetition reveals the key of all tags, this was the chance of it.
    assert Fraction(pairs, 2 ** (8 * envelope.NONCE_BYTES)) > Fraction(1, 2**14)


@pytest.mark.parametrize(
    ("value", "associated", "sealed"),
    [
        ("", "", "07f5f4169bbf55a8400cd47ea6fd400f"),
        ("0100000000000000", "", "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"),
        (
            "010000000000000000000000",
            "",
            "9aab2aeb3faa0a34aea8e2b18ca50da9ae6559e48fd10f6e5c9ca17e",
        ),
        ("0200000000000000", "01", "1de22967237a813291213f267e3b452f02d01ae33e4ec854"),
    ],
)
def test_the_cipher_is_that_of_rfc_8452(value: str, associated: str, sealed: str) -> None:
    """Appendix C.2."""
    cipher = envelope.CIPHERS[envelope.FORMAT](b"\1" + bytes(31))
    nonce, given = b"\3" + bytes(11), bytes.fromhex(associated)
    assert cipher.encrypt(nonce, bytes.fromhex(value), given).hex() == sealed
    assert cipher.decrypt(nonce, bytes.fromhex(sealed), given).hex() == value


def test_a_retired_key_seals_and_opens_no_more() -> None:
    seal = Seal(ROOT, os.urandom, [NEW, OLD])
    under_new = seal.close(b"value", "context")
    assert not seal.forget({b"of another service"})
    assert seal.forget({NEW.id})
    with pytest.raises(SealingKeyMissing):
        seal.open(under_new, "context")
    assert Seal(ROOT, os.urandom, [OLD]).open(seal.close(b"value", "context"), "context")
    assert seal.forget({NEW.id, OLD.id})
    with pytest.raises(KeyBackendUnavailable, match="restart"):
        seal.close(b"value", "context")


def test_values_of_before_envelopes_open_no_more_when_their_key_is_retired() -> None:
    nonce = bytes(12)
    bare = nonce + AESGCM(ROOT).encrypt(nonce, b"value", b"context")
    seal = Seal(ROOT, os.urandom, [NEW, KeyEncryptionKey.of(ROOT)], bare=ROOT)
    assert seal.open(bare, "context") == b"value"
    assert seal.forget({KeyEncryptionKey.of(ROOT).id})
    with pytest.raises(SealBroken):
        seal.open(bare, "context")


def test_a_data_key_of_another_value_is_refused() -> None:
    seal = Seal(ROOT, os.urandom)
    one, other = seal.close(b"one", "key 1"), seal.close(b"other", "key 1")
    with pytest.raises(SealBroken):
        seal.open(one[:BODY] + other[BODY:], "key 1")


def test_a_key_id_exchanged_is_refused() -> None:
    seal = Seal(ROOT, os.urandom, [NEW, OLD])
    sealed = seal.close(b"value", "context")
    forged = envelope.FORMAT + OLD.id + sealed[HEADER_BYTES:]
    with pytest.raises(SealBroken):
        seal.open(forged, "context")
    with pytest.raises(SealBroken):
        seal.renew(forged, "context")


def test_the_old_format_opens_only_where_it_was_in_use() -> None:
    nonce = bytes(12)
    bare = nonce + AESGCM(ROOT).encrypt(nonce, b"value", b"context")
    assert Seal(ROOT, os.urandom, bare=ROOT).open(bare, "context") == b"value"
    with pytest.raises(SealBroken):
        Seal(ROOT, os.urandom).open(bare, "context")


def test_no_downgrade_of_an_envelope_to_the_old_format() -> None:
    seal = Seal(ROOT, counting(), bare=ROOT)  # no part of it begins as an envelope by chance
    sealed = seal.close(b"value", "context")
    for cut in (len(envelope.FORMAT), HEADER_BYTES, BODY):
        with pytest.raises(SealBroken):
            seal.open(sealed[cut:], "context")


def test_derived_secrets_do_not_depend_on_the_key_encryption_key() -> None:
    one, other = (Seal(ROOT, os.urandom, [key]) for key in (OLD, NEW))
    assert one.derive("qr", b"x") == other.derive("qr", b"x")


def test_no_key_in_a_repr() -> None:
    assert "\\x02" not in repr(OLD)


def test_what_is_an_envelope() -> None:
    """A value of before envelopes has a random nonce where an envelope says what it is."""
    key = KeyEncryptionKey.of(b"\1" * 32)
    header = key.wrap(bytes(32), b"", os.urandom)
    assert envelope.key_id(header) == key.id
    assert envelope.key_id(header + bytes(100)) == key.id
    assert envelope.key_id(header[:-1]) is None
    assert envelope.key_id(b"\0" + header[1:] + bytes(100)) is None
    assert envelope.key_id(b"") is None


def test_values_of_before_envelopes_open_until_their_key_is_retired() -> None:
    old, nonce = b"\5" * 32, bytes(12)
    bare = nonce + AESGCM(old).encrypt(nonce, b"value", b"context")
    seal = Seal(ROOT, os.urandom, [NEW, OLD, KeyEncryptionKey.of(old)], old)
    assert seal.forget({OLD.id})
    assert seal.open(bare, "context") == b"value"
    for broken in (b"", b"short", bare[:-1], bare + b"\0"):
        with pytest.raises(SealBroken, match="sealed value of context does not open"):
            seal.open(broken, "context")
    assert seal.forget({KeyEncryptionKey.of(old).id})
    with pytest.raises(SealBroken):
        seal.open(bare, "context")
