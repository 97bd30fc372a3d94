"""Key-encryption keys of a database: known, wrong, changed while in use, retired."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from grpc import StatusCode
from sqlalchemy import insert, select, update

from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing import rotation
from cloud_keystore.custody.sealing.holder import Holder
from cloud_keystore.custody.sealing.seal import (
    Seal,
    SealBroken,
    SealingKeyError,
    make_key_file,
)
from cloud_keystore.custody.sealing.sealing_keys import Source, add_key, key_text, open_seal
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.errors import InvalidInput, SealingKeyMissing
from cloud_keystore.model.journal import Kind
from cloud_keystore.rpc.refusals import GRPC_STATUS
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.storage import sealing_keys
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import Database
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.keys.command import keys
from cloudcard_tools.shared.processes import Nursery

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NAMES = [f"authority {number}" for number in range(7)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'keystore.db'}")) as made:
        made.migrate()
        yield made


def source(folder: Path, name: str) -> Source:
    """A key file, made where there is none."""
    path = folder / name
    if not path.exists():
        make_key_file(path, os.urandom)
    return Source("file", str(path))


def opened(database: Database, *sources: Source) -> Seal:
    return open_seal(database, sources, NOW, os.urandom)


def fill(database: Database, seal: Seal) -> None:
    with database.write() as connection:
        for name in NAMES:
            values = {"name": name, "certificate": b"", "sealed_private": b""}
            values["sealed_private"] = seal.close(name.encode(), f"authority {name}")
            connection.execute(insert(t.authority).values(values))


def values(database: Database, seal: Seal) -> list[bytes]:
    with database.read() as connection:
        rows = connection.execute(select(t.authority).order_by(t.authority.c.name)).all()
    return [seal.open(row.sealed_private, f"authority {row.name}") for row in rows]


def told(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(t.journal.c.kind).order_by(t.journal.c.id)).scalars())


def test_a_new_database_has_a_root_secret_that_is_not_its_sealing_key(
    database: Database, tmp_path: Path
) -> None:
    first = source(tmp_path, "sealing.key")
    seal = opened(database, first)
    assert seal.derive("qr", b"x") != Seal(first.path.read_bytes(), os.urandom).derive("qr", b"x")
    assert opened(database, first).derive("qr", b"x") == seal.derive("qr", b"x")
    assert told(database) == [Kind.SEALING_KEY_ADDED]


def test_another_file_is_refused_at_once(database: Database, tmp_path: Path) -> None:
    opened(database, source(tmp_path, "sealing.key"))
    with pytest.raises(SealingKeyError, match="not a sealing key of this database"):
        opened(database, source(tmp_path, "other.key"))


def test_a_key_that_opens_only_part_is_refused(database: Database, tmp_path: Path) -> None:
    opened(database, source(tmp_path, "old"))
    new = source(tmp_path, "new")
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    with pytest.raises(SealingKeyError, match="was not given"):
        opened(database, new)


@pytest.mark.parametrize("column", ["check", "parameters"])
def test_an_altered_record_is_refused(database: Database, tmp_path: Path, column: str) -> None:
    opened(database, source(tmp_path, "sealing.key"))
    forged = {"check": b"\0" * 90, "parameters": "["}[column]
    with database.write() as connection:
        connection.execute(update(t.sealing_key).values({column: forged}))
    with pytest.raises(SealingKeyError, match="restore it from a backup"):
        opened(database, source(tmp_path, "sealing.key"))


def test_a_database_of_before_envelopes_keeps_its_secrets(
    database: Database, tmp_path: Path
) -> None:
    first = source(tmp_path, "sealing.key")
    old = first.path.read_bytes()
    bare(database, old)
    seal = opened(database, first)
    assert values(database, seal) == [b"value"]
    assert seal.derive("passcode", b"x") == Seal(old, os.urandom).derive("passcode", b"x")
    assert sum(rotation.rotate(database, seal, lambda: NOW)) == 1
    assert values(database, Seal(old, os.urandom)) == [b"value"]
    with database.write() as connection:
        connection.execute(t.authority.delete())
    bare(database, old)  # put back by who has an old backup: opens no more
    with pytest.raises(SealBroken):
        values(database, opened(database, first))


def test_a_wrong_key_for_a_database_of_before_envelopes(database: Database, tmp_path: Path) -> None:
    bare(database, b"\5" * 32)
    with pytest.raises(SealBroken, match="not the one of this database"):
        opened(database, source(tmp_path, "sealing.key"))
    assert told(database) == []


def bare(database: Database, key: bytes) -> None:
    """A value as it was sealed before envelopes."""
    nonce = os.urandom(12)
    sealed = nonce + AESGCM(key).encrypt(nonce, b"value", b"authority transport")
    with database.write() as connection:
        row = {"name": "transport", "certificate": b"", "sealed_private": sealed}
        connection.execute(insert(t.authority).values(row))


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


def test_a_rotation_leaves_no_running_service_behind(database: Database, tmp_path: Path) -> None:
    """A service ran with the old key alone while values were sealed under the new one: it called
    every key and every passcode DATA_LOSS.
    """
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    fill(database, opened(database, old))
    service = open_seal(database, [old], NOW, os.urandom, "service")
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both = opened(database, new, old)
    with pytest.raises(SealingKeyError, match="restart each service with this key"):
        list(rotation.rotate(database, both, lambda: NOW))
    assert values(database, service) == [name.encode() for name in NAMES]
    open_seal(database, [old, new], NOW, os.urandom, "service")  # started again, with both
    assert sum(rotation.rotate(database, both, lambda: NOW)) == len(NAMES) + 1


def test_a_service_that_begins_during_a_rotation_has_the_key_or_does_not_begin(
    database: Database, tmp_path: Path
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    fill(database, opened(database, old))
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both = opened(database, new, old)
    rotating = rotation.rotate(database, both, lambda: NOW, batch=1)
    next(rotating)  # the root secret is the first
    with pytest.raises(SealingKeyError, match="which was not given"):
        open_seal(database, [old], NOW, os.urandom, "late")
    with pytest.raises(SealingKeyError, match="restart each service"):
        list(rotating)


def test_a_service_counts_until_it_ends_or_a_minute_after_it_was_killed(
    database: Database, tmp_path: Path
) -> None:
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    seal = opened(database, old)
    fill(database, seal)
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    both, now = opened(database, new, old), NOW
    ended, killed = (Holder(name, database, lambda: now) for name in ("ended", "killed"))
    for holder in (ended, killed):
        holder.see(seal)
    ended.leave()
    now += timedelta(seconds=50)
    with pytest.raises(SealingKeyError, match=r"^1 running process"):
        list(rotation.rotate(database, both, lambda: now))
    killed.see(seal)  # it lives
    now += timedelta(seconds=50)
    with pytest.raises(SealingKeyError, match=r"^1 running process"):
        list(rotation.rotate(database, both, lambda: now))
    now += timedelta(seconds=11)
    assert sum(rotation.rotate(database, both, lambda: now)) == len(NAMES) + 1


def test_what_lacks_a_key_is_not_called_damaged(database: Database, tmp_path: Path) -> None:
    """It was DATA_LOSS, and the advice was to restore a backup, which would have lost data."""
    old, new = source(tmp_path, "old"), source(tmp_path, "new")
    service = opened(database, old)
    fill(database, service)
    add_key(database, new, NOW, os.urandom, DATA_FOLDER)
    list(rotation.rotate(database, opened(database, new, old), lambda: NOW))
    with pytest.raises(SealingKeyMissing, match="restart it with that key") as refused:
        values(database, service)
    assert GRPC_STATUS[type(refused.value)][0] is StatusCode.UNAVAILABLE


def test_a_value_that_changes_during_rotation_is_left_alone(
    database: Database, tmp_path: Path
) -> None:
    seal = opened(database, source(tmp_path, "old"))
    fill(database, seal)
    with database.write() as connection:
        changes = [(NAMES[0], b"what it was when it was read", b"")]
        assert sealing_keys.exchange(connection, rotation.SEALED[1], changes) == 0
    assert values(database, seal)[0] == NAMES[0].encode()


def test_a_passphrase(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery staple\n")
    path.chmod(0o600)
    words = Source("passphrase", str(path))
    sealed = opened(database, words).close(b"value", "context")
    assert opened(database, words).open(sealed, "context") == b"value"
    path.write_text("correct horse battery stable\n")
    with pytest.raises(SealingKeyError, match="not a sealing key of this database"):
        opened(database, words)


def test_a_short_passphrase_is_refused(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("123456")
    path.chmod(0o600)
    with pytest.raises(SealingKeyError, match="short"):
        opened(database, Source("passphrase", str(path)))
    assert told(database) == []


def test_a_passphrase_that_others_may_read_is_refused(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery staple")
    path.chmod(0o644)
    with pytest.raises(SealingKeyError, match="chmod 600"):
        opened(database, Source("passphrase", str(path)))


@pytest.mark.parametrize("text", ["", "file:", "sealing.key", "vault:x", ":x", "pkcs11:"])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(InvalidInput, match="file:PATH"):
        Source.parse(text)


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(keys, [*arguments, "--data", str(folder)])


def test_the_commands_change_the_key(database: Database, tmp_path: Path) -> None:
    old = source(tmp_path, "old")
    fill(database, opened(database, old))
    new = f"file:{tmp_path / 'new'}"
    assert run(tmp_path, "add", new, "--make").exit_code == 0
    assert "exists" in run(tmp_path, "add", new, "--make").output
    rotated = run(tmp_path, "rotate", "--sealing-key", new, "--sealing-key", str(old), "--json")
    assert json.loads(rotated.output)["values"] == len(NAMES) + 1
    listed = json.loads(run(tmp_path, "list", "--json").output)
    assert [row["values"] for row in listed] == [0, len(NAMES) + 1]
    assert run(tmp_path, "retire", listed[1]["id"], "--yes").exit_code == 1
    assert "no sealing key" in run(tmp_path, "retire", listed[0]["id"][:2], "--yes").output
    assert run(tmp_path, "retire", listed[0]["id"][:8], "--yes").exit_code == 0
    assert json.loads(run(tmp_path, "list", "--json").output)[0]["state"] == "retired"


def test_a_service_that_runs_forgets_a_retired_key(tmp_path: Path) -> None:
    folder, new = tmp_path / "keystore", tmp_path / "new"
    with closing(own(Settings(folder))) as hold, open_keystore(Settings(folder), hold):
        pass
    old = folder / "sealing.key"
    both = ["--sealing-key", f"file:{new}", "--sealing-key", f"file:{old}"]
    assert run(folder, "add", f"file:{new}", "--make").exit_code == 0
    with Nursery(tmp_path / "logs") as nursery:
        service, enrolment = (f"127.0.0.1:{port}" for port in free_ports(2))
        keystore = nursery.start_python(
            "keystore",
            *("-m", "cloudcard_tools", "serve", "--data", str(folder), *both),
            *("--listen", service, "--enrol-listen", enrolment),
        )
        keystore.wait_for("Keystore ready", timeout=30)
        assert run(folder, "rotate", *both).exit_code == 0
        listed = json.loads(run(folder, "list", "--json").output)
        assert run(folder, "retire", listed[0]["id"], "--yes").exit_code == 0
        deadline = time.monotonic() + 10
        while "a sealing key was retired" not in keystore.tail():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_folder_without_a_keystore(tmp_path: Path) -> None:
    result = run(tmp_path, "list")
    assert result.exit_code == 1
    assert "no keystore" in result.output
