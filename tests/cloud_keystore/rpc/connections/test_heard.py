"""Which calls ask a client what it is."""

from __future__ import annotations

import pytest

from cloud_keystore.rpc.connections import heard
from cloud_keystore.rpc.connections.heard import SECONDS, Heard


def test_once_for_a_connection_and_once_an_hour() -> None:
    now = [0.0]
    asked = Heard(lambda: now[0])
    assert [asked.is_due("a", b"1") for _ in range(3)] == [True, False, False]
    assert asked.is_due("b", b"1")
    assert asked.is_due("a", b"2")
    now[0] = SECONDS
    assert [asked.is_due("b", b"1") for _ in range(2)] == [True, False]


def test_it_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "MOST_CALLERS", 2)
    asked = Heard(lambda: 0.0)
    assert all(asked.is_due("a", fingerprint) for fingerprint in (b"1", b"2", b"3"))
    assert not asked.is_due("a", b"3")
    assert asked.is_due("a", b"1")
