"""The smallest computers that hold a demand, and the greatest demand that computers hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloudcard_tools.bench.scale.costs import Costs, Measured
from cloudcard_tools.bench.scale.keystore import OPENING_TRIPS, TRANSACTIONS
from cloudcard_tools.bench.scale.shapes import Demand, Shape
from cloudcard_tools.bench.scale.simulating import (
    CORES,
    LIMITS,
    LOCK,
    PARTS,
    Forecast,
    Terms,
    simulate,
)

SIZES = (2, 4, 8, 16)  # cores of a computer
REPLICAS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
MOST_PARTITIONS = 4096
FIRST = 1e5  # signatures of a day
STEP = 1.04  # between two demands that are tried


class NothingHolds(Exception):
    """No number of partitions holds the demand."""


@dataclass(frozen=True, slots=True)
class Found:
    """A shape that holds a demand, and how."""

    shape: Shape
    demand: Demand
    forecast: Forecast


def smallest(measured: Measured, demand: Demand, terms: Terms, database_cores: int) -> Found:
    """The smallest shape that holds a demand: one keystore with SQLite, replicas on PostgreSQL, or
    partitions of such. Raises NothingHolds.
    """

    def held(partitions: int) -> Found | None:
        return smallest_of(measured, demand, terms, partitions, database_cores)

    enough = 1
    while (found := held(enough)) is None:
        enough *= 2
        if enough > MOST_PARTITIONS:
            raise NothingHolds(
                f"{MOST_PARTITIONS} partitions do not answer {demand.per_day:g} signatures a day "
                "so fast: allow more time, or give faster computers"
            )
    few = enough // 2
    while enough - few > 1:
        middle = (few + enough) // 2
        if (better := held(middle)) is None:
            few = middle
        else:
            found, enough = better, middle
    return found


def smallest_of(
    measured: Measured, demand: Demand, terms: Terms, partitions: int, database_cores: int
) -> Found | None:
    """The smallest shape with so many partitions that holds a demand; None if none does."""
    for shape in _shapes(partitions, database_cores):
        costs = measured.costs(shared=shape.is_shared)
        if any(share > LIMITS[name] for name, share in _least(costs, shape, demand, terms).items()):
            continue
        forecast = simulate(costs, shape, demand, terms)
        if forecast.holds(terms):
            return Found(shape, demand, forecast)
        if shape.is_shared and forecast.busiest not in PARTS:
            break  # more replicas would not help
    return None


def _shapes(partitions: int, database_cores: int) -> Iterator[Shape]:
    if partitions == 1:
        for cores in SIZES:
            yield Shape(1, 1, cores)
    for replicas in REPLICAS:
        for cores in SIZES:
            yield Shape(partitions, replicas, cores, database_cores)


def _least(costs: Costs, shape: Shape, demand: Demand, terms: Terms) -> Mapping[str, float]:
    """The least shares of some limits, without what a group costs: what exceeds these need not be
    simulated.
    """
    front = costs.stream_us if demand.streamed else costs.call_us
    us = (
        demand.calls * (front + costs.border_us + costs.custody_us)
        + demand.per_second * costs.key_us
    )
    waits_ms = TRANSACTIONS * (costs.commit_ms + shape.is_shared * OPENING_TRIPS * terms.trip_ms)
    approvals_us = demand.openings * (costs.opening_us + 1e3 * waits_ms)
    return {
        CORES: us / 1e6 / (shape.partitions * shape.replicas * shape.cores),
        LOCK: (approvals_us + demand.calls * costs.entry_us) / 1e6 / shape.partitions,
    }


def most(measured: Measured, demand: Demand, shape: Shape, terms: Terms) -> Found:
    """The greatest demand of this kind that a shape holds. Raises NothingHolds if it holds none."""
    costs = measured.costs(shared=shape.is_shared)
    low, high, rate = 0.0, 0.0, FIRST
    found: Found | None = None
    while found is None or not high or high / low > STEP:
        tried = demand.of_day(rate)
        forecast = simulate(costs, shape, tried, terms)
        if forecast.holds(terms):
            found, low = Found(shape, tried, forecast), rate
        elif found is None:
            raise NothingHolds(f"{shape.cores} cores do not even answer {rate:g} a day so fast")
        else:
            high = rate
        rate = (low * high) ** 0.5 if high else low * 4
    return found
