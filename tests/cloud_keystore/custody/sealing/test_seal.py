from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody.sealing import envelope
from cloud_keystore.custody.sealing.seal import (
    Seal,
    SealBroken,
    SealingKeyError,
    load_key,
    load_or_make_key,
    make_key_file,
)
from cloud_keystore.model.errors import SealingKeyMissing
from private_files import rules, writing

SEAL = Seal(b"\1" * 32, os.urandom)


@given(st.binary(), st.text())
def test_what_is_sealed_opens_in_its_context_only(value: bytes, context: str) -> None:
    sealed = SEAL.close(value, context)
    assert SEAL.open(sealed, context) == value
    with pytest.raises(SealBroken):
        SEAL.open(sealed, context + "x")
    with pytest.raises(SealingKeyMissing):
        Seal(b"\2" * 32, os.urandom).open(sealed, context)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_altered_byte_breaks_the_seal(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEAL.close(value, "context"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    # Who changes the key's identifier names a key that is not here.
    names_a_key = len(envelope.FORMAT) <= place < envelope.HEADER_BYTES
    with pytest.raises(SealingKeyMissing if names_a_key else SealBroken):
        SEAL.open(bytes(sealed), "context")


@given(st.binary(max_size=40).filter(lambda junk: envelope.key_id(junk) is None))
def test_junk_does_not_open(junk: bytes) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(junk, "context")


def test_the_key_file(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    key = load_or_make_key(path, os.urandom)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_key(path, os.urandom) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "sealing.key"
    load_or_make_key(path, os.urandom)
    path.chmod(mode)
    with pytest.raises(SealingKeyError, match="chmod 600"):
        load_or_make_key(path, os.urandom)


def test_a_cut_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(SealingKeyError, match="backup"):
        load_or_make_key(path, os.urandom)


def test_no_key_in_a_repr() -> None:
    assert "\\x01" not in repr(SEAL)


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SealingKeyError, match=r"cannot read .*none: No such file") as refusal:
        load_key(tmp_path / "none")
    assert refusal.value.__cause__ is None


def test_where_files_have_no_modes_none_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sealing.key"
    key = make_key_file(path, os.urandom)
    path.chmod(0o644)
    monkeypatch.setattr(rules, "sys", SimpleNamespace(platform="win32"))
    assert load_key(path) == key


def test_a_key_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stored = tmp_path / "sealing.key", list[tuple[int, bool]]()
    writing.draft_of(path).write_bytes(b"left by a crash")
    monkeypatch.setattr(
        os, "fsync", lambda file: stored.append((os.fstat(file).st_size, path.exists()))
    )
    assert make_key_file(path, os.urandom) == path.read_bytes()
    assert stored[0] == (32, False)
    assert [there for _, there in stored] == [False, True]  # the folder, with the new name
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
