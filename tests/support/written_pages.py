"""Which pages of an SQLite database were written, by the tables and indexes that have them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

# Of the log (SQLite, "WAL File Format"): a header, then for each page a header and its bytes
LOG_HEADER, FRAME_HEADER = 32, 24
PAGE_SIZE, SALTS = slice(8, 12), slice(16, 24)
NUMBER, ITS_SALTS = slice(0, 4), slice(8, 16)
BOOKKEEPING = "bookkeeping"  # the first page, and those that list what is free


def written(database: Path, work: Callable[[], object]) -> Counter[str]:
    """How many pages the commits of some work have added to the log, each as often as it is there.
    The work is less than what makes SQLite empty its log.
    """
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
        work()
        log = database.with_name(f"{database.name}-wal").read_bytes()
        found = connection.execute("SELECT pageno, name FROM dbstat WHERE name <> 'sqlite_schema'")
        names: dict[int, str] = dict(found)
    size = int.from_bytes(log[PAGE_SIZE])
    pages: Counter[str] = Counter()
    for at in range(LOG_HEADER, len(log), FRAME_HEADER + size):
        header = log[at : at + FRAME_HEADER]
        assert header[ITS_SALTS] == log[SALTS]
        pages[names.get(int.from_bytes(header[NUMBER]), BOOKKEEPING)] += 1
    return pages
