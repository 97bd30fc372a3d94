"""Key-encryption keys of a database: known, wrong, changed while in use, retired."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from argon2.low_level import Type
from click.testing import CliRunner, Result
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError

from cloud_keystore import config
from cloud_keystore.config import Settings
from cloud_keystore.custody.backends.pkcs11_worker import TokenAddress
from cloud_keystore.custody.sealing import rotation
from cloud_keystore.custody.sealing import sealing_keys as module
from cloud_keystore.custody.sealing.envelope import KeyEncryptionKey
from cloud_keystore.custody.sealing.seal import Seal, SealBroken, SealingKeyError
from cloud_keystore.custody.sealing.sealing_keys import Opened, Source, add_key, is_sealed, key_text
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.errors import InvalidInput, KeyNotFound, MalformedKeyInput
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sealing import sealing_keys
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.keys.command import keys
from cloudcard_tools.shared.processes import Nursery
from support.sealing import NAMES, NOW, bare, fill, opened, source, told, values


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


@pytest.mark.usefixtures("quick")
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
    new, by_old = f"file:{tmp_path / 'new'}", ("--sealing-key", str(old))
    by_new = ("--sealing-key", new)
    assert "name the sealing key in use" in run(tmp_path, "add", new, "--make").output
    assert run(tmp_path, "add", new, "--make", *by_old).exit_code == 0
    assert "exists" in run(tmp_path, "add", new, "--make", *by_old).output
    rotated = run(tmp_path, "rotate", "--sealing-key", new, "--sealing-key", str(old), "--json")
    assert json.loads(rotated.output)["values"] == len(NAMES) + 1
    listed = json.loads(run(tmp_path, "list", "--json").output)
    assert [row["values"] for row in listed] == [0, len(NAMES) + 1]
    assert run(tmp_path, "retire", listed[1]["id"], "--yes", *by_new).exit_code == 1
    assert "no sealing key" in run(tmp_path, "retire", listed[0]["id"][:2], "--yes", *by_new).output
    assert run(tmp_path, "retire", listed[0]["id"][:8], "--yes", *by_new).exit_code == 0
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
        keystore.wait_for("Keystore ready", timeout=60)
        assert run(folder, "rotate", *both).exit_code == 0
        listed = json.loads(run(folder, "list", "--json").output)
        by_new = ("--sealing-key", f"file:{new}")
        assert run(folder, "retire", listed[0]["id"], "--yes", *by_new).exit_code == 0
        deadline = time.monotonic() + 60
        while "a sealing key was retired" not in keystore.tail():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_folder_without_a_keystore(tmp_path: Path) -> None:
    result = run(tmp_path, "list")
    assert result.exit_code == 1
    assert "no keystore" in result.output


def row_of(database: Database) -> sealing_keys.SealingKey:
    """The one that the database has of its only key."""
    with database.read() as connection:
        (row,) = sealing_keys.list_all(connection)
    return row


def forge(database: Database, **parameters: str | int) -> None:
    """Change the parameters of all keys, as somebody with the database might."""
    with database.write() as connection:
        for row in sealing_keys.list_all(connection):
            altered = json.dumps(json.loads(row.parameters) | parameters)
            sealing_keys.set_parameters(connection, row.id, altered)


@pytest.fixture
def words(tmp_path: Path) -> Source:
    """A passphrase of the fewest characters."""
    path = tmp_path / "passphrase"
    path.write_text("123456789abc\r\n")
    path.chmod(0o600)
    return Source("passphrase", str(path))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passphrases be stretched in a millisecond."""
    monkeypatch.setattr(module, "ARGON2", {"time_cost": 1, "memory_cost": 1024, "parallelism": 4})


