"""Measures how fast the journal takes in entries, and finds them again among millions."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_keystore.audit import journal, sequencing
from cloud_keystore.audit.sequencing import Log
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.journal import Query
from cloudcard_tools.bench.timing import machine, sample

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=37)  # between two entries
BATCH = 5000
SEARCHES = 400  # of each kind
PAGE = 100
CARDS, USERS, WORKSTATIONS = 20_000, 15_000, 3_000
SEED = 14


@dataclass(frozen=True, slots=True)
class Result:
    """Rates in entries a second; times in milliseconds, of a page of the newest entries."""

    rows: int
    insert_per_s: float
    take_in_per_s: float
    search_p50_ms: Mapping[str, float]
    search_p99_ms: Mapping[str, float]
    machine: str


def measure(folder: Path, count: int, address: str, done: Callable[[int], None]) -> Result:
    """Write entries to a new SQLite database, or to an empty one of PostgreSQL, take them into the
    tree, and search them. `done` is called with the number of entries that were written or taken
    in.
    """
    chance = random.Random(SEED)  # noqa: S311 (no secret)
    database = Database(address or f"sqlite:///{folder / 'journal.db'}")
    database.migrate()
    database.authenticate(os.urandom(32))
    try:
        began = time.perf_counter()
        for start in range(0, count, BATCH):
            with database.write(long=True) as connection:
                some = min(BATCH, count - start)
                journal.append(connection, *_entries(chance, start, some))
            done(some)
        inserted = time.perf_counter()
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        log = Log("bench", public, private.sign)
        while taken := sequencing.take_in(database, log, BEGIN):
            done(taken)
        ended = time.perf_counter()
        searches = {
            name: sorted(sample(_searching(database, query), SEARCHES))
            for name, query in _queries(chance, count).items()
        }
    finally:
        database.close()
    return Result(
        count,
        round(count / (inserted - began), 1),
        round(count / (ended - inserted), 1),
        {name: _ms(each[len(each) // 2]) for name, each in searches.items()},
        {name: _ms(each[len(each) * 99 // 100]) for name, each in searches.items()},
        machine(),
    )


def _entries(chance: random.Random, start: int, count: int) -> Iterator[Entry]:
    for number in range(start, start + count):
        card = chance.randrange(CARDS)
        yield Entry(
            Kind.SESSION_USED,
            BEGIN + number * STEP,
            Actor(ActorKind.WORKSTATION, _id(3, card % WORKSTATIONS)),
            card_id=_id(1, card),
            user_id=_id(2, card % USERS),
            workstation_id=_id(3, card % WORKSTATIONS),
            operation_id=_id(4, number),
            key_id=_id(5, card),
            details={"inputs": 1, "policy": "default 0", "session": _id(6, card)},
            evidence={"input_sha256": os.urandom(32)},
        )


def _queries(chance: random.Random, count: int) -> Mapping[str, Callable[[], Query]]:
    """Typical queries of auditors, with different values each time."""

    def hour() -> Query:
        since = BEGIN + chance.randrange(count) * STEP
        return Query(since=since, until=since + timedelta(hours=1))

    return {
        "card": lambda: Query(card_id=_id(1, chance.randrange(CARDS))),
        "user": lambda: Query(user_id=_id(2, chance.randrange(USERS))),
        "workstation": lambda: Query(workstation_id=_id(3, chance.randrange(WORKSTATIONS))),
        "operation": lambda: Query(operation_id=_id(4, chance.randrange(count))),
        "time": hour,
    }


def _searching(database: Database, query: Callable[[], Query]) -> Callable[[], object]:
    def search() -> object:
        with database.read() as connection:
            return rows.search(connection, query(), None, PAGE)

    return search


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)


def _id(kind: int, number: int) -> str:
    return str(UUID(int=kind << 64 | number))
