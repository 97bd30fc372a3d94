"""A use of a session writes few pages: each one goes to the log as a whole."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_keystore.custody.use.unwritten import MOST
from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.model.sessions import Session, Use
from cloud_keystore.storage import session_uses
from cloud_keystore.storage.bundles.contents import SIZE
from cloud_keystore.storage.databases.sqlite import LOG_BYTES, PAGE_BYTES
from support.keystore_world import DATABASE, DIGEST, SESSIONS, Enrolled, World, new_world
from support.written_pages import BOOKKEEPING, written

TERMS = SessionTerms(1000, timedelta(hours=1))
# Of a use, each with a row that is changed or added
TOUCHED = {
    "session",
    "session_use",
    "sqlite_autoindex_session_use_1",  # of its identifiers
    "session_use_by_request",
    "session_use_to_end",
    "journal",
}
SETTLED = 3 * MOST  # uses after which each index has several pages
ALONE = 12  # pages of a use: six, and those that are divided because they were full
TOGETHER = 5  # pages of each of MOST uses of one session in one transaction
BUNDLED = 0.5  # pages of each entry that goes to a bundle


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    world.set_policy(replace(SESSIONS, session=TERMS))
    yield world
    world.database.close()


@pytest.fixture
def pc(world: World) -> Enrolled:
    return world.workstation()


@pytest.fixture
def session(world: World, pc: Enrolled) -> Session:
    user, phone = world.user()
    session = world.session(world.card(user), pc, phone, TERMS)
    use(world, session, pc, SETTLED)
    world.sessions.write_results()
    return session


def use(world: World, session: Session, pc: Enrolled, number: int) -> None:
    """Use a session so many times, in one group, at a later time."""
    world.clock.forward(seconds=0.001)
    sha256, outcomes = pc.identity.certificate_sha256, []
    asked = [UseRequest(session.id, timed(world), (DIGEST,), sha256) for _ in range(number)]
    world.sessions.use_all(asked, lambda _, outcome: outcomes.append(outcome))
    assert all(isinstance(outcome, Used) for outcome in outcomes)


def timed(world: World) -> bytes:
    """A request_id as the reader makes it, by the clock of the world."""
    return int(world.clock().timestamp() * 1000).to_bytes(6) + os.urandom(10)


def test_a_new_database_has_small_pages(world: World) -> None:
    with world.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA page_size").scalar() == PAGE_BYTES


def test_a_use_alone(world: World, session: Session, pc: Enrolled, tmp_path: Path) -> None:
    total: Counter[str] = Counter()
    for _ in range(MOST - 1):  # the results of the next one are written too
        pages = written(tmp_path / DATABASE, lambda: use(world, session, pc, 1))
        assert TOUCHED <= set(pages) <= TOUCHED | {BOOKKEEPING}
        total += pages
    assert total.total() <= ALONE * (MOST - 1)


def test_uses_together(world: World, session: Session, pc: Enrolled, tmp_path: Path) -> None:
    """With the results of those before."""
    use(world, session, pc, MOST)
    pages = written(tmp_path / DATABASE, lambda: use(world, session, pc, MOST))
    assert set(pages) <= TOUCHED | {BOOKKEEPING, "session_use_result"}
    assert pages.total() <= TOGETHER * MOST


def test_uses_of_many_sessions_are_added_beside_each_other(world: World, tmp_path: Path) -> None:
    def add() -> None:
        world.clock.forward(seconds=1)
        now = world.clock()
        uses = [
            Use(new_id(now, os.urandom), os.urandom(16).hex(), timed(world), b"", now)
            for _ in range(MOST)
        ]
        with world.database.write() as connection:
            session_uses.add(connection, uses)

    for _ in range(MOST):
        add()
    assert written(tmp_path / DATABASE, add)["session_use_by_request"] <= MOST // 2


def test_entries_that_go_to_a_bundle_are_not_written_again(
    world: World, session: Session, pc: Enrolled, tmp_path: Path
) -> None:
    world.take_in()
    use(world, session, pc, SIZE)
    pages = written(tmp_path / DATABASE, world.take_in)
    assert pages["journal"] <= BUNDLED * SIZE
    # What is deleted later is overwritten again.
    with world.database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


def test_a_database_of_before_keeps_its_pages(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size=4096")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE of_before (number INTEGER)")
    world = new_world(tmp_path)
    with world.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA page_size").scalar() == 4096
        log = connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()
    world.database.close()
    assert log * 4096 == LOG_BYTES


def test_a_use_finds_in_memory_what_the_use_before_has_written(world: World) -> None:
    """Each of five connections read all pages anew, because another one had written: 34 a use."""
    database = world.database
    with database.read(), database.read(), database.read():
        pass  # as many connections are open from now on
    used = set()
    for _ in range(6):
        with database.write() as connection:
            used.add(id(connection.connection.dbapi_connection))
    assert len(used) == 1
