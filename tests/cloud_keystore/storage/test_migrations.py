from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import count
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, Row, Table, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from cloud_keystore.custody.sealing import authenticating
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.cards import Sealed, StoredObject
from cloud_keystore.model.errors import RowNotAuthentic
from cloud_keystore.model.people import IDENTITY_LIFETIME
from cloud_keystore.model.sessions import Use
from cloud_keystore.storage import cards, data_objects, journal, people, session_uses
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic.codes import Value, Values
from cloud_keystore.storage.databases.instants import EPOCH
from cloud_keystore.storage.engine import Database, DatabaseUnusable
from cloud_keystore.storage.tables import metadata
from support.crashing import Crash, crashing
from support.postgres import Server

APART = 40  # statements at which a whole migration dies: it takes as long as all steps
CREATED = {"create_time": EPOCH}

INSERT_ADA = "INSERT INTO user (id, display_name, email, create_time) VALUES ('1', 'Ada', '', 0)"


def open_database(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def test_the_migrations_lead_to_the_tables(tmp_path: Path) -> None:
    database = open_database(tmp_path / "keystore.db")
    database.migrate()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path / "keystore.db")
    database.migrate()
    with database.write() as connection:
        connection.execute(text(INSERT_ADA))
    database.migrate()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM user")).scalar() == 1
    database.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    path.write_bytes(b"not a database" * 100)
    database = open_database(path)
    with pytest.raises(DatabaseUnusable, match=r"keystore\.db"):
        database.migrate()
    assert path.read_bytes().startswith(b"not a database")  # nothing was overwritten
    database.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    database = open_database(tmp_path / "nowhere" / "keystore.db")
    with pytest.raises(DatabaseUnusable, match="unable to open"):
        database.migrate()


def test_another_database_is_refused() -> None:
    with pytest.raises(DatabaseUnusable, match=r"mysql is not known: use postgresql://"):
        Database("mysql://host/keystore")


def insert_twice(database: Database) -> None:
    with database.write() as connection:
        for name in ("Ada", "Bo"):
            values = {"name": name}
            user = INSERT_ADA.replace("'Ada'", ":name")
            connection.execute(text(user), values)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path / "keystore.db")
    database.migrate()
    with pytest.raises(IntegrityError):
        insert_twice(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM user")).scalar() == 0
    database.close()


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("cloud_keystore.storage") / "migrations"))
    config.set_main_option("recursive_version_locations", "true")
    return config


def upgrade(connection: Connection, revision: str) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def first_schema(path: Path, certificate: bytes) -> None:
    """A database as the first release left it, with a card, its key, and an operation of it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, "0001")
        for statement in (
            "INSERT INTO user VALUES ('u', 'Ada', '', 0)",
            "INSERT INTO card VALUES ('c', '100', X'00', 'u', 'p256', 'active', '', X'01', 0, 0)",
            "INSERT INTO card_object VALUES ('c', 126, X'02')",
            "INSERT INTO identity VALUES ('w', 1, 'active', 'PC', '', NULL, X'03', NULL, 0)",
        ):
            connection.execute(text(statement))
        connection.execute(
            text("INSERT INTO key VALUES ('k', 'c', 154, 17, :certificate, X'04', 5, NULL)"),
            {"certificate": certificate},
        )
        connection.execute(
            text(
                "INSERT INTO operation (id, request_id, workstation_id, card_id, key_id, user_id,"
                " key_use, state, payload, number, channels, create_time, expire_time,"
                " qr_expire_time) VALUES"
                " ('o', X'05', 'w', 'c', 'k', 'u', 1, 1, X'06', '42', 1, 0, 0, 0)"
            )
        )
    engine.dispose()


def self_signed(private: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ada")])
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), 1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(private, SHA256())
    )
    return certificate.public_bytes(Encoding.DER)


def dies(path: Path, step: int) -> bool:
    """Whether a migration comes to a step, at which it dies; nothing is changed then."""
    database = open_database(path)
    before = version(database)
    try:
        with crashing(step):
            database.migrate()
    except Crash:
        died = True
    else:
        died = False
    database.close()
    again = open_database(path)
    assert (version(again) == before) == died  # all of it, or nothing
    with again.read() as connection:
        assert connection.execute(text("SELECT display_name FROM user")).scalars().all() == ["Ada"]
    again.close()
    return died


def version(database: Database) -> str:
    with database.read() as connection:
        found: str = connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar_one()
        return found


def test_each_migration_dies_at_any_statement_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From each version to the next, as all of them from the first would be done anew each time."""
    base, path = tmp_path / "base.db", tmp_path / "keystore.db"
    first_schema(base, self_signed(ec.generate_private_key(ec.SECP256R1())))
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "+1"))
    steps = 0
    for _ in revisions()[1:]:
        for step in count(1):
            shutil.copy(base, path)
            if not dies(path, step):
                break
        steps += step
        path.replace(base)
    assert steps > 300  # statements to die at
    monkeypatch.undo()
    migrated = open_database(base)
    migrated.migrate()
    with migrated.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    migrated.close()


def test_a_migration_that_dies_is_begun_again(tmp_path: Path) -> None:
    first, path = tmp_path / "first.db", tmp_path / "keystore.db"
    first_schema(first, self_signed(ec.generate_private_key(ec.SECP256R1())))
    shutil.copy(first, path)
    undisturbed = open_database(path)
    undisturbed.migrate()
    whole = schema(undisturbed)
    undisturbed.close()
    for step in count(1, APART):
        shutil.copy(first, path)
        died = dies(path, step)
        again = open_database(path)
        again.migrate()
        assert schema(again) == whole
        again.close()
        if not died:
            break
    assert step > 300  # statements to die at


