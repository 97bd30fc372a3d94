"""A simulated hour: a use alone takes what its parts take, and what is too dear gives in first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from cloudcard_tools.bench.scale import keystore, simulating
from cloudcard_tools.bench.scale.costs import Costs
from cloudcard_tools.bench.scale.shapes import Demand, Shape
from cloudcard_tools.bench.scale.simulating import Terms, simulate

CHEAP = Costs(
    call_us=60,
    stream_us=30,
    border_us=15,
    custody_us=40,
    group_us=200,
    input_us=5,
    key_us=100,
    database_us=50,
    commit_ms=1,
    entry_us=10,
    opening_us=500,
    passcode_us=1000,
)
ALONE, SHARED = Shape(1, 1, 4), Shape(1, 2, 4, database_cores=8)
RARE = Demand(per_day=20_000, peak=1, uses=1e6)  # so few that none meets another
MUCH = Demand(per_day=2e7)  # 926 a second


def test_a_use_alone_takes_what_its_parts_take() -> None:
    trips = keystore.GROUP_TRIPS * Terms().trip_ms
    streamed = (30 + 15 + 200 + 40 + 100) / 1e3 + 1
    for costs, shape, demand, took_ms in [
        (replace(CHEAP, database_us=0), ALONE, RARE, streamed),
        (CHEAP, SHARED, RARE, streamed + 0.05 + trips),
        (CHEAP, SHARED, replace(RARE, streamed=False), streamed + 0.03 + 0.05 + trips),
        # Four processors share the keys of a batch, which has 100 inputs.
        (
            CHEAP,
            SHARED,
            replace(RARE, batch=100, batched=1, per_day=2_000_000),
            streamed + 0.05 + trips + 0.5 + 25 * 0.1 - 0.1,
        ),
    ]:
        assert simulate(costs, shape, demand, Terms()).p50_ms == pytest.approx(took_ms)


def test_the_same_seed_gives_the_same_hour() -> None:
    one, same, other = (simulate(CHEAP, SHARED, MUCH, Terms(seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_partitions_have_nothing_in_common() -> None:
    shape = Shape(4, SHARED.replicas, SHARED.cores, SHARED.database_cores)
    parts = simulate(CHEAP, shape, replace(MUCH, per_day=4 * MUCH.per_day), Terms())
    assert parts.shares == pytest.approx(simulate(CHEAP, SHARED, MUCH, Terms()).shares)


def test_shares_are_what_was_worked() -> None:
    shares = simulate(CHEAP, SHARED, MUCH, Terms()).shares
    assert shares[keystore.DATABASE] == pytest.approx(
        (MUCH.calls * (50 + 10) + MUCH.openings * (500 + 4 * 10)) / 1e6 / SHARED.database_cores,
        rel=0.05,
    )
    sequencer = MUCH.calls * 10 / 1e6  # and what each turn costs
    assert sequencer < shares[keystore.SEQUENCER] < sequencer + 8 * 0.006


def test_more_demand_waits_longer() -> None:
    hours = [
        simulate(CHEAP, SHARED, replace(MUCH, per_day=day), Terms()) for day in (2e7, 6e7, 2e8)
    ]
    assert all(one.p99_ms < more.p99_ms for one, more in pairwise(hours))
    assert [each.holds(Terms()) for each in hours] == [True, True, False]


def test_what_is_not_answered_does_not_hold() -> None:
    """Those that are answered in an overload can be quick; the others still wait."""
    hour = simulate(replace(CHEAP, key_us=20_000), ALONE, MUCH, Terms(p99_ms=10_000))
    assert hour.waiting_s > 1
    assert not hour.holds(Terms(p99_ms=1000 * hour.waiting_s - 1))


DEAR: list[tuple[str, Shape, dict[str, float]]] = [
    (keystore.FRONT, SHARED, {"stream_us": 3000}),
    (keystore.BORDER, SHARED, {"border_us": 3000}),
    (keystore.CUSTODY, Shape(1, 1, 2, 8), {"custody_us": 900}),
    (keystore.KEYS, SHARED, {"key_us": 4000}),
    (keystore.PASSCODES, SHARED, {"passcode_us": 1_000_000}),
    (keystore.DATABASE, Shape(1, 2, 4, 1), {"database_us": 600}),
    (keystore.SEQUENCER, SHARED, {"entry_us": 800}),
    (keystore.APPROVALS, SHARED, {"opening_us": 100_000}),
    (simulating.COMMITS, ALONE, {"commit_ms": 8}),
    (simulating.LOCK, ALONE, {"custody_us": 600}),
]


@pytest.mark.parametrize(("what", "shape", "dear"), DEAR, ids=[each[0] for each in DEAR])
def test_what_is_too_dear_gives_in_first(what: str, shape: Shape, dear: dict[str, float]) -> None:
    hour = simulate(replace(CHEAP, **dear), shape, MUCH, Terms())
    assert hour.busiest == what


def test_a_sequencer_that_falls_behind_does_not_hold() -> None:
    """Even if nobody waits for it."""
    hour = simulate(CHEAP, SHARED, MUCH, Terms())
    assert hour.holds(Terms())
    assert not replace(hour, unplaced_s=simulating.LATEST + 1).holds(Terms())
