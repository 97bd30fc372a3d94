"""How answers are counted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.surveys.answers import Answer, scores_of

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


def test_comments_are_those_of_answers() -> None:
    assert scores_of([answer(9, "good"), answer(None), answer(3)]).comments == ("good",)