def revisions() -> list[str]:
    """The versions of the schema, the first one first."""
    scripts = ScriptDirectory.from_config(configuration())
    return [each.revision for each in scripts.walk_revisions()][::-1]


def schema(database: Database) -> list[tuple[str, str | None]]:
    """All that SQLite has in a database, and the statement that makes it, if it needed one."""
    with database.read() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master ORDER BY name"))
        return [(name, sql) for name, sql in rows]


def test_uses_of_sessions_get_their_own_table(tmp_path: Path) -> None:
    path = tmp_path / "keystore.db"
    first_schema(path, self_signed(ec.generate_private_key(ec.SECP256R1())))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, "0004")
        connection.execute(
            text(
                "INSERT INTO session (id, card_id, key_id, user_id, workstation_id, key_use,"
                " policy, uses_left, create_time, expire_time) VALUES"
                " ('s', 'c', 'k', 'u', 'w', 1, '', 5, 0, 9)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO operation (id, request_id, workstation_id, card_id, key_id, user_id,"
                " key_use, state, payload, number, channels, create_time, expire_time,"
                " qr_expire_time, end_time, sealed_result, session_id, input_sha256) VALUES"
                " ('o2', X'07', 'w', 'c', 'k', 'u', 1, 5, X'', '', 0, 1, 2, 1, 2, X'08', 's',"
                " X'09')"
            )
        )
    engine.dispose()
    database = open_database(path)
    database.migrate()
    with database.read() as connection:
        use = session_uses.find_by_request(connection, "s", b"\x07")
        left = connection.execute(text("SELECT id FROM operation")).scalars().all()
    database.close()
    at = [EPOCH + timedelta(microseconds=each) for each in (1, 2)]
    assert use == Use("o2", "s", b"\x07", b"\x09", *at, b"\x08")
    assert left == ["o"]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_uses_and_entries_move_into_new_tables(
    engine: str, tmp_path: Path, postgresql: Server
) -> None:
    url = f"sqlite:///{tmp_path}/k.db" if engine == "sqlite" else postgresql.new_database()
    database, own = Database(url), {"user_id": "u", "card_id": "c", "key_id": "k"}
    made: Mapping[Table, list[Values]] = {
        t.user: [{"id": "u", "display_name": "", "email": "", **CREATED}],
        t.identity: [
            {"id": "w", "role": 1, "state": "", "display_name": "", "site": "", **CREATED}
        ],
        t.card: [
            {"id": "c", "serial": "", "guid": b"", "user_id": "u", "profile": "", "state": ""}
            | {"request_id": b"", "expire_time": EPOCH, **CREATED}
        ],
        t.key: [
            {"id": "k", "card_id": "c", "key_ref": 1, "algorithm": 1, "certificate": b""}
            | {"public_key": b"", "pin_policy": 0, "touch_policy": 0, "imported": False, **CREATED}
        ],
        t.session: [
            {"id": "s", "workstation_id": "w", "key_use": 1, "policy": "", "uses_left": 1, **own}
            | {"expire_time": EPOCH, **CREATED}
        ],
        t.session_use: [
            {"id": name, "session_id": "s", "request_id": name.encode(), "input_sha256": b"i"}
            | {"end_time": end, "sealed_result": result, "used_by": 7, **CREATED}
            for name, end, result in (("2", None, None), ("1", EPOCH, b"sealed"))
        ],
        t.journal: [
            {"id": number, "leaf_index": place, "time": EPOCH, "kind": "k", "entry": b"e"}
            | {"user_id": "u", "card_id": "c", "mac": b"m"}
            for number, place in ((3, 0), (4, None))
        ],
    }

    def moved(connection: Connection) -> list[list[Row[tuple[Value, ...]]]]:
        return [
            list(connection.execute(select(table).order_by(table.c.id)))
            for table in (t.session_use, t.journal)
        ]

    with database.write(long=True) as connection:
        upgrade(connection, "0018")
        for table, values in made.items():
            connection.execute(insert(table), values)
        before = moved(connection)
    database.migrate()
    with database.write(long=True) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert moved(connection) == before
        assert (journal.count_taken_in(connection), journal.has_to_take_in(connection)) == (1, True)
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(insert(t.session_use), [made[t.session_use][0] | {"id": "3"}])
    database.close()


def test_cards_of_the_first_release_are_kept(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    first_schema(tmp_path / "keystore.db", self_signed(private))
    database = open_database(tmp_path / "keystore.db")
    database.migrate()
    database.authenticate(bytes(32))
    with database.read() as connection, pytest.raises(RowNotAuthentic, match="no code"):
        cards.doomed(connection, "c")
    authenticating.authenticate(database, EPOCH, DATA_FOLDER)
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        (key,) = cards.doomed(connection, "c")
        assert (key.id, key.key_ref, key.private) == ("k", 0x9A, Sealed(b"\x04"))
        assert key.public_key == private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        assert data_objects.of_card(connection, "c") == {126: StoredObject(126, b"\x02")}
        user = people.find_user(connection, "u")
        assert user is not None
        assert (user.upn, user.sid) == ("", "")
        own = people.find_identity(connection, "w")
        assert own is not None
        assert own.expire_time == EPOCH + IDENTITY_LIFETIME  # its certificate was made for so long
    with database.write() as connection:  # a reference may come free
        assert cards.remove_key(connection, "c", 0x9A, EPOCH)
        cards.add_key(connection, replace(key, id="k2"))
    with pytest.raises(IntegrityError), database.write() as connection:
        cards.add_key(connection, replace(key, id="k3"))
    with pytest.raises(IntegrityError), database.write() as connection:  # still referred to
        connection.execute(text("DELETE FROM key WHERE id = 'k'"))
    database.close()
