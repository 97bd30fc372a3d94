"""People as the rows of a table name them, before anybody has checked them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum, unique


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person as a row names them. The fields are the columns; empty ones say nothing."""

    name: str
    email: str
    organisation: str = ""  # by name, or by identifier
    phone: str = ""
    upn: str = ""
    sid: str = ""
    profile: str = ""


COLUMNS = tuple(each.name for each in fields(Candidate))
REQUIRED = COLUMNS[:2]  # an address tells whether the person is there already


@unique
class Outcome(StrEnum):
    """What has become of a row."""

    ADDED = "added"
    THERE = "there"  # the same person was there before
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is refused: what is wrong in which column, and what to do about it."""

    column: str
    reason: str
    fix: str