def test_a_passphrase_is_stretched_as_recommended(
    database: Database, words: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9106, 4: argon2id with 64 MiB, three passes and four lanes."""
    stretched: list[tuple[bytes, ...]] = []
    asked: list[dict[str, object]] = []

    def stretch(*secrets: bytes, **parameters: object) -> bytes:
        stretched.append(secrets)
        asked.append(parameters)
        return b"\5" * 32

    monkeypatch.setattr(module, "hash_secret_raw", stretch)
    opened(database, words)
    costs = {"time_cost": 3, "memory_cost": 65536, "parallelism": 4}
    parameters = json.loads(row_of(database).parameters)
    salt = bytes.fromhex(parameters.pop("salt"))
    assert (parameters, len(salt)) == (costs, 16)
    assert stretched == [(b"123456789abc", salt)] * 2  # to make it, and to open it
    assert asked == [{"hash_len": 32, "type": Type.ID, **costs}] * 2
    assert row_of(database).id == KeyEncryptionKey.of(b"\5" * 32).id


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"salt": "no hexadecimal"}, "record of a passphrase was altered"),
        ({"time_cost": "many"}, "record of a passphrase was altered"),
        ({"parallelism": 65}, "asks for too much memory"),
        ({"parallelism": 64}, "not a sealing key of this database"),
    ],
)
def test_a_passphrase_with_other_parameters(
    database: Database, words: Source, parameters: dict[str, str | int], said: str
) -> None:
    opened(database, words)
    forge(database, **parameters)
    with pytest.raises(SealingKeyError, match=said) as refusal:
        opened(database, words)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("parameters", ["[]", "3", "null", '{"salt"'])
def test_parameters_that_are_none(database: Database, tmp_path: Path, parameters: str) -> None:
    first = source(tmp_path, "sealing.key")
    opened(database, first)
    with database.write() as connection:
        sealing_keys.set_parameters(connection, row_of(database).id, parameters)
    with pytest.raises(SealingKeyError, match="record of a sealing key was altered"):
        opened(database, first)


def test_a_root_secret_that_is_lost_or_altered(database: Database, tmp_path: Path) -> None:
    first = source(tmp_path, "sealing.key")
    opened(database, first)
    with database.write() as connection:
        sealed = connection.execute(t.secret.select()).one().sealed
        connection.execute(update(t.secret).values(sealed=sealed[:-1] + bytes([sealed[-1] ^ 1])))
    with pytest.raises(SealingKeyError, match="root secret was altered") as refusal:
        opened(database, first)
    assert refusal.value.__cause__ is None
    with database.write() as connection:
        connection.execute(t.secret.delete())
    with pytest.raises(SealingKeyError, match="lost its root secret"):
        opened(database, first)


def test_a_key_is_added_once_and_never_after_it_was_retired(
    database: Database, tmp_path: Path
) -> None:
    first, second = source(tmp_path, "first"), source(tmp_path, "second")
    opened(database, first)
    added = {add_key(database, second, NOW, os.urandom, DATA_FOLDER) for _ in range(2)}
    assert len(added) == 1
    assert told(database) == [Kind.SEALING_KEY_ADDED] * 2
    with database.read() as connection:
        entry = decode(connection.execute(t.journal.select()).all()[-1].entry)
    (key_id,) = added
    assert entry.details == {"sealing_key": key_text(key_id), "source": "file"}
    assert (entry.actor, entry.time) == (DATA_FOLDER, NOW)
    rotation.retire(database, key_text(key_id), NOW, DATA_FOLDER)
    with pytest.raises(SealingKeyError, match=f"{second} is retired"):
        add_key(database, second, NOW, os.urandom, DATA_FOLDER)


def test_another_replica_made_the_same_rows(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, tries, real = source(tmp_path, "sealing.key"), list[int](), sealing_keys.add

    def late(connection: Connection, row: sealing_keys.SealingKey) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise IntegrityError("", None, Exception())
        real(connection, row)

    monkeypatch.setattr(sealing_keys, "add", late)
    seal = opened(database, first)
    assert len(tries) == 2
    assert seal.derive("qr", b"x") == opened(database, first).derive("qr", b"x")
    assert told(database) == [Kind.SEALING_KEY_ADDED]


def test_whether_a_database_has_sealed_values(database: Database, tmp_path: Path) -> None:
    assert not is_sealed(database)
    bare(database, b"\5" * 32)
    assert is_sealed(database)
    with database.write() as connection:
        connection.execute(t.authority.delete())
    opened(database, source(tmp_path, "sealing.key"))
    assert is_sealed(database)


@dataclass
class Token:
    """Wraps secrets under its one key, in place of a pool's processes."""

    name: str = "sealing"
    begun: list[tuple[TokenAddress, int]] = field(default_factory=list)
    closed: int = 0
    answer: list[bytes] | None = None

    def start(self, address: TokenAddress, workers: int) -> Token:
        self.begun.append((address, workers))
        return self

    def call(self, name: str, key: str, data: bytes) -> bytes | list[bytes]:
        if self.answer is not None:
            return self.answer
        if name == "unwrap" and key != self.name:
            raise KeyNotFound("the token does not have the key")
        if name == "unwrap" and not data.startswith(b"wrapped"):
            raise MalformedKeyInput("the token refuses the input")
        return b"wrapped" + data[::-1] if name == "wrap" else data.removeprefix(b"wrapped")[::-1]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Token:
    token = Token()
    monkeypatch.setattr(module, "Pool", token)
    return token


@pytest.fixture
def in_token(tmp_path: Path) -> Callable[[str], Source]:
    """A sealing key in the token, by its name."""
    pin_file = tmp_path / "pin"
    pin_file.write_text("648219")
    pin_file.chmod(0o600)
    address = config.Token(Path("/lib/token.so"), "cards", pin_file, workers=5)
    return lambda name: Source.parse(f"pkcs11:{name}", address)


def test_a_key_in_the_token_is_asked_for_at_the_start_alone(
    database: Database, token: Token, in_token: Callable[[str], Source]
) -> None:
    sealing = in_token("sealing")
    sealed = opened(database, sealing).close(b"value", "context")
    assert row_of(database).kind == "pkcs11"
    assert set(json.loads(row_of(database).parameters)) == {"name", "wrapped"}
    assert opened(database, sealing).open(sealed, "context") == b"value"
    assert set(map(str, token.begun)) == {
        str((TokenAddress("/lib/token.so", "cards", "", "648219"), 1))
    }
    assert token.closed == len(token.begun)


def test_a_key_that_is_not_in_the_token(
    database: Database, token: Token, in_token: Callable[[str], Source]
) -> None:
    opened(database, in_token("sealing"))
    asked = len(token.begun)
    with pytest.raises(SealingKeyError, match="pkcs11:other is not a sealing key"):
        opened(database, in_token("other"))
    assert len(token.begun) == asked  # the database says what it is called
    token.name = "another token's"
    with pytest.raises(SealingKeyError, match="not a sealing key of this database"):
        opened(database, in_token("sealing"))
    assert token.closed == len(token.begun) > asked


def test_two_keys_in_the_token(
    database: Database, token: Token, in_token: Callable[[str], Source]
) -> None:
    opened(database, in_token("sealing"))
    token.name = "second"
    later = NOW.replace(hour=10)
    second = add_key(database, in_token("second"), later, os.urandom, DATA_FOLDER)
    assert add_key(database, in_token("second"), later, os.urandom, DATA_FOLDER) == second


def test_a_token_that_answers_with_something_else_begins_no_database(
    database: Database, token: Token, in_token: Callable[[str], Source]
) -> None:
    token.answer = []
    with pytest.raises(TypeError, match="something else"):
        opened(database, in_token("sealing"))
    assert token.closed == 1
    assert told(database) == []


@pytest.mark.parametrize("wrapped", ["no hexadecimal", "00" * 60])
def test_a_wrapped_key_that_was_altered(
    database: Database, token: Token, in_token: Callable[[str], Source], wrapped: str
) -> None:
    opened(database, in_token("sealing"))
    forge(database, wrapped=wrapped)
    with pytest.raises(SealingKeyError, match="record of a token's key was altered") as refusal:
        opened(database, in_token("sealing"))
    assert refusal.value.__cause__ is None
    assert token.closed == len(token.begun)


def test_a_key_in_a_token_that_is_not_named(database: Database) -> None:
    with pytest.raises(InvalidInput, match="name the token with its options"):
        Source.parse("pkcs11:sealing")
    with pytest.raises(InvalidInput, match="name the token with its options"):
        opened(database, Source("pkcs11", "sealing"))


def test_no_secret_in_the_repr_of_an_opened_key(tmp_path: Path) -> None:
    secret = b"a secret of thirty-two bytes 123"
    found = Opened(source(tmp_path, "key"), KeyEncryptionKey.of(secret), {}, secret)
    assert "a secret" not in repr(found)
