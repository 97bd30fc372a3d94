"""Organisations: what cards are issued for, and policies are set for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation; the first, whose identifier is "default", is there from the beginning."""

    id: str
    name: str
    create_time: datetime
