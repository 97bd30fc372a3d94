"""How calls fare in the busiest hour on computers of a shape. Pure: the same seed gives the same
figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from random import Random

from cloud_keystore.run.upkeep import UPKEEP_SECONDS
from cloudcard_tools.bench.scale import keystore
from cloudcard_tools.bench.scale.costs import Costs
from cloudcard_tools.bench.scale.keystore import Partition, Use, Worker
from cloudcard_tools.bench.scale.queues import Clock, Cores
from cloudcard_tools.bench.scale.shapes import Demand, Shape

SECONDS = 4.0  # that are simulated
WARM_SECONDS = 1.0  # more at the beginning, which do not count
FEWEST = 3000  # calls that are simulated at least, for the sake of the percentiles
BUSIEST = 0.7  # of the time: beyond, a short rush makes queues that last
LATEST = 5.0  # seconds after which an entry has its place in the tree
CORES, LOCK, COMMITS = "cores", "lock", "commits"
# What must not be busier. The lock can be: those who wait for it are served together.
LIMITS: Mapping[str, float] = {
    CORES: BUSIEST,
    keystore.DATABASE: BUSIEST,
    LOCK: 0.9,
}
# By whom the cores are busy, and who has the lock alone
PARTS = (
    keystore.FRONT,
    keystore.BORDER,
    keystore.CUSTODY,
    keystore.KEYS,
    keystore.PASSCODES,
)
HOLDERS = (keystore.SEQUENCER, keystore.APPROVALS, keystore.USES)


@dataclass(frozen=True, slots=True)
class Terms:
    """What callers are promised, and how far the database is."""

    p99_ms: float = 100.0
    trip_ms: float = 0.2  # to PostgreSQL and back
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Forecast:
    """How calls fare. Shares are of the time in which something is busy, or the lock is held or
    shut; of several replicas' computers, the busiest counts.
    """

    p50_ms: float
    p99_ms: float
    shares: Mapping[str, float]
    unplaced_s: float  # how old the oldest entry without a place is in the end
    waiting_s: float  # how old the oldest call without an answer is

    @property
    def busiest(self) -> str:
        """What gives in first."""
        name = max(LIMITS, key=lambda each: self.shares[each] / LIMITS[each])
        among = {CORES: PARTS, LOCK: HOLDERS}.get(name, (name,))
        name = max(among, key=lambda each: self.shares[each])
        if name != keystore.USES:
            return name
        return COMMITS if self.shares[COMMITS] > self.shares[name] / 2 else LOCK

    def holds(self, terms: Terms) -> bool:
        """Whether a service can be left so."""
        return (
            max(self.p99_ms, 1e3 * self.waiting_s) <= terms.p99_ms
            and all(self.shares[name] <= most for name, most in LIMITS.items())
            and self.unplaced_s <= LATEST
        )


def simulate(costs: Costs, shape: Shape, demand: Demand, terms: Terms) -> Forecast:
    """How calls fare that come by chance. One partition is simulated, since they have nothing in
    common.
    """
    clock, chance = Clock(), Random(terms.seed)  # noqa: S311 (no secret)
    database = Cores(clock, shape.database_cores) if shape.is_shared else None
    partition = Partition(clock, costs, database, terms.trip_ms)
    asked, took = 0, list[float]()
    count = 0

    def answered(use: Use) -> None:
        nonlocal count
        count += 1
        if use.began >= WARM_SECONDS:
            took.append(clock.now - use.began)

    computers = [Cores(clock, shape.cores) for _ in range(shape.replicas)]
    workers = [
        Worker(partition, each, answered) for each in computers for _ in range(shape.workers)
    ]

    def ask() -> None:
        nonlocal asked
        asked += 1
        inputs = demand.batch if chance.random() < demand.batches else 1
        chance.choice(workers).ask(Use(clock.now, inputs, demand.streamed))

    calls = demand.calls / shape.partitions
    _by_chance(clock, chance, calls, ask)
    opened = demand.openings / shape.partitions
    _by_chance(clock, chance, opened, lambda: chance.choice(workers).open_session())
    for worker in workers:
        clock.after(chance.uniform(0, UPKEEP_SECONDS), worker.keep_up)
    seconds = WARM_SECONDS + max(SECONDS, FEWEST / calls)
    clock.run(seconds)
    took.sort()
    lock, busiest = partition.lock, max(computers, key=lambda each: each.utilisation(seconds))
    return Forecast(
        p50_ms=1e3 * took[len(took) // 2] if took else inf,
        p99_ms=1e3 * took[len(took) * 99 // 100] if took else inf,
        shares={
            CORES: busiest.utilisation(seconds),
            **{name: busiest.spent[name] / seconds / shape.cores for name in PARTS},
            keystore.DATABASE: 0.0 if database is None else database.utilisation(seconds),
            LOCK: lock.shut / seconds,
            **{name: lock.alone[name] / seconds for name in HOLDERS},
            COMMITS: partition.disk.busy / seconds,
        },
        unplaced_s=partition.unplaced / calls,
        waiting_s=(asked - count) / calls,
    )


def _by_chance(clock: Clock, chance: Random, rate: float, then: Callable[[], None]) -> None:
    """Have something happen so many times a second, independent of what happened before."""

    def come() -> None:
        then()
        clock.after(chance.expovariate(rate), come)

    clock.after(chance.expovariate(rate), come)
