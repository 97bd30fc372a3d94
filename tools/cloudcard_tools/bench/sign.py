"""Measures how many signatures a keystore makes in a second, compared with this computer's OpenSSL
and with an empty call. Everything is real: mutual TLS, sessions, a durable journal.

All kinds of calls take turns, so that other work of the computer slows them all down equally.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

import click

from cloudcard.approval.v1 import approval_pb2
from cloudcard_tools.bench import caller
from cloudcard_tools.bench.caller import Task
from cloudcard_tools.bench.timing import machine, sample
from cloudcard_tools.bench.town import Town
from cloudcard_tools.shared.processes import Nursery

Done: TypeAlias = Callable[[int], None]
Facts: TypeAlias = "dict[str, float | str | dict[str, float]]"

ROUNDS = 3
CARDS = 4  # of each kind, so that no single card is a bottleneck
IN_FLIGHT = 32
BATCH = 100
BATCHES_IN_FLIGHT = 4
COMMITS = 200
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256, RFC 8017, 9.2
# A row of `openssl speed -mr` for RSA (F2) or ECDSA (F4): signatures and verifications per second.
# OpenSSL 3.5 adds encryptions to it, and rows of other kinds. The table for people is less stable.
OPENSSL = re.compile(r"^\+F[24]:\d+:\d+:(\d+\.\d+):(\d+\.\d+)", re.MULTILINE)
GOALS = {
    "rsa2048 ratio": 0.45,
    "rsa2048_batch ratio": 0.85,
    "p256 noop_ratio": 0.8,
    "p50 / limit": 1.3,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call. If `profile` is None, it is the empty call."""

    profile: str | None
    in_flight: int
    batch: int = 1


KINDS: Mapping[str, Kind] = {
    "noop": Kind(None, IN_FLIGHT),
    "p256": Kind("p256", IN_FLIGHT),
    "rsa2048": Kind("rsa2048", IN_FLIGHT),
    "rsa2048_batch": Kind("rsa2048", BATCHES_IN_FLIGHT, BATCH),
    "noop_alone": Kind(None, 1),
    "p256_alone": Kind("p256", 1),
    "rsa2048_alone": Kind("rsa2048", 1),
}
ALGORITHMS: Mapping[str, approval_pb2.Algorithm.ValueType] = {
    "p256": approval_pb2.ALGORITHM_ECC_P256,
    "rsa2048": approval_pb2.ALGORITHM_RSA_2048,
}
SPEEDS = {"p256": "ecdsap256", "rsa2048": "rsa2048"}  # openssl's names


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of the rounds. Rates are of signatures a second, or of empty calls."""

    per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured; each kind was measured in the same rounds."""

    calls: Mapping[str, Measured]
    openssl_per_s: Mapping[str, float]  # on all cores
    openssl_ms: float  # of one RSA-2048 signature
    commit_ms: float  # of one durable commit
    machine: str

    @property
    def limit_ms(self) -> float:
        """The lower bound for one RSA signature: an empty call, the arithmetic and a commit."""
        return self.calls["noop_alone"].p50_ms + self.openssl_ms + self.commit_ms

    def facts(self) -> Facts:
        """The result for programs."""
        calls, noop = self.calls, self.calls["noop"].per_s
        facts: Facts = {}
        for name in ("rsa2048", "p256"):
            alone = calls[f"{name}_alone"]
            facts[name] = {
                "per_s": round(calls[name].per_s, 1),
                "ratio": round(calls[name].per_s / self.openssl_per_s[name], 4),
                "noop_ratio": round(calls[name].per_s / noop, 3),
                "p50_ms": round(alone.p50_ms, 3),
                "p99_ms": round(alone.p99_ms, 3),
            }
        batch = calls["rsa2048_batch"].per_s
        facts["rsa2048_batch"] = {
            "per_s": round(batch, 1),
            "ratio": round(batch / self.openssl_per_s["rsa2048"], 4),
        }
        facts["noop_per_s"] = round(noop, 1)
        facts["limit"] = {
            "noop_ms": round(calls["noop_alone"].p50_ms, 3),
            "openssl_rsa2048_ms": round(self.openssl_ms, 3),
            "commit_ms": round(self.commit_ms, 3),
            "sum_ms": round(self.limit_ms, 3),
            "openssl_rsa2048_per_s": round(self.openssl_per_s["rsa2048"], 1),
            "openssl_p256_per_s": round(self.openssl_per_s["p256"], 1),
        }
        facts["machine"] = self.machine
        return facts

    def goals(self) -> list[tuple[str, float, float, bool]]:
        """Each goal: its name, the measured value, the wanted value, and whether it is met."""
        measured = {
            "rsa2048 ratio": self.calls["rsa2048"].per_s / self.openssl_per_s["rsa2048"],
            "rsa2048_batch ratio": self.calls["rsa2048_batch"].per_s
            / self.openssl_per_s["rsa2048"],
            "p256 noop_ratio": self.calls["p256"].per_s / self.calls["noop"].per_s,
            "p50 / limit": self.calls["rsa2048_alone"].p50_ms / self.limit_ms,
        }
        return [
            (name, measured[name], goal, (measured[name] <= goal) is (name == "p50 / limit"))
            for name, goal in GOALS.items()
        ]


