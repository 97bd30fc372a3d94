"""A database and a backup of an earlier commit, opened with the code of today."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from card_os.administration import CardKey
from card_os.piv.image import CardImage
from card_os.piv.names import CipherSuite, ObjectTag
from cloud_keystore.audit import notes, tree
from cloud_keystore.config import Settings
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.sealing import authenticating, rotation
from cloud_keystore.custody.sealing.authenticating import NotBelieved
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source, open_seal
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.cards import CardState, Destroyed
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import Role, UserState
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.storage import cards, journal, operations, people, sessions
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic.codes import MAC
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sealing import key_holders
from cloudcard_tools.backup.command import restore
from cloudcard_tools.keys.command import keys
from support.keystore_world import (
    DATABASE,
    DIGEST,
    OPERATOR,
    Enrolled,
    FakeClock,
    World,
    new_world,
    verify,
)
from support.postgres import Server
from support.whole_cards import faults

SAMPLES = Path(__file__).parents[2] / "samples" / "databases"
NOW = datetime(2026, 11, 23, 9, 18, 1, tzinfo=UTC)
DEVELOPER = ("authority", "content signer", "content signer of P-384")  # new since then
PROFILES = ["p256", "developer", "sm-cs2", "p256", "rsa2048"]


def unpack(name: str, path: Path) -> None:
    """Unpack a sample, beside the sealing key of all of them."""
    key = path.with_name("sealing.key")
    key.touch(0o600)
    key.write_bytes(b"\x07" * 32)
    path.write_bytes(gzip.decompress((SAMPLES / name).read_bytes()))


def open_world(folder: Path) -> World:
    """Today's use cases with the database of a data folder, whose records are believed."""
    database = Database(f"sqlite:///{folder / DATABASE}")
    database.migrate()
    seal = open_seal(database, [Source(FILE, str(folder / "sealing.key"))], NOW, os.urandom)
    if authenticating.is_due(database):
        authenticating.authenticate(database, NOW, DATA_FOLDER)
    database.close()
    return new_world(folder, clock=FakeClock(NOW), seal=seal)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[World]:
    """The keystore as its clock stood."""
    unpack("keystore-0005.db.gz", tmp_path / DATABASE)
    world = open_world(tmp_path)
    yield world
    world.database.close()


def serials(world: World) -> list[str]:
    return [entry.card.serial for entry in world.cards.list_all(actor=world.actor)]


def workstation(world: World) -> Enrolled:
    """The one that asked; its private key is not needed."""
    with world.database.read() as connection:
        found = people.list_identities(connection, Role.WORKSTATION)[0]
    return Enrolled(found, None)  # type: ignore[arg-type]


def sealed_values(world: World) -> int:
    """How many there are, each of which opens."""
    return sum(rotation.check(world.database, world.seal))


def test_the_service_opens_it(tmp_path: Path) -> None:
    unpack("keystore-0005.db.gz", tmp_path / DATABASE)
    settings = Settings(tmp_path)
    with (
        closing(own(settings)) as hold,
        pytest.raises(NotBelieved, match=r"cloudcard keys authenticate"),
        open_keystore(settings, hold, lambda: NOW),
    ):
        pass
    shown = CliRunner().invoke(keys, ["authenticate", "--data", str(tmp_path)])
    assert shown.exit_code == 2
    assert "say --yes" in shown.output
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["operator", "Olga", "active"] in lines
    assert ["identity", "7"] in lines
    done = CliRunner().invoke(keys, ["authenticate", "--data", str(tmp_path), "--yes"])
    assert "Authenticated" in done.output
    with closing(own(settings)) as hold, open_keystore(settings, hold) as parts:
        assert parts.has_operators
        users = [each.user for each in parts.people.list_users(actor=DATA_FOLDER)]
        assert all(re.fullmatch(r"[1-9][0-9]{11}", each.uuid12 or "") for each in users)
        assert {each.state for each in users} == {UserState.ACTIVE}
        found = parts.people.search(users[0].display_name.upper(), 5, actor=DATA_FOLDER)
        assert users[0] in [each.user for each in found]
    again = CliRunner().invoke(keys, ["authenticate", "--data", str(tmp_path), "--json"])
    assert json.loads(again.stdout)["records"] > 100


