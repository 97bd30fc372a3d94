"""Measures how long a command APDU takes through pcscd and vpcd, on our card and on simpler ones.

Application, echo and card are separate processes, so that no interpreter waits for another's
lock. Echo and card take turns, so that other work of the computer slows both down equally.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from card_os.keys import KeyRequest, KeyResult, Refusal
from card_os.piv import CardImage, new_card
from card_os.piv.issuing import encode
from card_os.piv.names import ObjectTag
from cloudcard_tools.bench import echo, peer
from cloudcard_tools.bench.timing import WARM_UP, machine, median_us, sample, undisturbed
from cloudcard_tools.shared import pcsc, pcscd
from cloudcard_tools.shared.processes import Child, Nursery

SELECT_PIV = bytes.fromhex("00A4040009A00000030800001000")
GET_DISCOVERY = bytes.fromhex("00CB3FFF035C017E00")
GET_CHALLENGE = bytes.fromhex("0084000008")
CARD_SLOT, OTHER_SLOT = 0, 1
LOCAL_READER = (
    sys.executable,
    "-m",
    "cloudcard_tools",
    "reader",
    "--local",
    "--via",
    "vpcd",
    "--algorithm",
    "p256",
)
ROUND = 250  # commands to one card before the other card's turn
LOOK_SECONDS = 0.1
SLOW_COUNT = 25  # of commands that take 44 ms each
RATIO_GOAL = 1.3
CORE_GOAL_US = 30.0

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Medians of round trips in microseconds, and the number of commands behind each."""

    echo_us: float
    card_us: float
    naive_us: float
    core_us: float
    peer_us: float | None
    count: int  # of echo, card and core each
    slow_count: int  # of naive and peer each
    response_bytes: int
    machine: str

    @property
    def ratio(self) -> float:
        """How much longer our card takes than a card that does nothing."""
        return round(self.card_us / self.echo_us, 3)


def steps(count: int, *, with_peer: bool) -> int:
    """The number of commands that a measurement reports as done."""
    return 3 * count + SLOW_COUNT * (1 + with_peer)


def measure(folder: Path, count: int, *, with_peer: bool, done: Progress) -> Result:
    """Measure all cards through the running pcscd. Logs go to `folder`.

    `done` is called for each batch of commands. Raises ClickException on failure.
    """
    core_us = core(count)
    done(count)
    peer_command = peer.command(pcscd.PORTS[OTHER_SLOT]) if with_peer else []
    pcscd.require_free(CARD_SLOT, OTHER_SLOT)
    with Nursery(folder) as nursery, pcsc.client() as client:
        reader = nursery.start("card", *LOCAL_READER, "--json")
        reader.wait_for_json(event="inserted", timeout=30)
        pin(reader.pid)
        with client.connect(CARD_SLOT) as card:
            size = response_size(card)
            with _other(nursery, client, *_echo(size)) as bare:
                echo_us, card_us = _by_turns(bare, card, count, done)
        with _other(nursery, client, *_echo(size), "--naive") as naive:
            naive_us = _slow(naive, GET_DISCOVERY, done)
        peer_us = None
        if peer_command:
            with _other(nursery, client, *peer_command, **peer.variables()) as emulator:
                peer_us = _slow(emulator, GET_CHALLENGE, done)
    return Result(
        echo_us=echo_us,
        card_us=card_us,
        naive_us=naive_us,
        core_us=core_us,
        peer_us=peer_us,
        count=count,
        slow_count=SLOW_COUNT,
        response_bytes=size,
        machine=machine(),
    )


def core(count: int) -> float:
    """The time in microseconds that the card itself takes for the command, in this process."""
    image = CardImage(
        serial="0", guid=bytes(16), objects={ObjectTag.DISCOVERY: encode.discovery()}, keys={}
    )
    call = partial(new_card(image, os.urandom).transmit, GET_DISCOVERY, NoKeys())
    _require_success(call())
    with undisturbed():
        sample(call, WARM_UP)
        return median_us(sample(call, count))


class NoKeys:
    """A key service for commands that need no key."""

    def perform(self, request: KeyRequest) -> KeyResult:
        """Refuse."""
        del request
        return Refusal.UNKNOWN_KEY


def _echo(size: int) -> list[str]:
    port = pcscd.PORTS[OTHER_SLOT]
    return [sys.executable, echo.__file__, str(port), str(size)]


@contextmanager
def _other(
    nursery: Nursery, client: pcsc.Client, *command: str, **environment: str
) -> Iterator[pcsc.Card]:
    """A card in the other slot while the block lasts."""
    other = nursery.start("other", *command, **environment)
    wait_for_card(lambda: client.present(OTHER_SLOT), other)
    with client.connect(OTHER_SLOT) as card:
        pin(other.pid)
        yield card
    nursery.stop("other")
    client.wait_for_absence(OTHER_SLOT)


def wait_for_card(present: Callable[[], bool], program: Child, seconds: float = 20) -> None:
    """Wait until a program has put its card into the reader. Raises ClickException if it ends
    first, with its last words, or takes too long.
    """
    deadline = time.monotonic() + seconds
    name = Path(program.command[1]).name  # behind its Python
    while not present():
        if program.returncode is not None:
            last = (program.tail().strip() or "it gave no reason").splitlines()[-1]
            raise click.ClickException(f"{name} ended without a card: {last}")
        if time.monotonic() > deadline:
            raise click.ClickException(f"{name} has put no card into the reader in {seconds:g} s")
        time.sleep(LOOK_SECONDS)


def pin(pid: int) -> None:
    """Pin a process to the last processor. Otherwise two equal programs can differ by half,
    depending on where the kernel puts them.
    """
    if sys.platform == "linux":
        last = max(os.sched_getaffinity(0))
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {last})


def response_size(card: pcsc.Card) -> int:
    """The number of bytes in the card's response, without the status word."""
    card.transmit(SELECT_PIV)
    response = card.transmit(GET_DISCOVERY)
    _require_success(response)
    return len(response) - 2


def _require_success(response: bytes) -> None:
    if response[-2:] != b"\x90\x00":
        raise click.ClickException(f"the card answers {response[-2:].hex().upper()}, not 9000")


def _by_turns(bare: pcsc.Card, card: pcsc.Card, count: int, done: Progress) -> tuple[float, float]:
    """The medians of both cards, in microseconds."""
    durations: tuple[list[int], list[int]] = ([], [])
    with undisturbed():
        while (left := count - len(durations[0])) > 0:
            for taken, each in zip(durations, (bare, card), strict=True):
                call = partial(each.transmit, GET_DISCOVERY)
                sample(call, WARM_UP)
                taken += sample(call, min(ROUND, left))
                done(min(ROUND, left))
    return median_us(durations[0]), median_us(durations[1])


def _slow(card: pcsc.Card, command: bytes, done: Progress) -> float:
    """The median of a card that is far slower than the goal; fewer commands are enough."""
    card.transmit(command)
    durations = sample(lambda: card.transmit(command), SLOW_COUNT)
    done(SLOW_COUNT)
    return median_us(durations)
