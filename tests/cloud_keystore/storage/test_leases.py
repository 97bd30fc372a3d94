"""A process that is stopped, killed or cut off within a transaction keeps no other one waiting, and
does nothing by halves.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

import pytest

from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.storage.databases.postgresql import IDLE_SECONDS
from cloud_keystore.storage.engine import Database
from support import warm_starts
from support.postgres import Server
from support.wire import wire

SECONDS = 60.0
OTHERS_GO_ON = 3.0  # seconds, at most
WAITING = 6  # transactions of the process that is stopped
MADE = "CREATE TABLE probe (who text)"
WRITTEN = "INSERT INTO probe VALUES ('stopped')"


def hold(url: str, how: str, said: Connection) -> None:
    """Hold the writers' lock with a row written, until told to go on; then write another one. One
    that is busy says something to the server all the time.

    Further writers of this process wait meanwhile, as in a service with many calls.
    """
    shared = how == "shared"
    with closing(Database(url)) as database:

        def write() -> None:
            with database.write(shared=shared) as connection:
                connection.exec_driver_sql(WRITTEN)

        try:
            with database.write(shared=shared) as connection:
                connection.exec_driver_sql(WRITTEN)
                for _ in range(WAITING if how == "crowd" else 0):
                    threading.Thread(target=_quietly, args=(write,), daemon=True).start()
                time.sleep(0.3 if how == "crowd" else 0)
                said.send("holds")
                while how == "busy" and not said.poll(0.05):
                    connection.exec_driver_sql("SELECT 1")
                said.recv()
                connection.exec_driver_sql(WRITTEN)
        except StorageUnavailable:
            said.send("refused")
        else:
            said.send("written")


def _quietly(write: Callable[[], None]) -> None:
    with suppress(StorageUnavailable):
        write()


class Holder:
    """Another process, which is within a transaction."""

    def __init__(self, url: str, how: str = "alone") -> None:
        self.says, theirs = warm_starts.context.Pipe()
        self.process: ForkServerProcess = warm_starts.context.Process(
            target=hold, args=(url, how, theirs), daemon=True
        )
        self.process.start()
        theirs.close()
        assert self.hear() == "holds"

    def hear(self) -> str:
        assert self.says.poll(SECONDS)
        heard: str = self.says.recv()
        return heard

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def go_on(self) -> str:
        """How its transaction ends."""
        self.says.send("go on")
        return self.hear()

    def close(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def url(postgresql: Server) -> str:
    url = postgresql.new_database()
    with closing(Database(url)) as database, database.write() as connection:
        connection.exec_driver_sql(MADE)
    return url


def seconds_until_written(url: str) -> float:
    """How long another replica waits for its turn to write."""
    with closing(Database(url)) as database:
        with database.read():  # it has been running, and is connected
            pass
        began = time.monotonic()
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO probe VALUES ('other')")
        return time.monotonic() - began


def rows(url: str) -> list[str]:
    with closing(Database(url)) as database, database.read() as connection:
        return list(connection.exec_driver_sql("SELECT who FROM probe").scalars())


def stopped(url: str, how: str) -> tuple[float, str, list[str]]:
    """What others wait, how the stopped process's transaction ends, and what is written then."""
    with closing(Holder(url, how)) as holder:
        holder.send_signal(signal.SIGSTOP)
        waited = seconds_until_written(url)
        holder.send_signal(signal.SIGCONT)
        # Its other writers have their turn: their time has not been spent.
        ended = holder.go_on()
        return waited, ended, rows(url)


def test_a_stopped_process_loses_its_lock(postgresql: Server) -> None:
    """SIGSTOP of one of two replicas under load stopped the other one for a minute."""
    ways = ("alone", "shared", "crowd")
    urls = [postgresql.new_database() for _ in ways]
    for each in urls:
        with closing(Database(each)) as database, database.write() as connection:
            connection.exec_driver_sql(MADE)
    with ThreadPoolExecutor(len(ways)) as pool:
        found = list(pool.map(stopped, urls, ways))
    for waited, ended, written in found:
        assert waited < OTHERS_GO_ON
        assert ended == "refused"
        assert written[0] == "other"
    # Nothing of what was begun is there.
    assert [written for _, _, written in found[:2]] == [["other"], ["other"]]


def test_a_killed_process_keeps_nobody_waiting(url: str) -> None:
    with closing(Holder(url)) as holder:
        holder.send_signal(signal.SIGKILL)
        assert seconds_until_written(url) < IDLE_SECONDS  # its lease was not waited for
    assert rows(url) == ["other"]


def test_a_process_that_nobody_reaches_loses_its_lock(url: str, postgresql: Server) -> None:
    """Its computer lost the network: no packet arrives, in either direction."""
    with wire(postgresql.port) as cable:
        far = url.replace(f":{postgresql.port}/", f":{cable.port}/")
        with closing(Holder(far)) as holder:
            cable.cut()
            assert seconds_until_written(url) < OTHERS_GO_ON
            began = time.monotonic()
            assert holder.go_on() == "refused"
            assert time.monotonic() - began < 2 * OTHERS_GO_ON  # it does not hang either
    assert rows(url) == ["other"]


def test_who_waits_for_a_lock_asks_again_until_it_has_it(url: str) -> None:
    """A request for a lock lasts a second; a process that lives waits for longer."""
    with closing(Database(url)) as database, closing(Holder(url, "busy")) as holder:

        def keep() -> str:
            time.sleep(1.2)
            return holder.go_on()

        with ThreadPoolExecutor(1) as pool:
            kept = pool.submit(keep)
            with database.write() as connection:
                connection.exec_driver_sql("INSERT INTO probe VALUES ('other')")
            assert kept.result() == "written"
    assert rows(url) == ["stopped", "stopped", "other"]
