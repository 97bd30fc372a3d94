"""Kinds of transactions."""

from __future__ import annotations

from enum import Enum, auto

MODE = "mode"  # the name under which a connection keeps the kind of its transaction


class Mode(Enum):
    """What a transaction may do, and which others may run beside it."""

    READ = auto()  # one consistent view
    WRITE = auto()  # beside no other writer
    SHARED = auto()  # beside other shared writers, if the database allows it
    LONG = auto()  # beside no other writer, and for longer than a use of a key may take
