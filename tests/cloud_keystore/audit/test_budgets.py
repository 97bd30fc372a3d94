"""Nobody fills the disk with entries of the journal, and nobody is kept from ending something."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.engine import make_url

from card_os.piv.names import KeyRef
from cloud_keystore.audit.budgets import BEGINNINGS, CLOSINGS, USES
from cloud_keystore.config import Settings
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import JournalBudgetSpent, StorageUnavailable, TooManyRefusals
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.limits import Limits, budgets, with_limits
from cloud_keystore.model.operations import Decision, State
from cloud_keystore.model.people import User
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.looks import answers
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.storage import budgets as rows
from cloud_keystore.storage.databases import sqlite
from support.keystore_world import (
    OPERATOR,
    SESSIONS,
    TERMS,
    Enrolled,
    FakeClock,
    World,
    add_operators,
)

BURST = 20
PER_SECOND = 0.1
SMALL = budgets(
    with_limits(
        Limits(), [f"journal-{who}={PER_SECOND}/{BURST}" for who in ("workstation", "device")]
    ).rates
)


@pytest.fixture
def bounded(world: World) -> World:
    """A world with small budgets for those who have cards and workstations."""
    world.database.limit_growth(SMALL, 0)
    return world


def spend(world: World, serial: str, pc: Enrolled) -> int:
    """Give the right passcode until the workstation's budget is used up; how often that was."""
    for given in range(10 * BURST):
        try:
            world.proof(serial, pc)
        except JournalBudgetSpent:
            return given
    raise AssertionError("nothing bounds what a workstation writes")


def written_by(world: World, actor: Actor) -> int:
    return sum(each.actor == actor for each in world.journal())


def test_a_workstation_that_asks_and_cancels_fills_no_disk(
    bounded: World, serial: str, pc: Enrolled
) -> None:
    """The attack: fifty calls a second, each with entries that nobody may ever delete."""
    for _ in range(10 * BURST):
        try:
            operation = bounded.ask(serial, pc)
            bounded.asking.cancel(operation.id, pc.identity)
        except TooManyRefusals:
            pass  # its proof of the passcode was an entry
        except JournalBudgetSpent as refused:
            assert 0 < refused.retry_seconds <= 2 / PER_SECOND
            break
    assert written_by(bounded, pc.identity.actor) == BURST
    bounded.ask(serial, bounded.workstation("other"))  # nobody else is kept waiting


@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
def test_a_restart_gives_nothing_back_and_time_does(
    bounded: World, serial: str, pc: Enrolled
) -> None:
    spend(bounded, serial, pc)
    bounded.database.close()
    bounded.database.limit_growth(SMALL, 0)
    with pytest.raises(JournalBudgetSpent) as refused:
        bounded.proof(serial, pc)
    bounded.clock.forward(seconds=refused.value.retry_seconds)
    bounded.proof(serial, pc)
    with pytest.raises(JournalBudgetSpent):
        bounded.proof(serial, pc)
    bounded.clock.forward(days=30)
    assert spend(bounded, serial, pc) == BURST


def test_a_passcode_that_is_refused_for_the_budget_spends_no_try(
    bounded: World, serial: str, pc: Enrolled
) -> None:
    spend(bounded, serial, pc)
    for _ in range(5):
        with pytest.raises(JournalBudgetSpent):
            bounded.passcodes.verify(serial, KeyRef.PIN, b"000000", pc.identity)
    other = bounded.workstation("other")
    assert bounded.proof(serial, other)
    assert not bounded.journal(Kind.PASSCODE_WRONG)


def test_who_has_no_budget_left_can_still_end_things(
    bounded: World, serial: str, pc: Enrolled, ada: tuple[User, Enrolled]
) -> None:
    device = ada[1]
    waiting = [bounded.ask(bounded.card(ada[0]), pc) for _ in range(2)]
    reported = bounded.ask(serial, bounded.workstation("other"))
    spend(bounded, serial, pc)
    used_up(bounded, device.identity.actor)
    bounded.asking.cancel(waiting[0].id, pc.identity)
    assert bounded.state(waiting[0]) is State.CANCELLED
    assert bounded.decide(waiting[1], device, Decision.DENY) is State.DENIED
    bounded.decide(reported, device, Decision.NOT_ME)
    assert bounded.find(serial).card.state is CardState.SUSPENDED


def used_up(world: World, actor: Actor) -> None:
    """Let somebody have no budget left."""
    world.database.limit_growth({**SMALL, actor.kind: SMALL[ActorKind.DEVICE]}, 0)
    with world.database.write() as connection:
        rate = SMALL[ActorKind.DEVICE]
        rows.put(connection, actor.id, rows.Spent(0.0), 2 * BURST, rate, world.clock())


