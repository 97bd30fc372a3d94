"""One damaged record stops what needs it, clearly and in the log alone; all else goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import pytest
from sqlalchemy import text

from card_os.keys import Refusal
from card_os.piv.names import KeyRef
from cloud_keystore.custody.use.using_sessions import Outcome, Used, UseRequest
from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision, State
from cloud_keystore.model.people import User
from cloud_keystore.model.sessions import Session
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import reason, refusal
from support.keystore_process import KeystoreProcess, Workstation, code, refused_call
from support.keystore_world import DIGEST, PASSCODE, SESSIONS, Enrolled, World

JUNK = "junk-from-the-disk"


@contextmanager
def damaged(
    world: World, table: str, column: str, value: object, of: str, is_: str
) -> Iterator[None]:
    """A value that was never written stands in a row meanwhile."""
    where = f"WHERE {of} = :is"
    with world.database.write() as connection:
        (was,) = connection.execute(
            text(f"SELECT {column} FROM {table} {where}"), {"is": is_}
        ).one()
        change = text(f"UPDATE {table} SET {column} = :value {where}")
        connection.execute(change, {"value": value, "is": is_})
    yield
    with world.database.write() as connection:
        connection.execute(change, {"value": was, "is": is_})


def sign(world: World, serial: str, pc: Enrolled, phone: Enrolled) -> bytes:
    operation = world.ask(serial, pc)
    world.decide(operation, phone)
    return world.perform(operation, pc)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("card", "state", JUNK),
        ("card", "profile", JUNK),
        ("card", "create_time", JUNK),
        ("card", "expire_time", 1 << 62),
        ("key", "algorithm", 255),
        ("key", "pin_policy", 99),
        ("key", "sealed_private", b"junk" * 30),
        ("key", "sealed_private", b""),
        ("passcode", "hash", JUNK),
        ("identity", "state", JUNK),
        ("policy", "document", '{"passwordless": 1}'),
    ],
)
def test_a_damaged_record(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, table: str, column: str, value: object
) -> None:
    user, phone = ada
    serial = world.card(user)
    card = world.find(serial).card
    other_user, other_phone = world.user("Bo")
    other = world.card(other_user, "p256")
    rows = {
        "card": ("id", card.id),
        "key": ("card_id", card.id),
        "passcode": ("card_id", card.id),
        "identity": ("id", phone.identity.id),
        "policy": ("profile", "p256"),
    }
    if table == "key":  # of several keys the one that is used
        (key,) = (key for key in world.keys(serial) if key.key_ref == 0x9A)
        rows["key"] = ("id", key.id)
    if table == "passcode":
        rows["passcode"] = ("key_ref = 128 AND card_id", card.id)
    if table == "policy":
        world.set_policy(SESSIONS, profile="p256")
    with damaged(world, table, column, value, *rows[table]):
        with pytest.raises(RecordDamaged) as caught:
            sign(world, serial, pc, phone)
        assert JUNK not in str(caught.value)
        assert "backup" in str(caught.value)
        if table != "policy":  # which holds for both cards
            sign(world, other, pc, other_phone)
        world.clock.forward(hours=1)  # what was asked for ends, though its card is damaged
        world.sweep()
    world.clock.forward(hours=1)
    world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    sign(world, serial, pc, phone)


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", 99), ("kind", 99), ("key_use", JUNK), ("expire_time", JUNK), ("decision", 77)],
)
def test_a_damaged_operation(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, column: str, value: object
) -> None:
    user, phone = ada
    serial = world.card(user)
    operation = world.ask(serial, pc)
    world.decide(operation, phone)
    with damaged(world, "operation", column, value, "id", operation.id):
        with pytest.raises(RecordDamaged):
            world.perform(operation, pc)
        sign(world, world.card(user), pc, phone)
    if world.state(operation) is State.APPROVED:  # the approval was not spent on it
        world.perform(operation, pc)


def use_together(world: World, pc: Enrolled, *sessions: Session) -> dict[int, Outcome]:
    """Uses of sessions that come at once, and are taken in one transaction."""
    outcomes: dict[int, Outcome] = {}
    certificate = pc.identity.certificate_sha256
    asked = [UseRequest(each.id, os.urandom(16), (DIGEST,), certificate) for each in sessions]
    world.sessions.use_all(asked, outcomes.__setitem__)
    return outcomes


def test_a_damaged_session_keeps_no_other_open(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    world.set_policy(SESSIONS)
    first, second = (world.session(world.card(ada[0]), pc, ada[1]) for _ in range(2))
    with damaged(world, "session", "key_use", 99, "id", first.id):
        with pytest.raises(RecordDamaged):
            world.use(first, pc)
        outcomes = use_together(world, pc, first, second)
        assert isinstance(outcomes[0], RecordDamaged)
        assert isinstance(outcomes[1], Used)
        world.clock.forward(hours=2)
        world.sweep()
        with world.database.read() as connection:
            still_open = connection.execute(text("SELECT id FROM session WHERE end_time IS NULL"))
            assert still_open.scalars().all() == [first.id]  # which nobody can use
    world.sweep()
    with world.database.read() as connection:
        still_open = connection.execute(text("SELECT id FROM session WHERE end_time IS NULL"))
        assert still_open.all() == []


@pytest.mark.parametrize("value", [JUNK, 1 << 62])
def test_a_value_of_another_kind_keeps_no_other_open(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, value: object
) -> None:
    """Such a value shows when the row is fetched, before its code is checked: no operation or
    session expired any more.
    """
    world.set_policy(SESSIONS)
    cards = [world.card(ada[0]) for _ in range(4)]
    sessions = [world.session(each, pc, ada[1]) for each in cards[:2]]
    operations = [world.ask(each, pc) for each in cards[2:]]
    world.clock.forward(hours=2)
    with (
        damaged(world, "session", "create_time", value, "id", sessions[0].id),
        damaged(world, "operation", "create_time", value, "id", operations[0].id),
    ):
        world.sweep()
        ended = world.journal(Kind.OPERATION_EXPIRED, Kind.SESSION_ENDED)
        assert {each.operation_id for each in ended} == {sessions[1].id, operations[1].id}
    world.sweep()
    assert len(world.journal(Kind.OPERATION_EXPIRED, Kind.SESSION_ENDED)) == 4


def test_a_damaged_alert(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    world.decide(world.ask(world.card(ada[0]), pc), ada[1], Decision.NOT_ME)
    (entry,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    with damaged(world, "alert", "kind", JUNK, "id", entry.alert.id), pytest.raises(RecordDamaged):
        world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert world.alerts.list_all(include_acknowledged=False, actor=world.actor) == [entry]


def change(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(statement, values)


def test_callers_are_told_no_more_than_where_the_log_tells_it(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        user_id, phone = keystore.holder("ada")
        serial, other = keystore.card(user_id, phone), keystore.card(user_id, phone)
        channel = identity.channel(keystore.workstation("pc"))
        cards = [
            Workstation(workstation_pb2_grpc.WorkstationServiceStub(channel), each)
            for each in (serial, other)
        ]
        file = tmp_path / "keystore" / "keystore.db"
        change(file, "UPDATE card SET state = ? WHERE serial = ?", JUNK, serial)
        told = refused_call(cards[0].proof)
        assert code(told) is grpc.StatusCode.DATA_LOSS
        assert reason(told) == "RECORD_DAMAGED"
        assert refusal(told) is Refusal.UNAVAILABLE
        assert isinstance(told, grpc.Call)
        incident = str(told.details()).rpartition(" ")[2]
        log = (tmp_path / "logs" / "keystore.log").read_text()
        (line,) = (line for line in log.splitlines() if incident in line)
        assert "card" in line
        assert JUNK not in log
        assert "Traceback" not in log
        cards[1].create(b"\x01" * 16)
        change(file, "UPDATE card SET state = ? WHERE serial = ?", "active", serial)
        cards[0].create(b"\x02" * 16)
        channel.close()