def test_records_on_a_server_get_their_codes_too(tmp_path: Path, postgresql: Server) -> None:
    url = postgresql.new_database()
    settings = Settings(tmp_path / "keystore", database=url)
    with closing(own(settings)) as hold, open_keystore(settings, hold) as parts:
        parts.people.add_workstation("WARD7-PC3", "Ward 7", actor=DATA_FOLDER)
        with parts.database.write() as connection:
            for table in t.metadata.sorted_tables:
                if MAC in table.columns:
                    connection.execute(update(table).values({MAC: None}))
    with (
        closing(own(settings)) as hold,
        pytest.raises(NotBelieved, match=r"cloudcard keys authenticate"),
        open_keystore(settings, hold),
    ):
        pass
    command = ["authenticate", "--data", str(settings.data), "--database", url]
    shown = CliRunner().invoke(keys, command)
    assert ["operator", "first", "operator", "invited"] in [
        line.split() for line in shown.stdout.splitlines()
    ]
    assert CliRunner().invoke(keys, [*command, "--yes"]).exit_code == 0
    with closing(own(settings)) as hold, open_keystore(settings, hold) as parts:
        with parts.database.read() as connection:
            (listed,) = people.list_identities(connection, Role.WORKSTATION)
            assert listed.display_name == "WARD7-PC3"
        assert not authenticating.examine(parts.database).wrong


def test_objects_that_require_the_pin_are_sealed_when_the_service_opens_it(tmp_path: Path) -> None:
    """Nothing of them stays in the file."""
    unpack("keystore-0005.db.gz", tmp_path / DATABASE)
    settings = Settings(tmp_path)
    CliRunner().invoke(keys, ["authenticate", "--data", str(tmp_path), "--yes"])
    query = "SELECT value FROM card_object WHERE tag = ?"
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        clear = [row[0] for row in database.execute(query, [ObjectTag.PRINTED_INFORMATION])]
    assert all(clear)
    assert len(clear) == len(PROFILES) - 1
    with closing(own(settings)) as hold, open_keystore(settings, hold) as parts:
        objects = DataObjects(parts.database, parts.seal, parts.clock, os.urandom)
        with parts.database.read() as connection:
            found = [objects.all_of(connection, card.id) for card in cards.list_all(connection)]
        printed = [each.get(ObjectTag.PRINTED_INFORMATION) for each in found]
    assert sorted(each for each in printed if each is not None) == sorted(clear)
    for path in tmp_path.glob(f"{DATABASE}*"):
        assert not any(each in path.read_bytes() for each in clear)


def test_records_are_not_believed_while_a_keystore_runs(tmp_path: Path) -> None:
    unpack("keystore-0005.db.gz", tmp_path / DATABASE)
    command = ["authenticate", "--data", str(tmp_path), "--yes"]
    with closing(own(Settings(tmp_path))):
        refused = CliRunner().invoke(keys, command)
    assert refused.exit_code == 1
    assert "another keystore runs on it" in refused.output
    database = Database(f"sqlite:///{tmp_path / DATABASE}")
    with database.write() as connection:  # a replica elsewhere
        key_holders.see(connection, "replica", [bytes(8)], datetime.now(UTC))
    refused = CliRunner().invoke(keys, command)
    assert refused.exit_code == 1
    assert "a keystore runs on this database: stop all replicas" in refused.output
    assert authenticating.is_due(database)
    database.close()


def test_a_record_that_was_put_there_after_the_others_got_their_codes(tmp_path: Path) -> None:
    unpack("keystore-0005.db.gz", tmp_path / DATABASE)
    open_world(tmp_path).database.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("UPDATE identity SET mac = NULL WHERE role = 3 AND display_name <> ''")
    database.close()
    done = CliRunner().invoke(keys, ["authenticate", "--data", str(tmp_path), "--yes"])
    assert done.exit_code == 1
    assert "2 records were not written by the keystore: identity " in done.output


def test_every_sealed_value_opens(old: World) -> None:
    assert sealed_values(old) == 29 + len(DEVELOPER)


