"""What was put back is noticed by each process that knew better."""

from __future__ import annotations

import pytest

from cloud_keystore.storage.authentic import newest
from cloud_keystore.storage.authentic.newest import GONE, Newest

NAME = ("session", "a")


def test_an_earlier_version_is_older() -> None:
    known = Newest()
    known.learn({NAME: 2})
    assert known.is_older(NAME, 1, known.now)
    assert not known.is_older(NAME, 2, known.now)
    assert not known.is_older(NAME, 3, known.now)
    assert not known.is_older(("session", "b"), 0, known.now)


def test_a_transaction_that_began_before_sees_what_was_before() -> None:
    known = Newest()
    began = known.now
    known.learn({NAME: 2})
    assert not known.is_older(NAME, 1, began)


def test_what_is_learnt_later_does_not_make_less_of_it() -> None:
    known = Newest()
    known.learn({NAME: 5})
    began = known.now
    known.learn({NAME: 3})
    assert known.is_older(NAME, 4, began)


def test_what_was_deleted_does_not_come_back() -> None:
    known = Newest()
    known.learn({NAME: GONE})
    assert known.is_older(NAME, 1 << 40, known.now)


def test_the_oldest_half_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MOST_KNOWN", 10)
    known = Newest()
    for number in range(11):
        known.learn({("session", str(number)): 1})
    forgotten = [
        number for number in range(11) if not known.is_older(("session", str(number)), 0, known.now)
    ]
    assert forgotten == [0, 1, 2, 3, 4]
