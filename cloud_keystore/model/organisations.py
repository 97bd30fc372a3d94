"""Organisations: groups of users, for which cards are issued and policies are set; a tree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

ROOT = "default"  # the organisation above all others, which every database has


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation. The root has no parent."""

    id: str
    name: str
    create_time: datetime
    parent_id: str = ""
    help: str = ""  # whom its people ask; empty: whom those of the one above ask


@dataclass(frozen=True, slots=True)
class Membership:
    """That a person belongs to an organisation besides their own."""

    id: str
    user_id: str
    organisation_id: str
    create_time: datetime
