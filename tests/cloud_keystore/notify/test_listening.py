"""Wake-ups between replicas, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from cloud_keystore.notify.listening import MOST_QUEUED, MOST_TOPICS, Relay
from cloud_keystore.notify.wakeups import Subscription, Wakeups
from cloud_keystore.storage.databases.addresses import parameters
from support.postgres import Server

SECONDS = 60.0


@pytest.fixture(scope="module")
def url(postgresql: Server) -> str:
    return postgresql.new_database()


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Wakeups]:
    """The wake-ups of a process, connected to the others; listens when it is given."""
    wakeups = Wakeups(asyncio.get_running_loop())
    relay = Relay(parameters(url), wakeups)
    wakeups.tell_others = relay.tell
    with wakeups.subscribe("start") as started:
        running = asyncio.create_task(relay.run())
        await woken(started)
    try:
        yield wakeups
    finally:
        running.cancel()


async def woken(*subscriptions: Subscription) -> None:
    """Return when all were woken; fails if only the time has run out."""
    async with asyncio.timeout(SECONDS / 2):
        await asyncio.gather(*(each.wait(SECONDS) for each in subscriptions))


def test_a_change_at_one_wakes_who_waits_at_the_other(url: str) -> None:
    async def run() -> None:
        async with replica(url) as here, replica(url) as there:
            with there.subscribe("a") as waiting, there.subscribe("b") as other:
                here.wake(["a"])
                await woken(waiting)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await other.wait(SECONDS)

    asyncio.run(run())


def test_many_at_once(url: str) -> None:
    """More than one notification can carry."""

    async def run() -> None:
        topics = [f"{number:036}" for number in range(3 * MOST_TOPICS + 1)]
        async with replica(url) as here, replica(url) as there:
            with ExitStack() as waiting:
                each = [waiting.enter_context(there.subscribe(topic)) for topic in topics]
                here.wake(topics)
                await woken(*each)

    asyncio.run(run())


def test_a_connection_that_is_cut_is_made_again(url: str, postgresql: Server) -> None:
    async def run() -> None:
        async with replica(url) as here, replica(url) as there:
            with there.subscribe("a") as waiting:
                await asyncio.to_thread(postgresql.stop, "immediate")
                here.wake(["lost"])
                await asyncio.to_thread(postgresql.start)
                await woken(waiting)  # it may have missed something
                for _ in range(200):  # until `here` is back too
                    here.wake(["a"])
                    try:
                        async with asyncio.timeout(0.1):
                            return await waiting.wait(SECONDS)
                    except TimeoutError:
                        continue
            pytest.fail("nothing came through any more")

    asyncio.run(run())


def test_what_cannot_be_told_is_bounded() -> None:
    """While the database is away."""

    async def run() -> None:
        nowhere = parameters("postgresql://127.0.0.1:1/none")
        relay = Relay(nowhere, Wakeups(asyncio.get_running_loop()))
        for number in range(3):
            relay.tell(f"{number}-{each}" for each in range(MOST_QUEUED))
        assert relay.untold == MOST_QUEUED

    asyncio.run(run())
