"""Wake-ups between replicas, by PostgreSQL's LISTEN and NOTIFY.

They are hints, and a lost one only costs a poll. Therefore nothing waits for them to be sent. After
a broken connection a new one is made, and all waiting callers look for themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import structlog
from psycopg import AsyncConnection, Error, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from cloud_keystore.notify.telling import Telling
from cloud_keystore.notify.wakeups import Wakeups

CHANNEL = "cloudcard_wakeups"
MOST_TOPICS = 100  # in one notification, whose text can have 7999 bytes (PostgreSQL's NOTIFY)
MOST_QUEUED = 10_000  # topics that wait to be sent while the database is unavailable
RETRY_SECONDS = 0.5
NAME = "cloudcard wake-ups"  # of the connections, as the server lists them

Asynchronous: TypeAlias = AsyncConnection[TupleRow]

log = structlog.get_logger()


class Relay:
    """Tells other replicas what has changed here, and wakes callers here after changes elsewhere.
    Made and run in the event loop of `wakeups`.
    """

    def __init__(self, parameters: Mapping[str, str], wakeups: Wakeups | Telling) -> None:
        """Take the parameters by which all connect to the database, without connecting yet."""
        self._parameters = {**parameters, "application_name": NAME}
        self._wakeups = wakeups
        self._untold: asyncio.Queue[str] = asyncio.Queue(MOST_QUEUED)

    @property
    def untold(self) -> int:
        """How many topics have not been sent to the others yet."""
        return self._untold.qsize()

    def tell(self, topics: Iterable[str]) -> None:
        """Queue topics for the other replicas; called in the event loop."""
        for topic in topics:
            if self._untold.full():
                return  # callers elsewhere look when the connection is back
            self._untold.put_nowait(topic)

    async def run(self) -> None:
        """Listen and tell until cancelled."""
        while True:
            try:
                async with self._connected() as listening, self._connected() as telling:
                    await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    # Wake-ups that others sent before this connection was made are lost.
                    self._wakeups.wake_all()
                    async with asyncio.TaskGroup() as tasks:
                        own = telling.info.backend_pid
                        tasks.create_task(self._listen(listening, own))
                        tasks.create_task(self._tell(telling))
            except* (Error, OSError) as group:
                error = group.exceptions[0]
                log.warning("no wake-ups between replicas", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Asynchronous]:
        where = make_conninfo("", **self._parameters)
        connection = await AsyncConnection.connect(where, autocommit=True)
        try:
            yield connection
        finally:
            await connection.close()

    async def _listen(self, connection: Asynchronous, own: int) -> None:
        async for notification in connection.notifies():
            if notification.pid != own:
                self._wakeups.wake_here(notification.payload.split())

    async def _tell(self, connection: Asynchronous) -> None:
        while True:
            topics = list(dict.fromkeys([await self._untold.get(), *self._rest()]))
            for start in range(0, len(topics), MOST_TOPICS):
                text = " ".join(topics[start : start + MOST_TOPICS])
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))

    def _rest(self) -> Iterator[str]:
        while not self._untold.empty():
            yield self._untold.get_nowait()
