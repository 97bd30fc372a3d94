"""What a check of entries rests on, and what it could not show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

CLOCK_TOLERANCE = timedelta(minutes=1)  # between replicas
LEFT_OUT = "what some entries rest on, because the entries about that are not in the pack"


class Wrong(Exception):
    """Something in an entry is wrong; the text says what."""


@dataclass
class Ground:
    """Whether all entries are there, and what the check could not show, each with how often."""

    whole: bool  # all entries from the first on; else some of them, in order
    enrolments: bool = True  # whether the enrolment of each device that decided must be there
    unshown: dict[str, int] = field(default_factory=dict)

    def lacks(self, wrong: str) -> None:
        """Something is not there on which an entry rests; raises Wrong if it must be there."""
        if self.whole:
            raise Wrong(wrong)
        self.cannot_show(LEFT_OUT)

    def cannot_show(self, what: str) -> None:
        self.unshown[what] = self.unshown.get(what, 0) + 1


def is_later(time: datetime, limit: datetime) -> bool:
    """Whether a time is after a limit, by more than the clocks of replicas can differ."""
    return time > limit + CLOCK_TOLERANCE
