"""Organisations: groups of users, for which cards are issued and policies are set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation. Every database has one with the identifier "default"."""

    id: str
    name: str
    create_time: datetime