def test_an_operator_without_a_budget_can_still_suspend_and_revoke(
    bounded: World, serial: str
) -> None:
    operator = bounded.operator().identity
    used_up(bounded, operator.actor)
    with pytest.raises(JournalBudgetSpent):
        bounded.people.add_user("Bo", "", "", "", actor=operator.actor)
    bounded.cards.suspend(serial, actor=operator.actor)
    with pytest.raises(JournalBudgetSpent):
        bounded.cards.resume(serial, actor=operator.actor)
    bounded.cards.revoke(serial, "stolen", actor=operator.actor)
    assert bounded.find(serial).card.state is CardState.REVOKED


def test_uses_within_an_approval_do_not_count(
    bounded: World, serial: str, pc: Enrolled, ada: tuple[User, Enrolled]
) -> None:
    bounded.set_policy(SESSIONS)
    session = bounded.session(serial, pc, ada[1], TERMS)
    for _ in range(2 * BURST):
        bounded.use(session, pc)
    assert len(bounded.journal(Kind.SESSION_USED)) == 2 * BURST
    assert bounded.proof(serial, pc)


def test_the_registration_authority_is_told_once(bounded: World, serial: str, pc: Enrolled) -> None:
    telling = Budgets(bounded.database, bounded.clock)

    def told() -> int:
        telling.tell()
        every = bounded.alerts.list_all(include_acknowledged=True, actor=bounded.actor)
        found = [each for each in every if each.alert.kind is AlertKind.JOURNAL_BUDGET]
        assert all(each.workstation_display_name == pc.identity.display_name for each in found)
        return len(found)

    def full() -> float:
        return telling.full()["workstation"]

    assert (told(), full()) == (0, 0)
    spend(bounded, serial, pc)
    assert (told(), told(), full()) == (1, 1, 1)
    bounded.clock.forward(seconds=1 / PER_SECOND)
    spend(bounded, serial, pc)
    assert told() == 1  # it goes on
    bounded.clock.forward(days=1)
    spend(bounded, serial, pc)
    assert told() == 2


def test_without_room_nothing_begins_and_everything_can_end(
    bounded: World,
    serial: str,
    pc: Enrolled,
    ada: tuple[User, Enrolled],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk stopped evidence as well as uses."""
    device, more = ada[1], bounded.workstation("other")
    approved, waiting = bounded.ask(serial, pc), bounded.ask(serial, more)
    proof = bounded.proof(serial, pc)
    bounded.decide(approved, device)
    assert answers(bounded.database)
    with monkeypatch.context() as small:
        small.setattr(sqlite, "has_room", lambda *_: False)
        begins: tuple[Callable[[], object], ...] = (
            lambda: bounded.ask(serial, pc, proof=proof),
            lambda: bounded.proof(serial, pc),
            lambda: bounded.perform(approved, pc),
            lambda: bounded.people.add_workstation("new", "", actor=bounded.actor),
        )
        for begin in begins:
            with pytest.raises(StorageUnavailable, match="make room"):
                begin()
        assert not answers(bounded.database)
        assert bounded.decide(waiting, device, Decision.DENY) is State.DENIED
        assert bounded.take_in() > 0
    assert bounded.perform(approved, pc)


@pytest.mark.parametrize(
    ("size", "free", "expected"),
    [(10_000, 100, True), (10_000, 99, False), (100, 2, True), (100, 1, False)],
)
def test_of_a_small_disk_less_is_kept_free(
    size: int, free: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_frsize=4096, f_blocks=size, f_bavail=free)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    assert sqlite.has_room(make_url("sqlite:////there/keystore.db"), 100 * 4096) is expected


def test_what_ends_something_is_never_refused() -> None:
    assert not BEGINNINGS & USES
    assert {
        Kind.OPERATION_CANCELLED,
        Kind.OPERATION_DENIED,
        Kind.OPERATION_REPORTED,
        Kind.IDENTITY_REMOVED,
        Kind.CARD_SUSPENDED,
        Kind.CARD_REVOKED,
        Kind.PASSCODE_BLOCKED,
        Kind.KEY_DESTROYED,
    } <= CLOSINGS


def test_a_served_keystore_has_budgets_as_they_are_set(tmp_path: Path) -> None:
    settings = Settings(tmp_path, limits=with_limits(Limits(), ["journal-operator=0.5/3"]))
    with closing(own(settings)) as hold, open_keystore(settings, hold, FakeClock()) as parts:
        add_operators(parts.database)
        for number in range(3):
            parts.people.add_workstation(f"pc{number}", "", actor=OPERATOR)
        with pytest.raises(JournalBudgetSpent):
            parts.people.add_workstation("pc3", "", actor=OPERATOR)
