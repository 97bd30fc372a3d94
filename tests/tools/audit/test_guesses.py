"""Tries of a passcode that were given back show in the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from cloudcard_tools.audit.grounds import Wrong
from cloudcard_tools.audit.guesses import FORGIVEN, Guesses
from support.keystore_world import PASSCODE, Enrolled, World, new_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    yield world
    world.database.close()


@pytest.fixture
def pc(world: World) -> Enrolled:
    return world.workstation()


@pytest.fixture
def serial(world: World) -> str:
    """An active card."""
    return world.card(world.user()[0])


def judge(world: World) -> list[str]:
    """What is wrong with a keystore's journal."""
    guesses, found = Guesses(), []
    for entry in world.journal():
        if entry.kind in FORGIVEN:
            guesses.forgive(entry)
        if entry.kind is Kind.PASSCODE_WRONG:
            try:
                guesses.wrong(entry)
            except Wrong as wrong:
                found.append(str(wrong))
    return found


def guess(world: World, serial: str, pc: Enrolled, passcode: bytes = b"000000") -> None:
    world.clock.forward(minutes=2)
    world.passcodes.verify(serial, KeyRef.PIN, passcode, pc.identity)


def test_failures_have_numbers(world: World, pc: Enrolled, serial: str) -> None:
    for passcode in (b"000000", b"000001", PASSCODE, b"000002"):
        guess(world, serial, pc, passcode)
    told = [entry.details["failures"] for entry in world.journal(Kind.PASSCODE_WRONG)]
    assert told == [1, 2, 1]
    assert judge(world) == []


def test_an_unlock_forgives_nothing(world: World, pc: Enrolled, serial: str) -> None:
    for _ in range(3):
        guess(world, serial, pc)
    world.unlock(serial)
    guess(world, serial, pc)
    told = [entry.details["failures"] for entry in world.journal(Kind.PASSCODE_WRONG)]
    assert told == [1, 2, 3, 4]
    assert judge(world) == []


def test_tries_that_were_given_back(world: World, pc: Enrolled, serial: str) -> None:
    """As by somebody who puts the record back for a process that has not seen it change."""
    for _ in range(4):
        guess(world, serial, pc)
        with world.database.write() as connection:
            rows.change(connection, tables.passcode, [], {"tries_left": 3, "failures": 0})
    assert len(judge(world)) == 3
    assert all("failure 1 of this passcode was told before" in each for each in judge(world))


def test_two_at_the_same_time_are_told_in_any_order(
    world: World, pc: Enrolled, serial: str
) -> None:
    guess(world, serial, pc)
    (entry,) = world.journal(Kind.PASSCODE_WRONG)
    guesses = Guesses()
    guesses.wrong(entry)
    guesses.wrong(entry)
    later = replace(entry, time=entry.time + timedelta(minutes=2))
    with pytest.raises(Wrong, match="told before"):
        guesses.wrong(later)
    guesses.restored(entry)
    guesses.wrong(later)
