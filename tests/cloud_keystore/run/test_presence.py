"""Processes that have been killed, stopped or cut off are known to be gone within seconds."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from cloud_keystore.run.presence import GRACE_SECONDS, LEASE_SECONDS, Presence, present
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.operations import start_use
from support import warm_starts
from support.keystore_world import new_world
from support.postgres import Server
from support.wire import wire

SECONDS = 60.0
KILLED, STOPPED, CUT_OFF, WELL = 1, 2, 3, 4


def live(url: str, number: int) -> None:
    """Be a process of the service until it is killed."""
    with closing(Database(url)) as database, Presence(database, number).told():
        time.sleep(10 * SECONDS)


def start(url: str, number: int) -> ForkServerProcess:
    process: ForkServerProcess = warm_starts.context.Process(
        target=live, args=(url, number), daemon=True
    )
    process.start()
    return process


@pytest.fixture
def url(postgresql: Server, new_keystore_in_postgresql: str) -> str:
    return postgresql.new_database(new_keystore_in_postgresql)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(url)) as database:
        yield database


def test_who_is_gone_is_known_in_seconds(database: Database, url: str, postgresql: Server) -> None:
    """Uses of a killed process waited for half a minute."""
    looking = Presence(database, 0)
    with wire(postgresql.port) as cable:
        far = url.replace(f":{postgresql.port}/", f":{cable.port}/")
        urls = {KILLED: url, STOPPED: url, CUT_OFF: far, WELL: url}
        processes = {number: start(url, number) for number, url in urls.items()}
        try:
            wait(lambda: here(database) == set(processes))
            assert look(looking, database) == frozenset()
            began, seen = time.monotonic(), dict[int, float]()
            processes[KILLED].kill()
            send(processes[STOPPED], signal.SIGSTOP)
            cable.cut()
            while len(seen) < 3 and time.monotonic() < began + SECONDS:
                for number in look(looking, database):
                    seen.setdefault(number, time.monotonic() - began)
                time.sleep(0.1)
            assert seen.keys() == {KILLED, STOPPED, CUT_OFF}
            assert seen[KILLED] < LEASE_SECONDS + GRACE_SECONDS  # its lease was not waited for
            looking.forget(frozenset(seen))
            assert look(looking, database) == frozenset()  # their uses have been ended
            send(processes[STOPPED], signal.SIGCONT)
            wait(lambda: STOPPED in here(database))
        finally:
            for process in processes.values():
                process.kill()
                process.join()


def test_who_was_gone_before_is_known_by_the_uses_left_behind(
    database: Database, url: str, tmp_path: Path
) -> None:
    world = new_world(tmp_path, url=url)
    with closing(world.database):
        user, phone = world.user()
        operation = world.ask(world.card(user), world.workstation())
        world.decide(operation, phone)
        with world.database.write() as connection:
            start_use(connection, operation.id, world.clock(), used_by=KILLED)
    now = 0.0
    looking = Presence(database, 0, lambda: now)
    assert look(looking, database) == frozenset()  # it may only have to connect anew
    now += GRACE_SECONDS
    assert look(looking, database) == {KILLED}


def test_a_server_that_was_away_makes_nobody_gone(database: Database, postgresql: Server) -> None:
    now = 0.0
    looking, telling = Presence(database, 0, lambda: now), Presence(database, WELL)
    with telling.told():
        wait(lambda: here(database) == {WELL})
        look(looking, database)
        postgresql.stop("immediate")
        postgresql.start()
        look(looking, database)  # perhaps before it has connected
        now += GRACE_SECONDS - 0.1
        assert look(looking, database) == frozenset()
        wait(lambda: here(database) == {WELL})
        now += 1
        assert look(looking, database) == frozenset()
    wait(lambda: here(database) == set())


def look(presence: Presence, database: Database) -> frozenset[int]:
    with database.read() as connection:
        return presence.gone(connection)


def here(database: Database) -> set[int]:
    with database.read() as connection:
        return present(connection)


def send(process: ForkServerProcess, number: int) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)
