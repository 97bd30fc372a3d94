"""Statements are compiled once in a process of tests, though each test opens a database of its own.
SQLAlchemy keeps them by engine and dialect, so that compiling took a third of such a test's time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

from sqlalchemy import Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

KEPT = 2000

P = ParamSpec("P")


class Statements:
    """The statements that all engines have compiled so far."""

    def __init__(self) -> None:
        self._compiled: LRUCache[Any, Any] = LRUCache(KEPT)

    def shared(self, new_engine: Callable[P, Engine]) -> Callable[P, Engine]:
        """Make engines as `new_engine` does, which share their statements with the others."""

        def new(*args: P.args, **kwargs: P.kwargs) -> Engine:
            engine = new_engine(*args, **kwargs)
            kind = type(engine.dialect)
            kind.__eq__, kind.__hash__ = _same_kind, _hash_of_kind  # type: ignore[method-assign]
            engine.update_execution_options(compiled_cache=self._compiled)
            return engine

        return new


def _same_kind(one: Dialect, other: object) -> bool:
    """Whether statements that were compiled for one dialect serve another, too."""
    return type(one) is type(other)


def _hash_of_kind(dialect: Dialect) -> int:
    return hash(type(dialect))
