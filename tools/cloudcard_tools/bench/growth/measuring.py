"""Measures whether a keystore costs the same when it has grown: a million cards, operations and
open sessions against a thousand.

Processor time is measured, of this process and of the database's server, since other work of the
computer does not change it much.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from cloud_keystore.storage.bundles import contents
from cloudcard_tools.bench import waiting
from cloudcard_tools.bench.growth.filling import Model, fill
from cloudcard_tools.bench.growth.keystore import Place, Ward, opened
from cloudcard_tools.bench.timing import machine

FEW, MANY = 1000, 1_000_000
IN_USE = 500  # sessions that are used: as many when it has grown, from all of the time
TOGETHER = 32
GROUPS = 64
ALONE = 640  # enough that pages of which each use changes something are not all written for one
OPENED = 32
TICKS = 16
# Whole bundles of entries: others stay rows for a time, which are larger.
KEPT_USES = 80 * contents.SIZE
LONG_AFTER = timedelta(days=9)  # when nothing is left of a use but its entry
WAITING, SAMPLES = 5000, 5
SEED = 11
MOST_GROWN = 1.15
GOALS: Mapping[str, float] = {
    "use_ratio": MOST_GROWN,
    "background_ratio": MOST_GROWN,
    "open_session_ratio": MOST_GROWN,
    "bytes_kept": 300,
    "bytes_written_group": 8 * 1024,
    "bytes_written_alone": 16 * 1024,
    "waiting_kib": 8,
}
NAMES = {
    "use_ratio": "use of a session, times the time of a small keystore",
    "background_ratio": "upkeep of a second, times that of a small one",
    "open_session_ratio": "opening a session, times that of a small one",
    "bytes_kept": "bytes kept for a signature",
    "bytes_written_group": f"bytes written for a signature, {TOGETHER} together",
    "bytes_written_alone": "bytes written for a signature alone",
    "waiting_kib": "KiB of memory for a waiting operation",
}


@dataclass(frozen=True, slots=True)
class Size:
    """What a keystore of some size spends: times in microseconds of processor time."""

    cards: int
    use_us: float
    tick_us: float
    open_us: float
    written_group: float
    written_alone: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a small and of a large keystore."""

    few: Size
    many: Size
    bytes_kept: float
    waiting_kib: float
    machine: str

    def facts(self) -> dict[str, float | str]:
        """The result for programs."""
        few, many = self.few, self.many
        return {
            "use_ratio": round(many.use_us / few.use_us, 3),
            "background_ratio": round(many.tick_us / few.tick_us, 3),
            "open_session_ratio": round(many.open_us / few.open_us, 3),
            "bytes_kept": round(self.bytes_kept, 1),
            "bytes_written_group": round(many.written_group),
            "bytes_written_alone": round(many.written_alone),
            "waiting_kib": round(self.waiting_kib, 2),
            "few": few.cards,
            "rows": many.cards,
            "use_us": round(many.use_us, 1),
            "background_us": round(many.tick_us, 1),
            "open_session_us": round(many.open_us, 1),
            "machine": self.machine,
        }

    def goals(self) -> list[tuple[str, float, float]]:
        """Each goal: its name, the measured value, and the most that is wanted."""
        facts = self.facts()
        return [(NAMES[name], float(facts[name]), most) for name, most in GOALS.items()]


def steps(cards: int, waiters: int = WAITING) -> int:
    """The number of cards, uses and waiting operations that a measurement reports as done."""
    return cards + KEPT_USES + waiters


def measure(
    folder: Path, cards: int, address: str, done: Callable[[int], None], waiters: int = WAITING
) -> Result:
    """Measure a small keystore, and the same one when it has so many cards; in a new SQLite
    database, or in an empty one of PostgreSQL. Logs go to `folder`. Raises ClickException on
    failure.
    """
    few = min(FEW, cards // 2)
    waits = folder / "waiting"
    waits.mkdir()
    held = waiting.measure(waits, waiters, SAMPLES, lambda _: None)
    done(waiters)
    with opened(folder / "keystore", address) as ward:
        kept = _kept(ward, done)
        place = ward.open_session(ward.passcode_proof())
        ward.use([place])
        model = Model.of(ward, place.session_id)
        places = fill(ward, model, few, done)
        small = _size(ward, places)
        places += fill(ward, model, cards - few, done)
        return Result(small, _size(ward, places), kept, held.kib_each, machine())


def _kept(ward: Ward, done: Callable[[int], None]) -> float:
    """The bytes that are kept for a signature when all that is removed has gone."""
    place = ward.open_session(ward.passcode_proof())
    _age(ward)
    before = ward.costs.kept()
    place = ward.open_session(ward.passcode_proof())
    for _ in range(KEPT_USES // TOGETHER):
        ward.use([place] * TOGETHER)
        done(TOGETHER)
    _age(ward)
    return (ward.costs.kept() - before) / KEPT_USES


def _age(ward: Ward) -> None:
    """Let so much time pass that nothing is left of what has ended."""
    ward.tend()
    ward.clock.ahead += LONG_AFTER
    ward.tend()
    while ward.has_old():
        ward.tend()


def _size(ward: Ward, places: Sequence[Place]) -> Size:
    """Measure a keystore that has these sessions."""
    used = [places[number * len(places) // IN_USE] for number in range(IN_USE)]
    chance = random.Random(SEED)  # noqa: S311 (no secret)

    def together() -> None:
        ward.use(chance.sample(used, TOGETHER))

    ward.costs.settle()
    for start in range(0, len(used), TOGETHER):
        ward.use(used[start : start + TOGETHER])
    ward.tend()
    uses = [ward.costs.cpu_ns(together) for _ in range(GROUPS)]
    ticks = []
    for _ in range(TICKS):
        together()
        ticks.append(ward.costs.cpu_ns(ward.tend))
    proof = ward.passcode_proof()
    opens = [ward.costs.cpu_ns(lambda: ward.open_session(proof)) for _ in range(OPENED)]
    return Size(
        cards=len(places),
        use_us=median(uses) / TOGETHER / 1000,
        tick_us=median(ticks) / 1000,
        open_us=median(opens) / 1000,
        written_group=_written(ward, together, GROUPS) / TOGETHER,
        written_alone=_written(ward, lambda: ward.use([chance.choice(used)]), ALONE),
    )


def _written(ward: Ward, work: Callable[[], None], times: int) -> float:
    """The bytes that work writes each time, and then a second's upkeep."""
    ward.tend()
    before = ward.costs.written()
    for _ in range(times):
        work()
    ward.tend()
    return (ward.costs.written() - before) / times
