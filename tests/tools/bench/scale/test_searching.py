"""The smallest shape is found, and the greatest demand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudcard_tools.bench.scale import costs, searching
from cloudcard_tools.bench.scale.costs import Costs
from cloudcard_tools.bench.scale.shapes import Demand, Shape
from cloudcard_tools.bench.scale.simulating import Forecast, Terms, simulate

MEASURED = costs.read()
TERMS = Terms()
DATABASE_CORES = 16


def smallest(per_day: float, terms: Terms = TERMS) -> searching.Found:
    return searching.smallest(MEASURED, Demand(per_day=per_day), terms, DATABASE_CORES)


def test_what_one_keystore_holds_needs_no_other() -> None:
    found = smallest(100_000)
    assert found.shape == Shape(1, 1, 2)
    assert found.shape.all_cores == 2
    assert found.forecast.holds(TERMS)


def test_more_takes_partitions_and_no_more_than_needed() -> None:
    found = smallest(3e8)
    assert found.shape.partitions > 1
    assert found.shape.database_cores == DATABASE_CORES
    assert found.forecast == simulate(MEASURED.postgresql, found.shape, Demand(per_day=3e8), TERMS)
    fewer = found.shape.partitions - 1
    assert searching.smallest_of(MEASURED, found.demand, TERMS, fewer, DATABASE_CORES) is None


def test_ten_times_as_much_takes_about_ten_times_as_many() -> None:
    few, many = smallest(2e8).shape, smallest(2e9).shape
    assert 8 < many.partitions / few.partitions < 12


def test_nothing_is_faster_than_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_PARTITIONS", 2)
    with pytest.raises(searching.NothingHolds, match="partitions do not answer"):
        smallest(1e6, Terms(p99_ms=MEASURED.sqlite.commit_ms / 2))


@pytest.mark.parametrize("shape", [Shape(1, 1, 2), Shape(1, 2, 4, DATABASE_CORES)])
def test_the_greatest_demand_is_on_the_edge(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: dict[float, bool] = {}

    def noted(costs: Costs, shape: Shape, demand: Demand, terms: Terms) -> Forecast:
        forecast = simulate(costs, shape, demand, terms)
        tried[demand.per_day] = forecast.holds(terms)
        return forecast

    monkeypatch.setattr(searching, "simulate", noted)
    found = searching.most(MEASURED, Demand(per_day=1), shape, TERMS)
    assert found.forecast.holds(TERMS)
    assert found.demand.per_day == max(rate for rate, holds in tried.items() if holds)
    beyond = min(rate for rate, holds in tried.items() if not holds)
    assert 1 < beyond / found.demand.per_day <= searching.STEP


def test_a_shape_that_holds_nothing() -> None:
    slow = replace(MEASURED, sqlite=replace(MEASURED.sqlite, commit_ms=200))
    with pytest.raises(searching.NothingHolds, match="2 cores do not even answer"):
        searching.most(slow, Demand(per_day=1), Shape(1, 1, 2), TERMS)


def test_shapes_are_compared_by_partitions_first() -> None:
    assert sorted([Shape(2, 1, 2), Shape(1, 8, 2, 16), Shape(1, 2, 16, 16)]) == [
        Shape(1, 2, 16, 16),
        Shape(1, 8, 2, 16),
        Shape(2, 1, 2),
    ]


def test_a_demand_is_what_is_asked_in_its_busiest_hour() -> None:
    demand = Demand(per_day=864_000, peak=4, batched=0.5, batch=10, uses=100, hours=2)
    assert demand.per_second == 40
    assert demand.calls == 20 + 2
    assert demand.batches == pytest.approx(2 / 22)
    assert demand.openings == pytest.approx(0.4)
    assert demand.open_sessions == pytest.approx(0.4 * 7200)
