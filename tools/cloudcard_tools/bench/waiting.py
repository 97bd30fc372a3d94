"""Measures how long an approval takes to become a signature while thousands of other operations
wait at one keystore, over one call of each workstation or a call each; and how much memory that
takes.

The waiting operations are copies of a real operation's row, which saves asking for each of them.
The operations that are approved are asked for, decided and performed by real calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from sqlalchemy import select

from card_os.uses import REQUEST_ID_BYTES
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source, open_seal
from cloud_keystore.model.clock import new_id, utc_now
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.engine import Database
from cloudcard_tools.bench import waiter
from cloudcard_tools.bench.families import family, resident_mib
from cloudcard_tools.bench.timing import machine
from cloudcard_tools.bench.town import READY_SECONDS, Town
from cloudcard_tools.bench.waiter import Task
from cloudcard_tools.shared.processes import Nursery

PER_WORKSTATION = 400  # below what one identity may hold open, in either way
SAMPLES = 200
PAUSE_SECONDS = 0.02
OPEN_SECONDS = 1200.0
GOALS = {"p50": 50.0, "p99": 250.0, "rss": 1024.0, "each": 8.0}
BATCH = 1000
ENROLLING = ("--limit", "enrolment=1000/1000")  # as many workstations as are needed, at once


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured. Times are at the client, from the phone's decision to the signature."""

    waiting: int
    together: bool  # over one call of each workstation
    rss_mib: float
    kib_each: float  # memory of all processes of the keystore, for one more that waits
    approve_to_signature_p50_ms: float
    approve_to_signature_p99_ms: float
    # Of approvals that wait over one call, to those with a call each, which took turns with them
    p50_ratio: float
    p99_ratio: float
    machine: str

    def goals(self) -> list[tuple[str, float, float]]:
        """Each goal: its name, the measured value, and the most that is wanted."""
        return [
            ("approve to signature, p50 ms", self.approve_to_signature_p50_ms, GOALS["p50"]),
            ("approve to signature, p99 ms", self.approve_to_signature_p99_ms, GOALS["p99"]),
            ("memory of the keystore, MiB", self.rss_mib, GOALS["rss"]),
            ("memory for one that waits, KiB", self.kib_each, GOALS["each"]),
        ]


def measure(
    folder: Path,
    waiting: int,
    samples: int,
    done: Callable[[int], None],
    *,
    together: bool = True,
) -> Result:
    """Measure with so many waiting operations. Logs go to `folder`. Raises ClickException on
    failure.
    """
    with Nursery(folder) as nursery:
        town = Town(folder, nursery, ENROLLING).open()
        serial = town.card("p256")
        proof = town.passcode_proof(serial)
        template = town.ask(serial, proof)
        count = -(-waiting // PER_WORKSTATION)
        places = [town.enrol_workstation(f"waiting-{number}") for number in range(count)]
        done(1)
        nursery["keystore-0"].stop()
        shares = [waiting // count + (number < waiting % count) for number in range(count)]
        with_operations = {
            str(place.folder): _copy(folder / "keystore-0" / "keystore.db", template, place.id, n)
            for place, n in zip(places, shares, strict=True)
        }
        keystore = nursery.restart("keystore-0")
        keystore.wait_for("Keystore ready", timeout=READY_SECONDS)
        done(1)
        task = Task(
            with_operations,
            str(town.workstation.folder),
            str(town.phone.folder),
            serial,
            proof.hex(),
            samples,
            PAUSE_SECONDS,
            together,
        )
        client = nursery.start_python(
            "waiter", "-c", "from cloudcard_tools.bench.waiter import main; main()"
        )
        client.send(waiter.encode(task))
        held = []
        for opened in (waiting // 2, waiting):
            client.wait_for_json(timeout=OPEN_SECONDS, waiting=opened)
            held.append(_all_mib(keystore.pid))
            client.send("")
        done(1)
        said = client.wait_for_json(timeout=OPEN_SECONDS)
        numbers = {name: value for name, value in said.items() if isinstance(value, int | float)}
        if numbers["still_waiting"] != waiting:
            raise click.ClickException("some operations had stopped waiting before the end")
        way = "together" if together else "alone"
        return Result(
            waiting,
            together,
            round(_all_mib(keystore.pid), 1),
            # Without what a process needs once, however many streams there are
            round((held[1] - held[0]) * 1024 / (waiting - waiting // 2), 2),
            round(numbers[f"{way}_p50_ms"], 2),
            round(numbers[f"{way}_p99_ms"], 2),
            round(numbers["together_p50_ms"] / numbers["alone_p50_ms"], 3),
            round(numbers["together_p99_ms"] / numbers["alone_p99_ms"], 3),
            machine(),
        )


def _copy(path: Path, template: str, workstation_id: str, count: int) -> list[str]:
    """Copy an operation's row in the database, for a workstation. Returns the copies'
    identifiers.
    """
    database = Database(f"sqlite:///{path}")
    now = utc_now()
    try:
        open_seal(database, [Source(FILE, str(path.with_name("sealing.key")))], now, os.urandom)
        with database.write() as connection:
            query = select(t.operation).where(t.operation.c.id == template)
            row = dict(connection.execute(query).mappings().one())
            row |= {"workstation_id": workstation_id, "expire_time": now + timedelta(hours=1)}
            ids = [new_id(now, os.urandom) for _ in range(count)]
            copies = [
                row | {"id": each, "request_id": os.urandom(REQUEST_ID_BYTES)} for each in ids
            ]
            for start in range(0, count, BATCH):
                rows.add(connection, t.operation, *copies[start : start + BATCH])
    finally:
        database.close()
    return ids


def _all_mib(pid: int) -> float:
    """The memory of a process and of those that it has started, in MiB."""
    return sum(map(resident_mib, family(pid)))
