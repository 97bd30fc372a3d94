"""What a measurement says: its figures, for programs, and the goals that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from cloudcard_tools.bench.signing.clients import Load
from cloudcard_tools.bench.signing.openssl import Speed

Name: TypeAlias = tuple[str, str]  # algorithm and kind, as the result calls them
Facts: TypeAlias = "dict[str, dict[str, float | str | dict[str, float]]]"

IN_FLIGHT = 128
BATCH = 250
BATCHES_IN_FLIGHT = 4  # a keystore gives a use up that its keys do not answer in time
NOOP = ("noop", "empty")
RSA_UNARY, RSA_STREAM, RSA_BATCH = (("rsa2048", kind) for kind in ("unary", "stream", "batch"))
P256_STREAM = ("p256", "stream")
MANY = 100_000  # uses, over which the time of one has to stay the same


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: under its load, and alone."""

    algorithm: str  # of OpenSSL's figures
    load: Load

    @property
    def alone(self) -> Load:
        """The same with a group of one."""
        return Load(self.load.kind, self.load.input, 1, self.load.batch)


SUBJECTS: Mapping[Name, Subject] = {
    NOOP: Subject("rsa2048", Load("empty", "pkcs1", IN_FLIGHT)),
    RSA_UNARY: Subject("rsa2048", Load("unary", "pkcs1", IN_FLIGHT)),
    RSA_STREAM: Subject("rsa2048", Load("stream", "pkcs1", IN_FLIGHT)),
    RSA_BATCH: Subject("rsa2048", Load("unary", "pkcs1", BATCHES_IN_FLIGHT, BATCH)),
    ("rsa2048_pss", "unary"): Subject("rsa2048", Load("unary", "pss", IN_FLIGHT)),
    ("p256", "unary"): Subject("p256", Load("unary", "p256", IN_FLIGHT)),
    P256_STREAM: Subject("p256", Load("stream", "p256", IN_FLIGHT)),
}
# What is asked of a server that does nothing but answer; one that streams signs, so that the client
# has something to check.
BARE: Mapping[str, Load] = {
    "unary": Load("empty", "p256", IN_FLIGHT),
    "stream": Load("stream", "p256", IN_FLIGHT),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Under load. A signature, or an empty call, costs so many microseconds of processor time."""

    per_s: float
    server_us: float
    client_us: float


@dataclass(frozen=True, slots=True)
class Waits:
    """Of one call after the other."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Beside:
    """What other keystores make of RSA-2048 unary in the same round."""

    sqlite: Rates  # one on SQLite
    replicas: Rates  # two on the same database


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of everything, so that other work of the computer slows all of it down equally."""

    rates: Mapping[Name, Rates]
    waits: Mapping[Name, Waits]
    openssl: Mapping[str, Speed]
    commit_ms: float
    bare_us: Mapping[str, float]  # of a bare server's processor time, by its kind of call
    uses: int  # inputs that were used
    beside: Beside | None = None  # with PostgreSQL

    def limit_ms(self, name: Name) -> float:
        """The lower bound for one call alone: an empty call, the key's arithmetic and a commit."""
        subject = SUBJECTS[name]
        key = self.openssl[subject.algorithm].ms * subject.load.batch
        return self.waits[NOOP].p50_ms + key + self.commit_ms

    def of(self, name: Name) -> dict[str, float]:
        """The figures of one subject."""
        rates, waits, speed = (
            self.rates[name],
            self.waits[name],
            self.openssl[SUBJECTS[name].algorithm],
        )
        return {
            "per_s": rates.per_s,
            "wall_ratio": rates.per_s / speed.per_s,
            "cpu_ratio": 1e6 / rates.server_us / speed.per_cpu_s,
            "server_us": rates.server_us,
            "client_us": rates.client_us,
            "p50_ms": waits.p50_ms,
            "p99_ms": waits.p99_ms,
            "p50_ratio": waits.p50_ms / self.limit_ms(name),
        }

    def of_openssl(self) -> dict[str, float]:
        """OpenSSL's own rates: by the clock on all cores, and for a second of one core's time."""
        return {
            f"{name}_{what}": value
            for name, speed in self.openssl.items()
            for what, value in (("per_s", speed.per_s), ("per_cpu_s", speed.per_cpu_s))
        }

    def of_noop(self) -> dict[str, float]:
        """The figures of the empty call."""
        return {name: value for name, value in self.of(NOOP).items() if "ratio" not in name}

    def of_limit(self) -> dict[str, float]:
        """What the lower bounds are made of: of the time of a call alone, and of processor time."""
        return {
            "noop_ms": self.waits[NOOP].p50_ms,
            "rsa2048_ms": self.openssl["rsa2048"].ms,
            "p256_ms": self.openssl["p256"].ms,
            "commit_ms": self.commit_ms,
            "grpc_unary_us": self.bare_us["unary"],
            "grpc_stream_us": self.bare_us["stream"] - 1e6 / self.openssl["p256"].per_cpu_s,
        }

    def of_possible(self) -> dict[str, float]:
        """Ratios to OpenSSL by CPU second, of a keystore that costs nothing but gRPC and keys."""
        limit, rsa = self.of_limit(), 1e6 / self.openssl["rsa2048"].per_cpu_s
        return {kind: rsa / (rsa + limit[f"grpc_{kind}_us"]) for kind in BARE}

    def of_postgres(self) -> dict[str, float]:
        """PostgreSQL compared with SQLite, and two replicas with one; nothing without it."""
        if self.beside is None:
            return {}
        one = self.rates[RSA_UNARY]
        return {
            "to_sqlite": one.server_us / self.beside.sqlite.server_us,
            "replicas_to_one": self.beside.replicas.per_s / one.per_s,
        }


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at least, or at most, so much."""

    title: str
    value: Callable[[Sequence[Round]], float | None]  # None if it was not measured
    least: float | None = None
    most: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether a value is as wanted."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    @property
    def wanted(self) -> str:
        """For a person."""
        return f"<= {self.most:g}" if self.least is None else f">= {self.least:g}"


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds. A figure is the median of the rounds' figures."""

    rounds: Sequence[Round]
    machine: str

    def facts(self) -> Facts:
        """The result for programs."""
        facts: Facts = {}
        for name in SUBJECTS:
            if name != NOOP:
                figures = medians([each.of(name) for each in self.rounds])
                facts.setdefault(name[0], {})[name[1]] = figures
        facts["openssl"] = {
            **medians([each.of_openssl() for each in self.rounds]),
            "machine": self.machine,
        }
        facts["noop"] = {**medians([each.of_noop() for each in self.rounds])}
        facts["limit"] = {**medians([each.of_limit() for each in self.rounds])}
        if self.rounds[0].beside is not None:
            postgres = medians([each.of_postgres() for each in self.rounds])
            facts["postgres"] = {
                **postgres,
                "growth": round(growth(self.rounds), 4),
                "uses": self.uses,
            }
        return facts

    @property
    def uses(self) -> int:
        """How many inputs were used in all rounds."""
        return sum(each.uses for each in self.rounds)

    def possible(self) -> dict[str, float]:
        """See `Round.of_possible`."""
        return medians([each.of_possible() for each in self.rounds])

    def goals(self) -> Iterator[tuple[Goal, float]]:
        """Each goal that was measured, with the value."""
        for goal in GOALS:
            value = goal.value(self.rounds)
            if value is not None:
                yield goal, value


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure, to four significant digits."""
    return {name: float(f"{median(each[name] for each in rounds):.4g}") for name in rounds[0]}


def growth(rounds: Sequence[Round]) -> float:
    """The server's time for a signature in the last round, compared with the first."""
    return rounds[-1].rates[RSA_UNARY].server_us / rounds[0].rates[RSA_UNARY].server_us


def _figure(name: Name, figure: str) -> Callable[[Sequence[Round]], float]:
    return lambda rounds: median(each.of(name)[figure] for each in rounds)


def _of_postgres(figure: str) -> Callable[[Sequence[Round]], float | None]:
    return lambda rounds: (
        None if rounds[0].beside is None else median(each.of_postgres()[figure] for each in rounds)
    )


def _growth(rounds: Sequence[Round]) -> float | None:
    """Only a long run shows whether a use costs more when there are many."""
    many = sum(each.uses for each in rounds[:-1]) >= MANY
    return growth(rounds) if many and rounds[0].beside is not None else None


def _pss(rounds: Sequence[Round]) -> float:
    return median(
        each.rates["rsa2048_pss", "unary"].server_us / each.rates[RSA_UNARY].server_us
        for each in rounds
    )


GOALS = (
    Goal("RSA-2048 unary, by CPU second, to openssl", _figure(RSA_UNARY, "cpu_ratio"), 0.45),
    Goal("RSA-2048 stream, the same", _figure(RSA_STREAM, "cpu_ratio"), 0.60),
    Goal(f"RSA-2048 in batches of {BATCH}, the same", _figure(RSA_BATCH, "cpu_ratio"), 0.93),
    Goal("RSA-2048 unary, by second, to openssl", _figure(RSA_UNARY, "wall_ratio"), 0.32),
    Goal("RSA-2048 stream, the same", _figure(RSA_STREAM, "wall_ratio"), 0.50),
    Goal(f"RSA-2048 in batches of {BATCH}, the same", _figure(RSA_BATCH, "wall_ratio"), 0.90),
    Goal("P-256 stream, us of server CPU", _figure(P256_STREAM, "server_us"), most=150),
    Goal("PSS to PKCS #1, server CPU", _pss, most=1.05),
    Goal("RSA-2048 unary alone, p50 to the limit", _figure(RSA_UNARY, "p50_ratio"), most=1.35),
    Goal("RSA-2048 stream alone, the same", _figure(RSA_STREAM, "p50_ratio"), most=1.2),
    Goal("PostgreSQL to SQLite, server CPU", _of_postgres("to_sqlite"), most=1.6),
    Goal("PostgreSQL, last round to first, server CPU", _growth, most=1.1),
    Goal("two replicas to one, by second", _of_postgres("replicas_to_one"), 1.5),
)
