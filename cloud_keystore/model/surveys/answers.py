"""Feedback of staff, and holders' answers to "Would you recommend this card to a colleague?"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

SCORES = range(11)  # 0: not at all likely; 10: extremely likely
PROMOTERS, DETRACTORS = range(9, 11), range(7)
LONGEST_TEXT = 1000
ASK_AGAIN = timedelta(days=180)  # after an answer, or after "not now"
MOST_OF_ONE = 20  # pieces of feedback of one operator within a day
DAY = timedelta(days=1)
FEWEST = 10  # answers that are told of together, so that none of them is anybody's
MOST_COMMENTS = 100


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

    def __add__(self, more: Scores) -> Scores:
        comments = (*self.comments, *more.comments)[-MOST_COMMENTS:]
        return Scores(
            self.answers + more.answers,
            self.promoters + more.promoters,
            self.detractors + more.detractors,
            comments,
        )

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


def whole_months(since: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The calendar months (UTC) that are over, from the beginning of the year of a time on."""
    begin = datetime(since.year, 1, 1, tzinfo=UTC)
    while (end := (begin + 31 * DAY).replace(day=1)) <= now:
        yield begin, end
        begin = end


def told_of(months: Iterable[tuple[datetime, Scores]], since: datetime) -> Scores:
    """How holders answered in whole months since a time, by the ends of months from the beginning
    of a year on. Months with fewer answers than FEWEST are joined with those that follow, within a
    year. So whoever compares two results, of different times too, learns of FEWEST at once.
    """
    total = joined = Scores(0, 0, 0)
    for end, some in months:
        joined += some
        if joined.answers >= FEWEST:
            total += joined if end > since else Scores(0, 0, 0)
            joined = Scores(0, 0, 0)
        if end.month == 1:  # the year is over
            joined = Scores(0, 0, 0)
    # In the order of their words, which says nothing of when they were given.
    return replace(total, comments=tuple(sorted(total.comments)))
