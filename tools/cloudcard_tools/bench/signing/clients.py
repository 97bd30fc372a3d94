"""The clients that load a keystore: processes that are told what to call, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import click

from cloudcard_tools.bench.signing import native
from cloudcard_tools.bench.signing.crowd import Crowd
from cloudcard_tools.shared.identity import CA, CERTIFICATE, KEY
from cloudcard_tools.shared.processes import Child, Nursery

Command: TypeAlias = tuple[str, ...]

NAMES = ("native", "python")
CALLER = "from cloudcard_tools.bench.signing.caller import main; main()"
CHECKS = 53  # one signature in so many is checked: a prime, so that each session has its turn
CONNECT_SECONDS = 120.0
END_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to call: "empty", "unary" or "stream"; without sessions, only "empty"."""

    kind: str
    input: str  # "pkcs1", "pss" or "p256"
    in_flight: int
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """What a client says of a load."""

    answered: int  # calls
    checked: int  # signatures
    elapsed_s: float  # until the last answer
    cpu_s: float  # of the client
    p50_ms: float
    p99_ms: float


def command(name: str) -> Command:
    """The command of a client; the native one is built first. Raises ClickException."""
    if name == "native":
        return (str(native.build()),)
    return (sys.executable, "-u", "-c", CALLER)


def lines(crowd: Crowd, addresses: Sequence[str]) -> Iterator[str]:
    """What there is, as the comment in tools/bench/main.c says. Workstations take turns with the
    addresses.
    """
    for number, each in enumerate(crowd.workstations):
        files = (str(each.folder / name) for name in (CA, CERTIFICATE, KEY))
        yield "\t".join(("workstation", addresses[number % len(addresses)], *files))
    for session in crowd.sessions:
        yield "\t".join(
            (
                "session",
                str(session.workstation),
                session.algorithm,
                session.id,
                session.public_key.hex(),
            )
        )


class Client:
    """A client's process."""

    def __init__(self, child: Child) -> None:
        """`running` makes it."""
        self._child = child

    def ready(self, load: Load, seconds: float, least: int = 0, checks: int = CHECKS) -> None:
        """Connect, for a load of so many seconds, and of so many calls at least. Raises
        ProcessFailed.
        """
        words = (load.kind, load.input, load.batch, load.in_flight, seconds, least, checks)
        self._child.send("\t".join(map(str, ("run", *words))))
        self._child.wait_for("^ready$", timeout=CONNECT_SECONDS)

    def run(self, seconds: float) -> Told:
        """Do it. Raises ProcessFailed, also if an answer was not as it has to be."""
        self._child.send("")
        said = self._child.wait_for_json(timeout=seconds + END_SECONDS)
        try:
            return Told(**said)  # type: ignore[arg-type]
        except TypeError:
            raise click.ClickException(f"the client says {said}") from None


@contextmanager
def running(
    nursery: Nursery, name: str, program: Command, crowd: Crowd, addresses: Sequence[str]
) -> Iterator[Client]:
    """A client that knows these workstations and sessions, until the end of the block."""
    child = nursery.start(name, *program)
    for line in lines(crowd, addresses):
        child.send(line)
    try:
        yield Client(child)
    finally:
        nursery.stop(name)
