"""Measures how long the card itself takes for a command, and how much memory one more card takes.

Everything is in this process: no reader, no socket, and a key service that answers at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import click

from card_os.administration import CardKey
from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, Refusal, UseKey, Verified, VerifyPasscode
from card_os.piv import CardImage, new_card
from card_os.piv.issuing import encode
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm, KeyRef, ObjectTag
from cloudcard_tools.bench import emulator, peer
from cloudcard_tools.bench.timing import WARM_UP, machine, median_us, sample, undisturbed

SELECT = bytes.fromhex("00A4040009A0000003080000100000")
VERIFY = bytes.fromhex("0020008008313233343536FFFF")
SIGN = bytes.fromhex("0087119A267C2482008120") + bytes(32) + b"\0"
GET_RESPONSE = bytes.fromhex("00C0000000")
KEYS = (
    KeyRef.AUTHENTICATION,
    KeyRef.SIGNATURE,
    KeyRef.KEY_MANAGEMENT,
    KeyRef.CARD_AUTHENTICATION,
)
KIB = 1024
CERTIFICATE_BYTES = 1200  # of an ordinary card; one of these cards' objects is 2 KiB, one 12 KiB
LONG_BYTES, LONGER_BYTES = 2 * KIB, 12 * KIB
SIGNED_BYTES = 1000  # CHUID and security object
NAMES = {
    "select_us": "SELECT",
    "verify_us": "VERIFY, answered at once",
    "general_authenticate_us": "GENERAL AUTHENTICATE, answered at once",
    "get_data_2k_us": "GET DATA of 2 KiB, in parts",
    "get_data_12k_us": "GET DATA of 12 KiB, in parts",
    "card_kib": "KiB of one more card",
}
GOALS = {
    "select_us": 30.0,
    "verify_us": 60.0,
    "get_data_2k_us": 300.0,
    "get_data_12k_us": 1000.0,
    "card_kib": 100.0,
}

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Medians in microseconds, of `count` runs each; memory in KiB, as the mean of `cards`."""

    select_us: float
    get_data_2k_us: float
    get_data_12k_us: float
    verify_us: float
    general_authenticate_us: float
    card_kib: float
    count: int
    cards: int
    peer: emulator.Result | None
    machine: str


class InstantKeys:
    """A key service that answers at once: every passcode is right, every signature is ready."""

    def perform(self, request: KeyRequest) -> KeyResult:
        """Answer."""
        match request:
            case VerifyPasscode():
                return Verified(b"proof")
            case UseKey():
                return bytes(70)
            case _:
                return Refusal.UNKNOWN_KEY


def steps(count: int, cards: int) -> int:
    """The number of commands and cards that a measurement reports as done."""
    return len(_commands()) * count + cards


def measure(count: int, cards: int, *, with_peer: bool, done: Progress) -> Result:
    """Measure everything. Raises ClickException if a command fails or the peer is missing.

    `done` is called for each batch of commands or cards.
    """
    medians = {}
    for name, command in _commands().items():
        card = new_card(new_image(), os.urandom)
        send(card, VERIFY)
        run = partial(send, card, command)
        with undisturbed():
            sample(run, WARM_UP)
            medians[name] = median_us(sample(run, count))
        done(count)
    return Result(
        **medians,
        card_kib=memory(cards, done),
        count=count,
        cards=cards,
        peer=_peer(count) if with_peer else None,
        machine=machine(),
    )


def memory(cards: int, done: Progress) -> float:
    """The KiB that one used card takes, as the mean over cards that are all held at once."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = []
        for _ in range(cards):
            held.append(_used())
            done(1)
        after, _ = tracemalloc.get_traced_memory()
        return round((after - before) / len(held) / KIB, 1)
    finally:
        tracemalloc.stop()


def _commands() -> dict[str, bytes]:
    return {
        "select_us": SELECT,
        "get_data_2k_us": _get_data(ObjectTag.AUTHENTICATION_CERTIFICATE),
        "get_data_12k_us": _get_data(ObjectTag.FACIAL_IMAGE),
        "verify_us": VERIFY,
        "general_authenticate_us": SIGN,
    }


def _get_data(tag: int) -> bytes:
    return bytes.fromhex("00CB3FFF055C03") + tag.to_bytes(3) + b"\0"


def send(card: Card, command: bytes) -> None:
    """Send a command and its whole chain of GET RESPONSE, as a reader with short APDUs does."""
    keys = InstantKeys()
    response = card.transmit(command, keys)
    while response[-2] == 0x61:
        response = card.transmit(GET_RESPONSE, keys)
    if response[-2:] != b"\x90\x00":
        raise click.ClickException(f"the card answers {response[-2:].hex().upper()}, not 9000")


def _used() -> Card:
    """A card with objects of an ordinary size, as it is after a login."""
    ordinary = {CERTIFICATE_OF_KEY[key_ref]: os.urandom(CERTIFICATE_BYTES) for key_ref in KEYS}
    card = new_card(new_image(ordinary), os.urandom)
    for command in (SELECT, VERIFY, SIGN, *map(_get_data, ordinary)):
        send(card, command)
    return card


def new_image(certificates: Mapping[int, bytes] | None = None) -> CardImage:
    """The image of a card that shares no objects with another card."""
    guid = os.urandom(16)
    expiry = "20301231"
    own = certificates or {
        ObjectTag.AUTHENTICATION_CERTIFICATE: os.urandom(LONG_BYTES),
        ObjectTag.FACIAL_IMAGE: os.urandom(LONGER_BYTES),
    }
    return CardImage(
        serial=str(int.from_bytes(guid[:4])),
        guid=guid,
        objects={
            ObjectTag.DISCOVERY: encode.discovery(),
            ObjectTag.CHUID: encode.chuid(guid, expiry, os.urandom(SIGNED_BYTES)),
            ObjectTag.CCC: encode.ccc(guid),
            ObjectTag.KEY_HISTORY: encode.key_history(),
            ObjectTag.SECURITY_OBJECT: encode.security_object({}, os.urandom(SIGNED_BYTES)),
            ObjectTag.PRINTED_INFORMATION: encode.printed_information(
                "Bench", "Development", expiry, "0", "cloudcard"
            ),
            **own,
        },
        keys={key_ref: CardKey(Algorithm.ECC_P256) for key_ref in KEYS},
    )


def _peer(count: int) -> emulator.Result:
    """Measure the same commands on vsmartcard's emulator, in a process of its own."""
    try:
        done = subprocess.run(  # noqa: S603 (our own script)
            [*peer.python(), emulator.__file__, str(count)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **peer.variables()},
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no reason given").splitlines()[-1]
        raise click.ClickException(f"vsmartcard's emulator failed: {last}") from None
    try:
        return emulator.Result(**json.loads(done.stdout))
    except (ValueError, TypeError):
        last = ([*done.stdout.strip().splitlines(), "nothing"])[0]
        raise click.ClickException(f"vsmartcard's emulator told no times, but: {last}") from None
