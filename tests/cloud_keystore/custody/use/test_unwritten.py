"""Results that wait until a transaction stores them: none is lost, and none waits for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloud_keystore.custody.use.unwritten import LONGEST, MOST, Unwritten
from cloud_keystore.storage.session_uses import Ended

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def ended(name: str, time: datetime = NOW) -> Ended:
    return Ended(name, b"result", time)


def due(unwritten: Unwritten, now: datetime) -> list[str]:
    with unwritten.due(now) as found:
        return [each.id for each in found]


def test_nothing_is_due_where_nothing_waits() -> None:
    assert due(Unwritten(), NOW + LONGEST) == []


def test_all_are_due_when_one_has_waited_long() -> None:
    unwritten = Unwritten()
    unwritten.add(ended("old"))
    unwritten.add(ended("young", NOW + LONGEST))
    assert due(unwritten, NOW + LONGEST - MOMENT) == []
    assert due(unwritten, NOW + LONGEST) == ["old", "young"]
    assert due(unwritten, NOW + 2 * LONGEST) == []  # they are stored


def test_all_are_due_when_they_are_many() -> None:
    unwritten = Unwritten()
    for number in range(MOST - 1):
        unwritten.add(ended(str(number)))
    assert due(unwritten, NOW) == []
    unwritten.add(ended("last"))
    assert len(due(unwritten, NOW)) == MOST


def test_what_could_not_be_stored_waits_before_what_came_since() -> None:
    unwritten = Unwritten()
    for name in ("1", "2"):
        unwritten.add(ended(name))
    with pytest.raises(OSError, match="full"):
        store_nothing(unwritten)
    with unwritten.all() as found:
        assert [each.id for each in found] == ["1", "2", "3"]


def store_nothing(unwritten: Unwritten) -> None:
    """As a database that has no room: another result comes meanwhile."""
    with unwritten.all() as found:
        unwritten.add(ended("3"))
        assert [each.id for each in found] == ["1", "2"]
        raise OSError("full")
