"""Cards that were issued before their certificates were recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete

from card_os.piv.names import KeyRef
from cloud_keystore.model.people import User
from cloud_keystore.pki.revocation import recording
from cloud_keystore.pki.revocation.recording import begin_all
from cloud_keystore.storage.revocation.certificates import certificate
from cloud_keystore.storage.revocation.lists import revocation_document, revocation_list
from support.checking import GOOD, UNKNOWN, UNSPECIFIED, Checker
from support.keystore_world import OPERATOR, Enrolled, World, new_world


def as_before(world: World, folder: Path) -> World:
    """The same database as an earlier version has left it, in a new process."""
    with world.database.write() as connection:
        for table in (revocation_document, revocation_list, certificate):
            connection.execute(delete(table))
    world.database.close()
    return new_world(folder, clock=world.clock, seal=world.seal)


def test_they_are_recorded_as_they_are(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "PAGE", 3)
    active, suspended, revoked = (world.card(ada[0]) for _ in range(3))
    developer = world.card(ada[0], "developer")
    world.cards.suspend(suspended, actor=OPERATOR)
    world.cards.revoke(revoked, "left", actor=OPERATOR)
    since = world.clock()
    world.clock.forward(days=3)
    again = as_before(world, tmp_path)
    checker, own = Checker(again), again.issuing.authorities
    assert checker.told(again.keys(active)[0]) == UNKNOWN
    begin_all(again.database, own, again.clock())
    expected = {active: GOOD, suspended: "certificateHold", revoked: UNSPECIFIED}
    for serial, state in expected.items():
        assert [checker.says(key) for key in again.keys(serial)] == [{state}] * 4
    of_developers = again.authorities("developer").cards
    for key in again.keys(developer):
        if key.key_ref != KeyRef.SECURE_MESSAGING:
            assert checker.says(key, of_developers) == {GOOD}
    dates = {entry.revocation_date_utc for entry in checker.list()}
    # Since its keys were destroyed; since when the other is suspended, nobody has written down.
    assert dates == {since, again.clock()}
    again.cards.resume(suspended, actor=OPERATOR)
    assert checker.says(again.keys(suspended)[0]) == {GOOD}
    again.database.close()


def test_it_is_done_once(world: World, ada: tuple[User, Enrolled], tmp_path: Path) -> None:
    """Also if it was interrupted, or cards were issued meanwhile."""
    first = world.card(ada[0])
    again = as_before(world, tmp_path)
    second = again.card(ada[0])
    for _ in range(2):
        begin_all(again.database, again.issuing.authorities, again.clock())
    checker = Checker(again)
    for serial in (first, second):
        assert checker.says(again.keys(serial)[0]) == {GOOD}
    again.cards.revoke(first, "left", actor=OPERATOR)
    begin_all(again.database, again.issuing.authorities, again.clock())
    assert len(checker.list()) == 4
    again.database.close()
