"""How answers are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.surveys.answers import (
    FEWEST,
    Answer,
    Scores,
    scores_of,
    told_of,
    whole_months,
)

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def answer(score: int | None, comment: str = "") -> Answer:
    return Answer("1", "ada", "card", score, comment, NOW)


@pytest.mark.parametrize(
    ("scores", "nps"),
    [
        ([], None),
        ([None], None),
        ([10], 100),
        ([0], -100),
        ([9, 8, 7, 6], 0),
        ([10, 9, 8], 67),
        ([None, 6, 6, 9], -33),
    ],
)
def test_the_net_promoter_score(scores: list[int | None], nps: int | None) -> None:
    """COM-07."""
    assert scores_of(map(answer, scores)).nps == nps


@given(st.lists(st.none() | st.integers(0, 10)))
def test_each_answer_counts_once(scores: list[int | None]) -> None:
    found = scores_of(map(answer, scores))
    assert found.promoters + found.passives + found.detractors == found.answers
    assert found.answers == sum(each is not None for each in scores)
    assert min(found.promoters, found.passives, found.detractors) >= 0
    assert found.nps is None or -100 <= found.nps <= 100


MONTHS = st.lists(st.integers(0, 25), min_size=1, max_size=40)


def told(counts: list[int], days: int, now: datetime) -> Scores:
    """What is told of so many answers in each month since January 2024."""
    since = now - timedelta(days=days)
    months = [
        (end, scores_of([answer(9)] * count))
        for (_, end), count in zip(whole_months(BEGIN, now), counts, strict=False)
    ]
    first = datetime(since.year, 1, 1, tzinfo=UTC)
    return told_of([(end, some) for end, some in months if end > first], since)


@given(MONTHS, st.integers(1, 800), st.integers(1, 800), st.integers(370, 900), st.integers(0, 90))
def test_two_results_differ_by_many_answers_or_none(
    counts: list[int], days: int, others: int, until: int, later: int
) -> None:
    """Of one moment, whatever the days; and of the same beginning, the next time."""
    now = BEGIN + timedelta(days=until)
    one, other = told(counts, days, now), told(counts, others, now)
    next_time = told(counts, days + later, now + timedelta(days=later))
    for more in (abs(one.answers - other.answers), next_time.answers - one.answers):
        assert more == 0 or more >= FEWEST


def test_months_that_are_over() -> None:
    months = list(whole_months(datetime(2026, 11, 2, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)))
    assert len(months) == 14
    assert months[0][0] == datetime(2026, 1, 1, tzinfo=UTC)
    assert months[-1][1] == datetime(2027, 3, 1, tzinfo=UTC)
    assert all(end == begin for (_, end), (begin, _) in pairwise(months))


def test_comments_are_those_of_answers() -> None:
    assert scores_of([answer(9, "good"), answer(None), answer(3)]).comments == ("good",)
