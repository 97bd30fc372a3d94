"""Requests that API clients can repeat, by a key of their own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

KEPT = timedelta(days=1)  # for which an answer is given again
UNDER_WAY = timedelta(minutes=2)  # after which nobody answers any more: the process has ended
MOST_KEPT = 20_000  # of one client


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that was begun. Its answer is for its client alone to open; None until there is
    one.
    """

    id: str
    client_id: str
    key_sha256: bytes
    request_mac: bytes  # under a key of the client's
    begin_time: datetime
    answer: bytes | None = None
