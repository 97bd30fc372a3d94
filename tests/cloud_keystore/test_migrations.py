from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cloud_keystore.storage.engine import Database, DatabaseUnusable
from cloud_keystore.storage.tables import metadata


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
        connection.execute(text("INSERT INTO user VALUES ('1', 'Ada', '', 0)"))
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
    with pytest.raises(DatabaseUnusable, match="sqlite"):
        Database("postgresql://host/keystore")


def insert_twice(database: Database) -> None:
    with database.write() as connection:
        for name in ("Ada", "Bo"):
            values = {"name": name}
            connection.execute(text("INSERT INTO user VALUES ('1', :name, '', 0)"), values)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path / "keystore.db")
    database.migrate()
    with pytest.raises(IntegrityError):
        insert_twice(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM user")).scalar() == 0
    database.close()
