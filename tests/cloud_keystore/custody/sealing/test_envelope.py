"""Envelopes and their attacks: every part is bound to the value's context and to its key."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody.sealing import envelope
from cloud_keystore.custody.sealing.envelope import HEADER_BYTES, WRAPPED_BYTES, KeyEncryptionKey
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.model.errors import KeyBackendUnavailable

ROOT = b"\1" * 32
OLD, NEW = KeyEncryptionKey.of(b"\2" * 32), KeyEncryptionKey.of(b"\3" * 32)
BODY = HEADER_BYTES + WRAPPED_BYTES


@given(st.binary(), st.text())
def test_a_value_renewed_opens_under_the_new_key_alone(value: bytes, context: str) -> None:
    sealed = Seal(ROOT, os.urandom, [OLD]).close(value, context)
    renewed = Seal(ROOT, os.urandom, [NEW, OLD]).renew(sealed, context)
    assert renewed[BODY:] == sealed[BODY:]
    assert Seal(ROOT, os.urandom, [NEW]).open(renewed, context) == value
    with pytest.raises(SealBroken):
        Seal(ROOT, os.urandom, [OLD]).open(renewed, context)


def test_renewing_what_is_under_the_current_key_changes_no_byte() -> None:
    seal = Seal(ROOT, os.urandom, [NEW, OLD])
    sealed = seal.close(b"value", "context")
    assert seal.renew(sealed, "context") == sealed


def test_a_retired_key_seals_and_opens_no_more() -> None:
    seal = Seal(ROOT, os.urandom, [NEW, OLD])
    under_new = seal.close(b"value", "context")
    assert not seal.forget({b"of another service"})
    assert seal.forget({NEW.id})
    with pytest.raises(SealBroken):
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
    nonce = os.urandom(12)
    bare = nonce + AESGCM(ROOT).encrypt(nonce, b"value", b"context")
    assert Seal(ROOT, os.urandom, bare=ROOT).open(bare, "context") == b"value"
    with pytest.raises(SealBroken):
        Seal(ROOT, os.urandom).open(bare, "context")


def test_no_downgrade_of_an_envelope_to_the_old_format() -> None:
    seal = Seal(ROOT, os.urandom, bare=ROOT)
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
