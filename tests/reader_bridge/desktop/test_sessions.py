"""Sessions at a screen, without a bus."""

from __future__ import annotations

import pytest

from reader_bridge.desktop.events import Event
from reader_bridge.desktop.sessions import Sessions

SEATED = {"Seat": ("seat0", "/seat0"), "Class": "user", "Active": True, "LockedHint": False}


def test_one_that_is_locked_from_the_beginning_is_told() -> None:
    assert Sessions().begin("/a", SEATED) is None
    assert Sessions().begin("/a", {**SEATED, "LockedHint": True}) is Event.LOCKED
    assert Sessions().begin("/a", {**SEATED, "Active": False}) is Event.AWAY


@pytest.mark.parametrize("other", [{"Seat": ("", "/")}, {"Class": "greeter"}])
def test_one_without_a_screen_or_person_does_not_count(other: dict[str, object]) -> None:
    sessions = Sessions()
    assert sessions.begin("/a", {**SEATED, **other, "LockedHint": True}) is None
    assert sessions.end("/a") is None


def test_of_several_one_is_enough_to_be_here() -> None:
    sessions = Sessions()
    sessions.begin("/a", SEATED)
    sessions.begin("/b", {**SEATED, "Active": False})
    assert sessions.change("/b", {"LockedHint": True}) is None
    assert sessions.change("/a", {"Active": False}) is Event.AWAY
    assert sessions.end("/a") is Event.AWAY
    assert sessions.end("/b") is Event.LOGGED_OFF
    assert sessions.end("/b") is None


def test_what_is_no_property_changes_nothing() -> None:
    sessions = Sessions()
    sessions.begin("/a", SEATED)
    assert sessions.change("/a", {"LockedHint": "yes", "Name": "ada"}) is None
    assert sessions.change("/other", {"LockedHint": True}) is None
    assert sessions.lock("/other") is None
