"""Whether the simulation comes to what was measured of a whole keystore. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil

from cloud_keystore.run.upkeep import UPKEEP_SECONDS
from cloudcard_tools.bench.scale.costs import Measured
from cloudcard_tools.bench.scale.keystore import Partition, Use, Worker
from cloudcard_tools.bench.scale.queues import Clock, Cores, Thread
from cloudcard_tools.bench.scale.simulating import SECONDS, WARM_SECONDS
from cloudcard_tools.bench.signing.figures import BATCH, BATCHES_IN_FLIGHT, IN_FLIGHT

REPLICAS = "two replicas"


@dataclass(frozen=True, slots=True)
class Check:
    """Signatures of a second."""

    simulated: float
    measured: float


def checks(measured: Measured) -> Mapping[str, Check]:
    """What was measured of each kind of use, and of two replicas, beside what is simulated."""
    found = {
        kind: Check(_simulated(measured, kind, 1), rate.per_s)
        for kind, rate in measured.rates.items()
    }
    if measured.replicas_to_one is not None:
        per_s = measured.rates["unary"].per_s * measured.replicas_to_one
        found[REPLICAS] = Check(_simulated(measured, "unary", 2), per_s)
    return found


def _simulated(measured: Measured, kind: str, replicas: int) -> float:
    """The signatures of a second as `bench sign` measures them: with client, replicas and
    PostgreSQL on one computer, and always as many calls in flight.
    """
    clock = Clock()
    cores = Cores(clock, ceil(measured.cores - 0.1))
    # What other programs have taken of the computer makes all of it slower.
    slower = cores.count / measured.cores
    costs = measured.costs(shared=measured.shared).slower(slower)
    partition = Partition(clock, costs, cores if measured.shared else None)
    client, rate = Thread(cores, "client"), measured.rates[kind]
    inputs, in_flight = (BATCH, BATCHES_IN_FLIGHT) if kind == "batch" else (1, IN_FLIGHT)
    done = 0

    def call(worker: Worker) -> None:
        use = Use(clock.now, inputs, kind == "stream")
        client.work(slower * rate.client_us * inputs / 1e6, partial(worker.ask, use))

    def answered(use: Use, number: int) -> None:
        nonlocal done
        done += use.inputs if clock.now >= WARM_SECONDS else 0
        call(workers[number])

    workers = [
        Worker(partition, cores, partial(answered, number=number)) for number in range(replicas)
    ]
    for number in range(in_flight):
        call(workers[number % replicas])
    for number, worker in enumerate(workers):
        clock.after(number * UPKEEP_SECONDS / replicas, worker.keep_up)
    clock.run(WARM_SECONDS + SECONDS)
    return done / SECONDS