def steps(rounds: int = ROUNDS) -> int:
    """The number of parts that a measurement reports as done."""
    return rounds * (len(KINDS) + 1) + 1


def measure(
    folder: Path, seconds: float, postgres: str, workers: int, done: Done, rounds: int = ROUNDS
) -> Result:
    """Measure each kind for so many seconds in each round. Logs go to `folder`. If the address of
    an empty PostgreSQL database is given, two replicas share it. Raises ClickException on failure.
    """
    options = ["--workers", str(workers)] if workers > 1 else []
    options += ["--database", postgres] if postgres else []
    with Nursery(folder) as nursery:
        town = Town(folder, nursery, options, replicas=2 if postgres else 1).open()
        sessions = {
            profile: tuple(town.session(profile, algorithm) for _ in range(CARDS))
            for profile, algorithm in ALGORITHMS.items()
        }
        done(1)
        turns: list[dict[str, Measured]] = []
        speeds: list[tuple[dict[str, float], float, float]] = []
        for _ in range(rounds):
            measured = {}
            for name, kind in KINDS.items():
                measured[name] = _call(nursery, town, sessions, kind, seconds)
                done(1)
            turns.append(measured)
            speeds.append((_openssl(seconds), _openssl_ms(seconds), _commit_ms(folder)))
            done(1)
    return Result(
        {name: _middle([each[name] for each in turns]) for name in KINDS},
        {name: median(each[0][name] for each in speeds) for name in SPEEDS},
        median(each[1] for each in speeds),
        median(each[2] for each in speeds),
        machine(),
    )


def _call(
    nursery: Nursery,
    town: Town,
    sessions: Mapping[str, tuple[str, ...]],
    kind: Kind,
    seconds: float,
) -> Measured:
    """Measure the calls of one client, which is a process of its own."""
    task = Task(
        str(town.workstation.folder),
        tuple(town.addresses),
        () if kind.profile is None else sessions[kind.profile],
        () if kind.profile is None else (_input(kind.profile).hex(),) * kind.batch,
        kind.in_flight,
        seconds,
    )
    child = nursery.start_python(
        "caller", "-c", "from cloudcard_tools.bench.caller import main; main()"
    )
    child.send(caller.encode(task))
    child.wait_for("ready", timeout=30)
    child.send("")
    said = child.wait_for_json(timeout=seconds + 60)
    nursery.stop("caller")
    numbers = {name: value for name, value in said.items() if isinstance(value, int | float)}
    return Measured(numbers["calls"] * kind.batch / seconds, numbers["p50_ms"], numbers["p99_ms"])


def _input(profile: str) -> bytes:
    """What the key signs: a digest, which is padded for RSA (RFC 8017, 9.2)."""
    digest = os.urandom(32)
    if profile == "p256":
        return digest
    return b"\x00\x01" + b"\xff" * 202 + b"\x00" + DIGEST_INFO + digest


def _openssl(seconds: float) -> dict[str, float]:
    """OpenSSL's signatures per second on all cores."""
    cores = str(os.cpu_count() or 1)
    return {
        name: _speed("-multi", cores, "-seconds", _whole(seconds), algorithm)
        for name, algorithm in SPEEDS.items()
    }


def _openssl_ms(seconds: float) -> float:
    """OpenSSL's time in milliseconds for one RSA signature on one core."""
    return 1000 / _speed("-seconds", _whole(seconds), SPEEDS["rsa2048"])


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def signatures_per_second(printed: str) -> float:
    """What `openssl speed -mr` says of one algorithm. Raises ClickException if it says nothing."""
    found = OPENSSL.search(printed)
    if found is None:
        raise click.ClickException(f"`openssl speed` printed no rate of signatures: {printed!r}")
    return float(found[1])


def _speed(*arguments: str) -> float:
    """Signatures per second."""
    command = ["openssl", "speed", "-mr", *arguments]
    try:
        ended = subprocess.run(  # noqa: S603 (nobody else's words)
            command, capture_output=True, text=True, check=True, timeout=600
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise click.ClickException(f"openssl speed cannot be run: {error}") from None
    return signatures_per_second(ended.stdout)


def _commit_ms(folder: Path) -> float:
    """The time in milliseconds of one small SQLite transaction, as durable as the keystore's."""
    path = folder / "commits.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE IF NOT EXISTS written (value BLOB)")
        value = os.urandom(300)

        def commit() -> None:
            database.execute("INSERT INTO written VALUES (?)", (value,))

        return median(sample(commit, COMMITS)) / 1e6


def _middle(rounds: list[Measured]) -> Measured:
    return Measured(
        median(each.per_s for each in rounds),
        median(each.p50_ms for each in rounds),
        median(each.p99_ms for each in rounds),
    )