def test_people_and_cards_are_there(old: World) -> None:
    names = [entry.user.display_name for entry in old.people.list_users(actor=old.actor)]
    assert names == ["Ada Byron", "Bo Lind"]
    entries = old.cards.list_all(actor=old.actor)
    assert [entry.card.profile for entry in entries] == PROFILES
    assert [entry.card.state for entry in entries[3:]] == [CardState.REVOKED, CardState.SUSPENDED]


def test_cards_are_whole_and_readable(old: World) -> None:
    plain, developer, secure, *_ = serials(old)
    for serial in (plain, developer, secure):
        assert faults(old.database, old.seal, serial) == []
        image = old.image(serial)
        held = {key.key_ref: CardKey(key.algorithm) for key in image.keys}
        assert CardImage(serial, image.card.guid, image.objects, held).objects == image.objects
    assert old.image(secure).cipher_suite is CipherSuite.CS2
    held = {key.key_ref: key for key in old.image(developer).keys}
    assert set(held) == {0x82, 0x9C, 0x9D, 0x9E}
    assert held[0x9C].imported
    assert old.image(developer).objects[0x5FFF00] == b"\x80\x00"


def test_keys_that_left_their_card_are_destroyed(old: World) -> None:
    with old.database.read() as connection:
        query = select(t.key.c.id).where(t.key.c.remove_time.is_not(None))
        removed = connection.execute(query).scalars().all()
        assert removed
        for key_id in removed:
            key = cards.find_key(connection, key_id)
            assert key is not None
            assert key.private == Destroyed()


def test_what_was_approved_is_performed(old: World) -> None:
    with old.database.read() as connection:
        query = select(t.operation.c.id).where(t.operation.c.state == State.APPROVED)
        (operation_id,) = connection.execute(query).scalars()
        operation = operations.find(connection, operation_id)
    assert operation is not None
    signature = old.perform(operation, workstation(old))
    verify(old, serials(old)[0], 0x9A, signature, DIGEST)


def test_a_session_goes_on(old: World) -> None:
    ada = old.people.list_users(actor=old.actor)[0].user
    with old.database.read() as connection:
        (session,) = sessions.list_open(connection, ada.id, NOW)
    (signature,) = old.use(session, workstation(old))
    verify(old, serials(old)[0], 0x9A, signature, DIGEST)


def sign(world: World) -> None:
    """A key signs for somebody who has enrolled another phone and given the old passcode."""
    ada = world.people.list_users(actor=world.actor)[0].user
    phone, serial = (
        world.enrol(world.people.invite_device(ada.id, actor=OPERATOR).text),
        serials(world)[0],
    )
    operation = world.ask(serial, workstation(world))
    assert world.decide(operation, phone) is State.APPROVED
    verify(world, serial, 0x9A, world.perform(operation, workstation(world)), DIGEST)


def test_a_key_signs_after_a_new_approval(old: World) -> None:
    sign(old)


def test_the_journal_verifies_and_goes_on(old: World) -> None:
    with old.database.read() as connection:
        before = journal.head(connection)
    assert before is not None
    assert old.take_in() == 2
    with old.database.read() as connection:
        after = journal.head(connection)
        rows = journal.between(connection, 0, 10**9)
    assert after is not None
    leaves = [tree.leaf_hash(row.entry) for row in rows]
    assert len(leaves) == before.size + 2 == after.size
    for head in (before, after):
        checkpoint = notes.open_(head.note, old.reading.log.public_key)
        assert checkpoint.root == tree.root_of(leaves[: checkpoint.size])


def test_a_backup_is_restored(tmp_path: Path) -> None:
    folder = tmp_path / "restored"
    folder.mkdir(mode=0o700)
    unpack("backup-0005.gz", folder / "backup")
    done = CliRunner().invoke(restore, [str(folder / "backup"), "--data", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["sealing_key"].startswith("opens all ")
    assert facts["withdrawn"] == 1
    world = open_world(folder)
    before = sealed_values(world) - len(DEVELOPER)
    assert facts["sealing_key"] == f"opens all {before} sealed values"
    assert [entry.card.profile for entry in world.cards.list_all(actor=world.actor)] == PROFILES
    sign(world)
    world.take_in()
    world.database.close()
