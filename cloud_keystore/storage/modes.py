"""Kinds of transactions."""

from __future__ import annotations

from enum import Enum, auto

MODE = "mode"  # under which a connection keeps the kind of its transaction


class Mode(Enum):
    """What a transaction may do, and beside which others."""

    READ = auto()  # one consistent view
    WRITE = auto()  # beside no other writer
    SHARED = auto()  # a writer beside other shared ones, where the database can
