"""Figures and goals from what was measured."""

from __future__ import annotations

import pytest

from cloudcard_tools.bench.signing.figures import (
    GOALS,
    MANY,
    NOOP,
    RSA_UNARY,
    SUBJECTS,
    Beside,
    Name,
    Rates,
    Result,
    Round,
    Waits,
)
from cloudcard_tools.bench.signing.openssl import Speed

SPEEDS = {"rsa2048": Speed(4000, 2000), "p256": Speed(40_000, 20_000)}
BARE_US = {"unary": 250.0, "stream": 150.0}
FIGURES = {
    "per_s",
    "wall_ratio",
    "cpu_ratio",
    "server_us",
    "client_us",
    "p50_ms",
    "p99_ms",
    "p50_ratio",
}
KINDS = {
    "rsa2048": {"unary", "stream", "batch"},
    "rsa2048_pss": {"unary"},
    "p256": {"unary", "stream"},
}


def a_round(
    server_us: float = 1000, uses: int = 10, beside: Beside | None = None, **others: float
) -> Round:
    """Every subject alike, but those that `others` name."""

    def rates(name: Name) -> Rates:
        return Rates(1000, others.get("_".join(name), server_us), 20)

    waits = {name: Waits(2.0, 3.0) for name in SUBJECTS} | {NOOP: Waits(0.5, 1.0)}
    return Round(
        {name: rates(name) for name in SUBJECTS}, waits, SPEEDS, 0.25, BARE_US, uses, beside
    )


def test_the_result_for_programs_is_as_documented() -> None:
    facts = Result([a_round()], "a computer").facts()
    assert facts.keys() == {*KINDS, "openssl", "noop", "limit"}
    assert {group: set(facts[group]) for group in KINDS} == KINDS
    for group in KINDS:
        for figures in facts[group].values():
            assert isinstance(figures, dict)
            assert figures.keys() == FIGURES


def test_ratios_are_to_what_was_measured_beside() -> None:
    figures = a_round().of(RSA_UNARY)
    assert figures["wall_ratio"] == 1000 / 4000
    assert figures["cpu_ratio"] == 1000 / 2000  # a thousand for a second of processor time
    assert figures["p50_ratio"] == 2.0 / (0.5 + 0.5 + 0.25)
    batch = a_round().of(("rsa2048", "batch"))
    assert batch["p50_ratio"] == 2.0 / (0.5 + 250 * 0.5 + 0.25)


def test_the_limit_has_what_grpc_itself_costs_without_the_key_of_its_stream() -> None:
    result = Result([a_round()], "")
    limit = result.facts()["limit"]
    assert (limit["grpc_unary_us"], limit["grpc_stream_us"]) == (250, 100)
    assert result.possible() == {"unary": 0.6667, "stream": 0.8333}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    result = Result([a_round(server_us=each) for each in (900, 5000, 1000)], "")
    unary = result.facts()["rsa2048"]["unary"]
    assert isinstance(unary, dict)
    assert (unary["server_us"], unary["cpu_ratio"]) == (1000, 0.5)
    assert result.uses == 30


def test_each_goal_is_met_from_its_limit_on() -> None:
    for goal in GOALS:
        assert (goal.least is None) != (goal.most is None)
        limit = goal.least if goal.least is not None else goal.most or 0
        better = 0.01 if goal.most is None else -0.01
        assert goal.is_met(limit)
        assert goal.is_met(limit + better)
        assert not goal.is_met(limit - better)
        assert f"{limit:g}" in goal.wanted


def test_pss_is_held_against_pkcs1() -> None:
    values = {
        goal.title: value for goal, value in Result([a_round(rsa2048_pss_unary=1100)], "").goals()
    }
    assert values["PSS to PKCS #1, server CPU"] == pytest.approx(1.1)
    assert not any("replicas" in title for title in values)


@pytest.mark.parametrize("uses", [MANY - 1, MANY])
def test_postgresql_is_compared_with_sqlite_and_with_its_first_round(uses: int) -> None:
    beside = Beside(sqlite=Rates(1500, 800, 20), replicas=Rates(1600, 1300, 20))
    rounds = [a_round(uses=uses, beside=beside), a_round(server_us=1500, beside=beside)]
    result = Result(rounds, "")
    values = {goal.title: value for goal, value in result.goals()}
    assert values["PostgreSQL to SQLite, server CPU"] == pytest.approx((1.25 + 1.875) / 2)
    assert values["two replicas to one, by second"] == 1.6
    # Few uses show nothing of how it goes on.
    assert values.get("PostgreSQL, last round to first, server CPU") == (
        1.5 if uses == MANY else None
    )
    assert result.facts()["postgres"].keys() == {"to_sqlite", "replicas_to_one", "growth", "uses"}
