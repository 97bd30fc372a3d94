"""What a process knows of the newest versions of rows, so that it believes no earlier one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cloud_keystore.storage.authentic.codes import Value

Name: TypeAlias = tuple[Value, ...]  # a table's name, and a row's primary key

MOST_KNOWN = 1 << 17  # rows, of which the older half is forgotten when there are more
GONE = 1 << 63  # more changes than any row has: it was deleted


@dataclass(frozen=True, slots=True)
class _Known:
    changes: int
    learnt: int


class Newest:
    """The number of changes of rows that this process has read or written. A row with fewer changes
    was put back by somebody else than a keystore.

    A transaction that began before something was learnt can rightly see what was before.
    """

    def __init__(self) -> None:
        self._known: dict[Name, _Known] = {}
        self._learning = threading.Lock()
        self._times = 0

    @property
    def now(self) -> int:
        """The point in the order of learning at which a transaction begins."""
        return self._times

    def learn(self, seen: Mapping[Name, int]) -> None:
        """Take over what a transaction that was committed has read and written."""
        with self._learning:
            self._times += 1
            for name, changes in seen.items():
                known = self._known.get(name)
                if known is None or known.changes < changes:
                    self._known[name] = _Known(changes, self._times)
            if len(self._known) > MOST_KNOWN:
                kept = list(self._known.items())[MOST_KNOWN // 2 :]
                self._known = dict(kept)

    def is_older(self, name: Name, changes: int, began: int) -> bool:
        """Whether a row that a transaction reads is an earlier version than it must be."""
        known = self._known.get(name)
        return known is not None and changes < known.changes and known.learnt <= began
