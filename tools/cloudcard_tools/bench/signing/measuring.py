"""Measures how a keystore signs: everything real, with mutual TLS, sessions and a durable journal.

All kinds of calls take turns, and so do OpenSSL and the clients, so that other work of the computer
slows them all down equally.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import psycopg

from cloudcard_tools.bench.signing import bare, clients, crowd, openssl, processor_time
from cloudcard_tools.bench.signing.clients import Client, Load
from cloudcard_tools.bench.signing.crowd import Crowd, Done
from cloudcard_tools.bench.signing.figures import (
    BARE,
    NOOP,
    RSA_UNARY,
    SUBJECTS,
    Beside,
    Rates,
    Result,
    Round,
    Waits,
)
from cloudcard_tools.bench.timing import machine, sample
from cloudcard_tools.bench.town import Town
from cloudcard_tools.shared.processes import Nursery

COMMITS = 200
ENTRY = 300  # bytes
ALONE_SECONDS = 10.0  # at most: latencies need no more
WARM_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure. `sessions` are half RSA-2048's and half P-256's."""

    seconds: float  # for each kind of call, in each round
    workstations: int = 100
    sessions: int = 1000
    rounds: int = 3
    workers: int = 1  # of each keystore
    postgres: str = ""  # the address of an empty database; otherwise it is SQLite
    clients: tuple[str, ...] = ("native",)

    @property
    def steps(self) -> int:
        """The number of parts that a measurement reports as done."""
        compared = 2 if self.postgres else 0  # SQLite, and two replicas
        settled = (2 if self.postgres else 1) * crowd.steps(self.workstations, self.sessions // 2)
        warmed = len(self.clients) * (1 + compared)
        of_round = 1 + len(self.clients) * (2 * len(SUBJECTS) + len(BARE) + compared)
        return settled + warmed + self.rounds * of_round


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers, such as keystores on one database, with their workstations, and whose processor time
    counts.
    """

    addresses: Sequence[str]
    crowd: Crowd
    roots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """A client at a stage."""

    client: Client
    stage: Stage

    def rates(self, load: Load, seconds: float) -> tuple[Rates, int]:
        """Load the keystore; also how many inputs were used. Raises ClickException."""
        self.client.ready(load, seconds)
        before = processor_time.spent(self.stage.roots)
        told = self.client.run(seconds)
        spent = processor_time.spent(self.stage.roots) - before
        inputs = told.answered * load.batch
        rates = Rates(inputs / told.elapsed_s, 1e6 * spent / inputs, 1e6 * told.cpu_s / inputs)
        return rates, inputs

    def waits(self, load: Load, seconds: float) -> Waits:
        """Make one call after the other; raises ClickException."""
        self.client.ready(load, seconds)
        told = self.client.run(seconds)
        return Waits(told.p50_ms, told.p99_ms)

    def warm(self) -> None:
        """Use each session once, and check each signature: keys are opened at their first use.
        Raises ClickException.
        """
        for name, algorithm in (("pkcs1", "rsa2048"), ("p256", "p256")):
            least = sum(each.algorithm == algorithm for each in self.stage.crowd.sessions)
            load = Load("unary", name, min(WARM_IN_FLIGHT, least))
            self.client.ready(load, 0, least, checks=1)
            told = self.client.run(0)
            if not told.checked == told.answered >= least:
                raise click.ClickException("a client has not checked what it was told to check")


def measure(folder: Path, plan: Plan, done: Done) -> Mapping[str, Result]:
    """Measure with each client. Logs go to `folder`. Raises ClickException on failure."""
    programs = {name: clients.command(name) for name in plan.clients}
    with ExitStack() as stack:
        stages = {"main": _settled(stack, folder / "main", plan, plan.postgres, done)}
        if plan.postgres:
            stages["replicas"] = stages["main"]
            stages["sqlite"] = _settled(stack, folder / "sqlite", plan, "", done)
        nursery = stack.enter_context(Nursery(folder))
        server, users = stack.enter_context(
            bare.running(nursery, folder / "bare", plan.workstations)
        )
        stages["bare"] = Stage([users.workstations[0].address], users, (server.pid,))
        benches: dict[str, dict[str, Bench]] = {}
        for name, program in programs.items():
            benches[name] = {}
            for place, stage in stages.items():
                addresses = stage.addresses[: 2 if place == "replicas" else 1]
                running = clients.running(
                    nursery, f"{name}-{place}", program, stage.crowd, addresses
                )
                benches[name][place] = Bench(stack.enter_context(running), stage)
                if place != "bare":
                    benches[name][place].warm()
                    done("Warming up", 1)
        rounds: dict[str, list[Round]] = {name: [] for name in programs}
        for _ in range(plan.rounds):
            speeds = openssl.measure(plan.seconds)
            commit_ms = _commit_ms(folder, plan.postgres)
            done("Measuring", 1)
            for name in programs:
                rounds[name].append(_round(benches[name], plan, (speeds, commit_ms), done))
    return {name: Result(each, machine()) for name, each in rounds.items()}


def _round(
    benches: Mapping[str, Bench],
    plan: Plan,
    floor: tuple[Mapping[str, openssl.Speed], float],
    done: Done,
) -> Round:
    """Measure everything once, with one client."""
    rates, waits, uses = {}, {}, 0
    for name, subject in SUBJECTS.items():
        rates[name], used = benches["main"].rates(subject.load, plan.seconds)
        waits[name] = benches["main"].waits(subject.alone, min(plan.seconds, ALONE_SECONDS))
        uses += used if name != NOOP else 0
        done("Measuring", 2)
    grpc = {}
    for kind, load in BARE.items():
        cost, _ = benches["bare"].rates(load, plan.seconds)
        grpc[kind] = cost.server_us
        done("Measuring", 1)
    beside = None
    if plan.postgres:
        load = SUBJECTS[RSA_UNARY].load
        sqlite, _ = benches["sqlite"].rates(load, plan.seconds)
        replicas, _ = benches["replicas"].rates(load, plan.seconds)
        beside = Beside(sqlite, replicas)
        done("Measuring", 2)
    return Round(rates, waits, *floor, grpc, uses, beside)


def _settled(stack: ExitStack, folder: Path, plan: Plan, postgres: str, done: Done) -> Stage:
    """A new stage, until the stack is closed."""
    nursery = stack.enter_context(Nursery(folder))
    options = [*crowd.UNHURRIED]
    options += ["--workers", str(plan.workers)] if plan.workers > 1 else []
    options += ["--database", postgres] if postgres else []
    town = Town(folder, nursery, options, replicas=2 if postgres else 1).open()
    settled = crowd.settle(town, plan.workstations, plan.sessions // 2, done)
    roots = tuple(each.pid for each in town.keystores)
    roots = (*roots, _postmaster(postgres)) if postgres else roots
    return Stage(town.addresses, settled, roots)


def _postmaster(address: str) -> int:
    """The process of PostgreSQL that has started all others. Raises ClickException if it is not on
    this computer: its time could not be counted.
    """
    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT pg_backend_pid()").fetchone()
        try:
            pid = processor_time.parent(found[0] if found else 0)
            if Path(f"/proc/{pid}/comm").read_text().startswith("postgres"):
                return pid
        except OSError:
            pass
    raise click.ClickException("PostgreSQL has to run on this computer, to count its time too")


def _commit_ms(folder: Path, postgres: str) -> float:
    """The time in milliseconds of one small transaction, as durable as the keystore's."""
    if postgres:
        return _postgres_commit_ms(postgres)
    with closing(sqlite3.connect(folder / "commits.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE IF NOT EXISTS written (value BLOB)")
        value = os.urandom(ENTRY)

        def commit() -> None:
            database.execute("INSERT INTO written VALUES (?)", (value,))

        return median(sample(commit, COMMITS)) / 1e6


def _postgres_commit_ms(address: str) -> float:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_written (value bytea)")
        value = os.urandom(ENTRY)

        def commit() -> None:
            connection.execute("INSERT INTO bench_written VALUES (%s)", (value,))

        try:
            return median(sample(commit, COMMITS)) / 1e6
        finally:
            connection.execute("DROP TABLE bench_written")
