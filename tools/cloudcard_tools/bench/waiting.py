"""How a keystore bears many who wait: its memory, and the time from an approval on a phone to the
signature at the workstation while thousands of others wait on.

Each operation has its own open stream over mutual TLS. The operations themselves are written into
the database beforehand, every workstation's for every card, as asking for them one by one takes
longer than they live. Each workstation has one connection. The client is on the same computer and
takes its share of it, which an empty call under the same conditions shows.
"""

from __future__ import annotations

import json
import math
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import click

from cloudcard_tools.bench import waiting_client
from cloudcard_tools.bench.timing import machine
from cloudcard_tools.bench.town import Town
from cloudcard_tools.bench.waiting_client import Task
from cloudcard_tools.bench.waiting_seed import seed
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.processes import Child, Nursery

Done: TypeAlias = Callable[[int], None]
Facts: TypeAlias = "dict[str, float | int | str]"

STEPS = 4
DECISION_SECONDS = 120.0  # after which an operation expires
SPARE_SECONDS = 15.0
STREAMS = re.compile(r"^cloudcard_rpc_streams (\S+)$", re.MULTILINE)
OPERATIONS = re.compile(r"^cloudcard_operations_waiting (\S+)$", re.MULTILINE)
GOALS: Mapping[str, float] = {
    "approve_to_signature_p50_ms": 50,
    "approve_to_signature_p99_ms": 250,
    "rss_mib": 1024,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured; the keystore's own counts where it keeps them."""

    waiting: int  # operations, at the end, when the approved ones had gone
    streams: int  # of them, at the keystore
    connections: int
    rss_mib: float  # of the keystore with all of them waiting
    peak_rss_mib: float
    client_rss_mib: float
    samples: int
    approve_to_signature_p50_ms: float
    approve_to_signature_p99_ms: float
    noop_p50_ms: float  # an empty call, while all wait
    noop_p99_ms: float
    opened_per_s: float  # streams, at the start
    machine: str

    def facts(self) -> Facts:
        """The result for programs."""
        return {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    def goals(self) -> list[tuple[str, float, float, bool]]:
        """Each goal: its name, what was measured, what is wanted, and whether that is met."""
        measured: Mapping[str, float] = {name: getattr(self, name) for name in GOALS}
        return [
            (name, measured[name], most, measured[name] <= most) for name, most in GOALS.items()
        ]


def measure(folder: Path, waiting: int, samples: int, per_second: float, done: Done) -> Result:
    """Have so many operations wait, and further ones, `samples` of them, approved meanwhile. Logs
    go to `folder`. Raises ClickException.
    """
    (port,) = free_ports(1)
    http = f"127.0.0.1:{port}"
    total = waiting + samples
    side = math.ceil(math.sqrt(total))
    with Nursery(folder) as nursery:
        town = Town(folder, nursery, ("--http-listen", http))
        workstations = town.workstations(side)
        done(1)
        serials = town.cards(math.ceil(total / side), "p256")
        done(1)
        begun = time.monotonic()
        listed = folder / "operations.json"
        with town.stopped() as data:
            ids = [each.id for each in workstations]
            seeded = seed(data / "keystore.db", ids, serials, total)
        listed.write_text(json.dumps([asdict(each) for each in seeded]))
        task = Task(
            town.addresses[0],
            tuple(str(each.folder) for each in workstations),
            str(town.phone.folder),
            str(listed),
            samples,
            per_second,
        )
        keystore = town.keystores[0]
        client = nursery.start_python("client", "-m", "cloudcard_tools.bench.waiting_client")
        client.send(waiting_client.encode(task))
        opened = _numbers(client, DECISION_SECONDS)
        rss, peak = _memory(keystore)
        seconds = 1.5 * samples / per_second + SPARE_SECONDS
        passed = time.monotonic() - begun
        if passed + seconds > DECISION_SECONDS:
            raise click.ClickException(
                f"{total} operations took {passed:.0f} s to begin, so they would expire before the "
                "end: use a smaller --waiting, fewer --samples or a higher --rate"
            )
        done(1)
        client.send("")
        measured = _numbers(client, seconds + DECISION_SECONDS)
        streams, operations = _counted(http)
        later, later_peak = _memory(keystore)
        client_rss, _ = _memory(client)
        client.send("")
        done(1)
    if min(measured["waiting"], streams, operations) < waiting:
        raise click.ClickException(
            f"only {min(measured['waiting'], streams, operations):.0f} operations still waited at "
            "the end: use a smaller --waiting or fewer --samples"
        )
    return Result(
        waiting=int(operations),
        streams=int(streams),
        connections=side,
        rss_mib=max(rss, later),
        peak_rss_mib=max(peak, later_peak),
        client_rss_mib=client_rss,
        samples=samples,
        approve_to_signature_p50_ms=measured["p50_ms"],
        approve_to_signature_p99_ms=measured["p99_ms"],
        noop_p50_ms=measured["noop_p50_ms"],
        noop_p99_ms=measured["noop_p99_ms"],
        opened_per_s=total / opened["seconds"],
        machine=machine(),
    )


def _numbers(client: Child, timeout: float) -> dict[str, float]:
    """The next thing that the client has measured."""
    said = client.wait_for_json(timeout=timeout)
    return {name: value for name, value in said.items() if isinstance(value, int | float)}


def _counted(http: str) -> tuple[float, float]:
    """Open streams and waiting operations, as the keystore counts them."""
    with urllib.request.urlopen(f"http://{http}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    streams, operations = STREAMS.search(text), OPERATIONS.search(text)
    if streams is None or operations is None:
        raise click.ClickException("the keystore's metrics do not tell how many wait")
    return float(streams[1]), float(operations[1])


def _memory(process: Child) -> tuple[float, float]:
    """Resident memory of a process in MiB: now, and at most until now."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        raise click.ClickException("the memory of a process is measured on Linux alone") from None
    kib = {
        name: int(rest.split()[0])
        for name, _, rest in (x.partition(":") for x in lines)
        if name in ("VmRSS", "VmHWM")
    }
    return kib["VmRSS"] / 1024, max(kib.values()) / 1024
