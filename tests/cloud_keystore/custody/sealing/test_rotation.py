"""Sealed values change to another key while services run, and then the old key is retired."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, update

from card_os.piv.names import ObjectTag
from cloud_keystore.cards.spine.tickets import Tickets
from cloud_keystore.custody.sealing import envelope, rotation
from cloud_keystore.custody.sealing.envelope import KeyEncryptionKey
from cloud_keystore.custody.sealing.seal import Seal, SealBroken, SealingKeyError
from cloud_keystore.custody.sealing.sealing_keys import add_key, key_text
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.errors import InvalidInput, SealingKeyMissing
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.est import Credentials, EstServer
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sealing import sealing_keys
from support.external_ca import new_ca
from support.keystore_world import OIDC, OPERATOR, SESSIONS, Enrolled, World
from support.openid_tokens import Asked, facts
from support.push_browser import PushBrowser
from support.sealing import NAMES, NOW, bare, fill, opened, source, told, values, version_1


@pytest.mark.parametrize("stopped", range(9))
def test_rotation_stopped_at_any_point_goes_on(
    database: Database, tmp_path: Path, stopped: int
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    before = opened(database, old)
    fill(database, before)
    old_id, new_id = before.key_ids[0], add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both = opened(database, new, old)
    done = len(list(islice(rotation.rotate(database, both, lambda: NOW, batch=1), stopped)))
    assert done == min(stopped, len(NAMES) + 1)
    assert values(database, opened(database, old, new)) == [name.encode() for name in NAMES]
    if stopped < len(NAMES) + 1:
        with pytest.raises(SealingKeyError, match="values are sealed under"):
            rotation.retire(database, key_text(old_id), NOW, DATA_FOLDER)
    assert sum(rotation.rotate(database, both, lambda: NOW)) == len(NAMES) + 1 - done
    assert sum(rotation.rotate(database, both, lambda: NOW)) == 0
    rotation.retire(database, key_text(old_id), NOW, DATA_FOLDER)
    rotation.retire(database, key_text(old_id), NOW, DATA_FOLDER)  # again: no change
    after = opened(database, new)
    assert values(database, after) == [name.encode() for name in NAMES]
    assert after.key_ids == (new_id,)
    assert after.derive("qr", b"x") == before.derive("qr", b"x")
    with pytest.raises(SealingKeyError, match="retired"):
        opened(database, new, old)
    assert told(database) == [
        Kind.SEALING_KEY_ADDED,
        Kind.SEALING_KEY_ADDED,
        Kind.SEALING_KEY_RETIRED,
    ]


def test_a_value_that_changes_during_rotation_is_left_alone(
    database: Database, tmp_path: Path
) -> None:
    seal = opened(database, source(tmp_path, "old"))
    fill(database, seal)
    with database.write() as connection:
        changes = [(NAMES[0], b"what it was when it was read", b"")]
        assert sealing_keys.exchange(connection, rotation.SEALED[1], changes) == 0
    assert values(database, seal)[0] == NAMES[0].encode()


def sealed_values(database: Database) -> dict[str, list[bytes]]:
    """All sealed values, by table: a column of bytes that holds some has `sealed` in its name."""
    found: dict[str, list[bytes]] = {}
    with database.read() as connection:
        for table in t.secret.metadata.sorted_tables:
            for column in table.c:
                if column.name.startswith("sealed") and isinstance(column.type, LargeBinary):
                    rows = connection.execute(table.select().where(column.is_not(None)))
                    found.setdefault(table.name, [])
                    found[table.name] += [getattr(row, column.name) for row in rows]
    return found


def test_every_sealed_value_of_a_keystore_changes(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, tmp_path: Path
) -> None:
    """Services that know the new key alone can then open everything."""
    # openssl knows the computer's time alone, and takes as long as it takes.
    authority = new_ca(tmp_path / "ca").certificate
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    world.set_policy(SESSIONS)
    serial = world.card(ada[0], "developer")
    admin = world.administrator(serial, pc)
    world.administration.write_object(admin, ObjectTag.PRINTED_INFORMATION, b"Ada")
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    world.perform(operation, pc)
    world.use(world.session(serial, pc, ada[1]), pc)
    assert replace(world.issuing.spares, size=1, is_idle=lambda: True).fill()
    client = world.clients.add("HR", ["ra-agent"], actor=world.actor).listing.client.actor
    hook = world.webhooks.add("https://hr.example.org/", (), actor=client).listing.webhook
    world.webhooks.rotate(hook.id, actor=client)
    world.trusting.trust("trust", authority, actor=OPERATOR)
    world.est_hosts.add(("est.example.org", 443))
    asked = EstServer("https://est.example.org", b"", "hospital", b"", any_subject=False)
    world.est_servers.use("trust", asked, Credentials("secret"), actor=OPERATOR)
    world.bells.hang(PushBrowser().address("https://push.apple.com/x"), ada[1].identity)
    tickets = Tickets(world.database, world.clock, os.urandom, world.seal, is_asked=True)
    tickets.report(serial, "AQIC5wTicket@AAJTSQ=#", pc.identity)
    browser = b"\x01" * 32
    world.oidc_log_ins.learn(facts())
    state = Asked.of(world.oidc_log_ins.ask(browser)).query["state"]
    world.oidc_log_ins.bring(state, "code", OIDC.issuer, browser)
    before = sealed_values(world.database)
    assert all(before.values())  # there is one of each kind

    root, new = b"\x07" * 32, KeyEncryptionKey.of(b"\x08" * 32)
    both = Seal(root, os.urandom, [new, KeyEncryptionKey.of(root)])
    count = sum(map(len, before.values()))
    assert sum(rotation.rotate(world.database, both, world.clock)) == count
    after = sealed_values(world.database)
    assert {envelope.key_id(each) for some in after.values() for each in some} == {new.id}
    alone = Seal(root, os.urandom, [new])
    assert sum(rotation.check(world.database, alone)) == count
    with pytest.raises(SealingKeyMissing):
        sum(rotation.check(world.database, world.seal))


def test_a_rotation_leaves_no_envelope_of_version_1(database: Database, tmp_path: Path) -> None:
    """Also where the key stays the same."""
    key = source(tmp_path, "old")
    seal = opened(database, key)
    fill(database, seal)
    with database.write() as connection:
        context = f"authority {NAMES[0]}"
        sealed = version_1(key.path.read_bytes(), NAMES[0].encode(), context)
        row = t.authority.c.name == NAMES[0]
        connection.execute(update(t.authority).where(row).values(sealed_private=sealed))
    assert sum(rotation.check(database, seal)) == 1 + len(NAMES)
    assert sum(rotation.rotate(database, seal, lambda: NOW)) == 1
    found = sealed_values(database)
    assert all(envelope.is_current(each) for some in found.values() for each in some)
    assert values(database, seal) == [name.encode() for name in NAMES]


def test_a_page_has_a_hundred_values(database: Database, tmp_path: Path) -> None:
    seal = opened(database, source(tmp_path, "old"))
    fill(database, seal, [f"authority {number:03}" for number in range(101)])
    assert list(rotation.check(database, seal)) == [1, 100, 1]


def test_a_value_that_does_not_open_stops_check_and_rotation(
    database: Database, tmp_path: Path
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    fill(database, opened(database, old))
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    seal = opened(database, new, old)
    with database.write() as connection:
        row = t.authority.c.name == NAMES[3]
        connection.execute(update(t.authority).where(row).values(sealed_private=b"altered"))
    with pytest.raises(SealBroken, match=NAMES[3]):
        sum(rotation.check(database, seal))
    with pytest.raises(SealBroken, match=NAMES[3]):
        sum(rotation.rotate(database, seal, lambda: NOW))


def in_use(database: Database) -> list[int]:
    """How many values need each key, the oldest key first."""
    return [each.values for each in rotation.list_keys(database)]


def test_values_of_before_envelopes_are_counted_for_the_key_that_opens_them(
    database: Database, tmp_path: Path
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    bare(database, old.path.read_bytes())
    seal = opened(database, old)
    assert in_use(database) == [2]  # and the root secret
    add_key(database, new, NOW.replace(hour=10), os.urandom, DATA_FOLDER)
    assert in_use(database) == [2, 0]
    with pytest.raises(SealingKeyError, match="2 values are sealed under"):
        rotation.retire(database, key_text(seal.key_ids[0]), NOW, DATA_FOLDER)
    assert sum(rotation.rotate(database, opened(database, new, old), lambda: NOW)) == 2
    assert in_use(database) == [0, 2]


def test_a_value_of_before_envelopes_that_came_during_rotation_still_opens(
    database: Database, tmp_path: Path
) -> None:
    """As an older service that is still running may write it, where rotation has passed already."""
    first = source(tmp_path, "sealing.key")
    old = first.path.read_bytes()
    bare(database, old)
    rotating = rotation.rotate(database, opened(database, first), lambda: NOW)
    assert next(rotating) == 1
    bare(database, old, "approval")
    assert list(rotating) == []
    assert values(database, opened(database, first)) == [b"value"] * 2
    assert sum(rotation.rotate(database, opened(database, first), lambda: NOW)) == 1
    bare(database, old, "late")
    with pytest.raises(SealBroken):
        values(database, opened(database, first))


def test_the_journal_tells_which_key_was_retired(database: Database, tmp_path: Path) -> None:
    first, second = source(tmp_path, "first"), source(tmp_path, "second")
    opened(database, first)
    text = key_text(add_key(database, second, NOW, os.urandom, DATA_FOLDER))
    for _ in range(2):
        rotation.retire(database, text, NOW, DATA_FOLDER)
    assert told(database).count(Kind.SEALING_KEY_RETIRED) == 1
    with database.read() as connection:
        entry = decode(connection.execute(t.journal.select()).all()[-1].entry)
    assert entry.details == {"sealing_key": text, "source": "file"}
    assert (entry.actor, entry.time) == (DATA_FOLDER, NOW)
    with pytest.raises(InvalidInput, match="there is no sealing key 'none'"):
        rotation.retire(database, "none", NOW, DATA_FOLDER)


def test_a_service_forgets_a_key_once(database: Database, tmp_path: Path) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    opened(database, old)
    new_id = add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both = opened(database, new, old)
    old_id = both.key_ids[1]
    sum(rotation.rotate(database, both, lambda: NOW))
    assert not rotation.forget_retired(database, both)
    rotation.retire(database, key_text(old_id), NOW, DATA_FOLDER)
    assert [rotation.forget_retired(database, both) for _ in range(2)] == [True, False]
    assert both.key_ids == (new_id,)
