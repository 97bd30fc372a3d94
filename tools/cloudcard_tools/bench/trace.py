"""Measures how fast traces are replayed: a corpus in this process, a short one by the command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter

import click

from card_os.administration import CardKey
from card_os.keys import (
    KeyRequest,
    KeyResult,
    Refusal,
    UseKey,
    Verified,
    VerifyPasscode,
    drive,
)
from card_os.piv import CardImage, new_card
from card_os.piv.issuing import encode
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm, KeyRef, ObjectTag
from card_os.trace.replay import SeededRandom
from cloudcard_tools.bench.timing import machine, undisturbed
from cloudcard_tools.trace.replay import cards
from cloudcard_tools.trace.replay.replaying import SUFFIX, replay
from reader_bridge.recorder import Recorder

CORPUS = Path(__file__).parents[3] / "tests" / "traces"  # of a checkout
SHORT_COMMANDS = 50
CERTIFICATE_BYTES = 800  # so that a reader with short APDUs needs GET RESPONSE
SEED = b"bench"
RATE_GOAL = 20_000.0
SHORT_GOAL_S = 0.3

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Medians: commands per second of the corpus; seconds of the short trace, including the start
    of the interpreter.
    """

    apdus_per_s: float
    short_trace_s: float
    traces: int
    commands: int
    corpus_bytes: int
    short_commands: int
    runs: int
    machine: str

    def goals(self) -> Iterator[tuple[str, float, float, bool]]:
        """Each goal: its title, the measured value, the goal, and whether it is met."""
        yield "Commands a second", self.apdus_per_s, RATE_GOAL, self.apdus_per_s >= RATE_GOAL
        yield "Short trace, s", self.short_trace_s, SHORT_GOAL_S, self.short_trace_s <= SHORT_GOAL_S


def measure(corpus: Path, folder: Path, runs: int, done: Progress) -> Result:
    """Replay the traces of the folder `corpus`, and one written into `folder`, repeatedly.

    `done` is called for each run of either kind. Raises ClickException if a trace does not replay.
    """
    paths = sorted(corpus.rglob(f"*{SUFFIX}"))
    if not paths:
        raise click.ClickException(f"there are no traces in {corpus}: name a folder that has some")
    rates = []
    # The first run does the late imports.
    replay_all(paths)
    for _ in range(runs):
        with undisturbed():
            begun = perf_counter()
            commands = replay_all(paths)
            rates.append(commands / (perf_counter() - begun))
        done(1)
    short = write_short(folder)
    times = []
    for _ in range(runs):
        times.append(_time_command(short))
        done(1)
    return Result(
        apdus_per_s=round(median(rates)),
        short_trace_s=round(median(times), 3),
        traces=len(paths),
        commands=commands,
        corpus_bytes=sum(path.stat().st_size for path in paths),
        short_commands=SHORT_COMMANDS,
        runs=runs,
        machine=machine(),
    )


def replay_all(paths: Sequence[Path]) -> int:
    """Replay traces, and return the number of their commands. Raises ClickException if one
    differs.
    """
    commands = 0
    for path in paths:
        outcome = replay(path)
        if not outcome.passed:
            raise click.ClickException(
                f"{path} does not replay: see `cloudcard trace replay {shlex.quote(str(path))}`"
            )
        commands += outcome.commands
    return commands


def write_short(folder: Path) -> Path:
    """Write a trace of 50 commands (logins, certificates, signatures), and its card's image beside
    it.
    """
    image = _image()
    path = folder / f"short{SUFFIX}"
    digest = cards.save(image, folder)
    shadow, card = (new_card(image, SeededRandom(SEED)) for _ in range(2))
    lines: list[str] = []
    recorder = Recorder(card, shadow, digest, SEED, lines.append, datetime.now(UTC), perf_counter)

    def perform(request: KeyRequest) -> KeyResult:
        recorder.asked()
        result = _perform(request)
        recorder.answered(result)
        return result

    for command in islice(cycle(COMMANDS), SHORT_COMMANDS):
        recorder.sent(command)
        recorder.received(drive(card.exchange(command), perform))
    path.write_text("\n".join(lines) + "\n", "ascii")
    return path


def _time_command(path: Path) -> float:
    command = [sys.executable, "-m", "cloudcard_tools", "trace", "replay", str(path)]
    begun = perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    seconds = perf_counter() - begun
    if ended.returncode != 0:
        raise click.ClickException(f"the short trace does not replay: {ended.stdout}")
    return seconds


def _get_data(tag: int) -> bytes:
    return bytes.fromhex("00CB3FFF055C03") + tag.to_bytes(3) + b"\0"


GET_RESPONSE = bytes.fromhex("00C0000000")
COMMANDS = (
    bytes.fromhex("00A4040009A0000003080000100000"),
    _get_data(ObjectTag.CHUID),
    _get_data(ObjectTag.AUTHENTICATION_CERTIFICATE),
    *(GET_RESPONSE,) * 3,
    bytes.fromhex("0020008008303030303030FFFF"),
    bytes.fromhex("0087119C267C2482008120") + bytes(32) + b"\0",
    bytes.fromhex("0087119A267C2482008120") + bytes(32) + b"\0",
)


def _perform(request: KeyRequest) -> KeyResult:
    match request:
        case VerifyPasscode():
            return Verified(b"proof")
        case UseKey():
            return bytes(70)
        case _:
            return Refusal.UNKNOWN_KEY


def _image() -> CardImage:
    """The image of a card with one certificate."""
    guid = os.urandom(16)
    certificate = CERTIFICATE_OF_KEY[KeyRef.AUTHENTICATION]
    return CardImage(
        serial="1",
        guid=guid,
        objects={
            ObjectTag.CHUID: encode.chuid(guid, "20301231"),
            certificate: os.urandom(CERTIFICATE_BYTES),
        },
        keys=dict.fromkeys((KeyRef.AUTHENTICATION, KeyRef.SIGNATURE), CardKey(Algorithm.ECC_P256)),
    )
