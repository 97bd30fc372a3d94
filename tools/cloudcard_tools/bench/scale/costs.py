"""What a use of a key costs, as other benches have measured it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

import click

from cloud_keystore.rpc.gathering import MOST_TOGETHER
from cloudcard_tools.bench.signing.figures import BATCH

Facts: TypeAlias = Mapping[str, object]

MEASURED = "measured.json"
KINDS = ("unary", "stream", "batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Processor time in microseconds, waiting in milliseconds."""

    call_us: float  # a use by a call of its own at the process that faces the network
    stream_us: float  # a use over a stream there
    border_us: float  # a use between that process and custody: packing, handing over, waking
    custody_us: float  # a use in custody's transaction, among many: rows, policy, entry
    group_us: float  # a group of uses there, however small
    input_us: float  # each input of a batch, beside its key
    key_us: float  # a private key
    database_us: float  # a use at PostgreSQL
    commit_ms: float  # until what was written is durable
    entry_us: float  # an entry of the journal, until it has its place in the tree
    opening_us: float  # a session, by all transactions that hold the writers' lock alone
    passcode_us: float  # the passcode that is given for it

    def slower(self, times: float) -> Costs:
        """The costs on a computer that takes so many times as long to compute."""
        names = [name for name in self.__slots__ if name.endswith("_us")]
        return replace(self, **{name: times * getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True)
class Rate:
    """What `bench sign` has measured of a kind of use: signatures in a second, and the client's
    processor time for each.
    """

    per_s: float
    client_us: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Costs with each database, and how fast the keystore was that had them."""

    sqlite: Costs
    postgresql: Costs
    rates: Mapping[str, Rate]  # by kind
    cores: float  # of the computer, as far as other programs left them to OpenSSL in the same run
    origin: str
    shared: bool = False  # whether that keystore was on PostgreSQL
    replicas_to_one: float | None = None  # how much faster two of them were

    def costs(self, *, shared: bool) -> Costs:
        """Those with a database that replicas share, or with one of a keystore's own."""
        return self.postgresql if shared else self.sqlite


def read(path: Path | None = None) -> Measured:
    """This package's costs, or those that `bench sign --json` has printed to a file; what that does
    not measure is this package's then, on a computer as fast as that. Raises ClickException for
    another file.
    """
    known = _known(_object(json.loads((files(__package__) / MEASURED).read_text())))
    if path is None:
        return known
    try:
        return _measured(_object(json.loads(path.read_text())), known, str(path))
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise click.ClickException(
            f"{path} is not what cloudcard bench sign --json prints ({type(error).__name__})"
        ) from None


def _known(facts: Facts) -> Measured:
    return Measured(
        Costs(**_figures(facts, "sqlite")),
        Costs(**_figures(facts, "postgresql")),
        {kind: Rate(**_figures(facts, "rates", kind)) for kind in KINDS},
        _figures(facts, "computer")["cores"],
        str(facts["origin"]),
    )


def _measured(facts: Facts, known: Measured, origin: str) -> Measured:
    """Take the figures of `bench sign` apart. Raises KeyError, TypeError, ValueError and
    ZeroDivisionError for what are no such figures.
    """
    unary, stream, batch = (_figures(facts, "rsa2048", kind) for kind in KINDS)
    openssl = _figures(facts, "openssl")
    beside = _figures(facts, "postgres") if "postgres" in facts else {}
    call, key = _figures(facts, "noop")["server_us"], 1e6 / openssl["rsa2048_per_cpu_s"]
    slower = key / known.sqlite.key_us
    sqlite, postgresql = known.sqlite.slower(slower), known.postgresql.slower(slower)
    whole = unary["server_us"] / beside.get("to_sqlite", 1.0)  # on SQLite
    # The sequencer's time, and a share of a full group's, are in the figures too.
    rows = sqlite.custody_us + sqlite.group_us / MOST_TOGETHER + sqlite.entry_us
    border = whole - call - key - rows
    if border <= 0:
        raise ValueError("a use costs less than its parts")
    of_call = call + border + sqlite.custody_us + sqlite.group_us + sqlite.entry_us
    found = {
        "call_us": call,
        "stream_us": max(0.0, call + stream["server_us"] - unary["server_us"]),
        "border_us": border,
        "input_us": max(0.0, batch["server_us"] - key - of_call / BATCH),
        "commit_ms": _figures(facts, "limit")["commit_ms"],
    }
    database = postgresql.database_us
    if beside:
        database = unary["server_us"] - whole - postgresql.entry_us + sqlite.entry_us
    return Measured(
        replace(sqlite, **found),
        replace(postgresql, **found, database_us=max(0.0, database)),
        {
            kind: Rate(each["per_s"], each["client_us"])
            for kind, each in zip(KINDS, (unary, stream, batch), strict=True)
        },
        openssl["rsa2048_per_s"] / openssl["rsa2048_per_cpu_s"],
        origin,
        bool(beside),
        beside.get("replicas_to_one"),
    )


def _figures(facts: object, *names: str) -> Mapping[str, float]:
    """The numbers of an object within others. Raises KeyError and TypeError if it is not there."""
    for name in names:
        facts = _object(facts)[name]
    numbers = _object(facts).items()
    return {name: float(each) for name, each in numbers if isinstance(each, int | float)}


def _object(value: object) -> Facts:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value
