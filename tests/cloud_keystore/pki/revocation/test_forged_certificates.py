"""Somebody writes the database without a sealing key, so that a revoked certificate seems good."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, select, update

from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.errors import AuthorityNotFound, RecordDamaged, RowNotAuthentic
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage.authentic.rows import Rows
from cloud_keystore.storage.revocation.certificates import certificate as table
from cloud_keystore.storage.revocation.lists import revocation_document, revocation_list
from support.checking import GOOD, UNKNOWN, UNSPECIFIED, Checker
from support.keystore_world import OPERATOR, World

AS_GOOD = {"reason": None, "revoke_time": None, "invalid_time": None, "list_time": None}


def forge(world: World, change: Callable[[Connection], object]) -> None:
    with world.database.write() as connection:
        change(connection)


@pytest.fixture
def revoked(world: World, checker: Checker, serial: str) -> str:
    """A card that is revoked, as the list says."""
    world.cards.revoke(serial, "left", actor=OPERATOR)
    assert len(checker.list()) == 4
    return serial


@pytest.mark.parametrize("columns", [AS_GOOD, {"reason": None}, {"reason": "superseded"}])
def test_a_record_that_is_changed_is_never_good(
    world: World, checker: Checker, revoked: str, columns: dict[str, str | None]
) -> None:
    before = checker.list()
    forge(world, lambda connection: connection.execute(update(table).values(columns)))
    world.clock.forward(days=1)
    assert {checker.told(key) for key in world.keys(revoked)} == {"INTERNAL_ERROR"}
    assert checker.list().last_update_utc == before.last_update_utc  # no other one is signed
    assert len(checker.list()) == 4


def test_a_record_that_is_deleted_is_never_good(
    world: World, checker: Checker, revoked: str
) -> None:
    before = checker.list()
    forge(world, lambda connection: connection.execute(delete(table)))
    world.clock.forward(days=1)
    assert {checker.told(key) for key in world.keys(revoked)} == {UNKNOWN}
    assert checker.list().last_update_utc == before.last_update_utc


def test_one_that_is_hidden_is_missed_though_another_is_listed_instead(
    world: World, checker: Checker, revoked: str
) -> None:
    """The number of certificates on the list would be right."""
    other = world.card(world.find(revoked).user)
    gone, kept = (world.find(each).card.id for each in (revoked, other))
    before = checker.list()
    with world.database.read() as connection:
        [row, *_] = connection.execute(select(table).where(table.c.card_id == gone)).mappings()
    listed = {name: row[name] for name in AS_GOOD}
    forge(
        world, lambda it: it.execute(update(table).where(table.c.card_id == gone).values(AS_GOOD))
    )
    forge(world, lambda it: it.execute(update(table).where(table.c.card_id == kept).values(listed)))
    world.clock.forward(days=1)
    assert checker.list().last_update_utc == before.last_update_utc


@pytest.mark.usefixtures("revoked")
def test_the_registration_authority_is_told_once(world: World, checker: Checker) -> None:
    forge(world, lambda connection: connection.execute(delete(table)))
    world.clock.forward(days=1)
    for _ in range(3):
        checker.publishing.look()
    told = [
        each.alert for each in world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    ]
    assert [each.kind for each in told] == [AlertKind.REVOCATION_LIST]
    assert "cloudcard card CA" in told[0].text
    assert len(world.journal(Kind.ALERT_RAISED)) == 1


def test_a_record_that_looks_revoked_before_it_is_revoked(world: World, serial: str) -> None:
    """Otherwise no list would have it."""
    forge(world, lambda connection: connection.execute(update(table).values(reason="superseded")))
    with pytest.raises(RowNotAuthentic):
        world.cards.revoke(serial, "left", actor=OPERATOR)


def test_a_record_that_is_deleted_before_it_is_revoked(
    world: World, checker: Checker, serial: str
) -> None:
    forge(world, lambda connection: connection.execute(delete(table)))
    world.cards.revoke(serial, "left", actor=OPERATOR)
    assert [checker.says(key) for key in world.keys(serial)] == [{UNSPECIFIED}] * 4


def test_a_record_that_is_put_back(world: World, checker: Checker, serial: str) -> None:
    with world.database.read() as connection:
        before = [dict(row) for row in connection.execute(select(table)).mappings()]
    assert {checker.told(key) for key in world.keys(serial)} == {GOOD}
    world.cards.revoke(serial, "left", actor=OPERATOR)
    with world.database.write() as connection:
        for row in before:
            where = table.c.serial == row["serial"]
            connection.execute(update(table).where(where).values(row))
    assert {checker.told(key) for key in world.keys(serial)} == {"INTERNAL_ERROR"}


def test_a_list_that_is_put_back(
    world: World, checker: Checker, serial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process notices it that has not seen the newer one."""
    checker.list()
    with world.database.read() as connection:
        rows = connection.execute(select(revocation_document)).mappings()
        before = {row["issuer"]: dict(row) for row in rows}[checker.issuer.key_id]
    world.cards.revoke(serial, "left", actor=OPERATOR)
    checker.list()
    where = revocation_document.c.issuer == checker.issuer.key_id
    forge(world, lambda it: it.execute(update(revocation_document).where(where).values(before)))
    unaware = Rows()
    unaware.codes.use(world.seal.row_key)
    monkeypatch.setattr(world.database, "_rows", unaware)
    with pytest.raises(RecordDamaged, match="another than it was"):
        checker.publishing.document(checker.issuer.key_id)


def test_a_list_that_is_said_to_be_new_enough(world: World, checker: Checker) -> None:
    """It has no other one signed, but the log and the alert tell of it."""
    checker.list()
    changes = {"changes": revocation_list.c.changes + 5, "covered": revocation_list.c.covered + 5}
    forge(world, lambda it: it.execute(update(revocation_list).values(changes)))
    checker.publishing.look()
    assert len(world.alerts.list_all(include_acknowledged=False, actor=world.actor)) == 1


def test_another_authority_has_no_list(checker: Checker) -> None:
    with pytest.raises(AuthorityNotFound):
        checker.publishing.document(bytes(20))


def test_a_list_whose_record_is_deleted(world: World, checker: Checker) -> None:
    """It was never signed again, and nobody was told."""
    checker.list()
    forge(world, lambda it: it.execute(delete(revocation_document)))
    forge(world, lambda it: it.execute(delete(revocation_list)))
    checker.publishing.look()
    told = [
        each.alert.kind
        for each in world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    ]
    assert told == [AlertKind.REVOCATION_LIST]
    assert set(checker.publishing.seconds().values()) == {0.0}
