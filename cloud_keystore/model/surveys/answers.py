"""Feedback of staff, and holders' answers to "Would you recommend this card to a colleague?"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SCORES = range(11)  # 0: not at all likely; 10: extremely likely
PROMOTERS, DETRACTORS = range(9, 11), range(7)
LONGEST_TEXT = 1000
ASK_AGAIN = timedelta(days=180)  # after an answer, or after "not now"
MOST_OF_ONE = 20  # pieces of feedback of one operator within a day
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What an operator or somebody else of the staff says."""

    id: str
    operator_id: str
    text: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A holder's answer. Without a score, the holder did not want to be asked."""

    id: str
    user_id: str
    card_id: str
    score: int | None
    comment: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Survey:
    """What a holder is asked, if it is due."""

    is_due: bool
    card_serial: str = ""  # the card that was used so often
    authentications: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """How holders answered: how many recommend the card (9, 10), how many do not (0 to 6)."""

    answers: int
    promoters: int
    detractors: int
    comments: tuple[str, ...] = field(default=())

    @property
    def passives(self) -> int:
        """Those in between."""
        return self.answers - self.promoters - self.detractors

    @property
    def nps(self) -> int | None:
        """The net promoter score, -100 to 100; None without answers."""
        if not self.answers:
            return None
        return round(100 * (self.promoters - self.detractors) / self.answers)


def scores_of(answers: Iterable[Answer]) -> Scores:
    """Count answers; those without a score do not count."""
    given = [each for each in answers if each.score is not None]
    return Scores(
        len(given),
        sum(each.score in PROMOTERS for each in given),
        sum(each.score in DETRACTORS for each in given),
        tuple(each.comment for each in given if each.comment),
    )
