"""The cards of `cloudcard reader --card`. They are fetched from the keystore, which uses their
keys.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from card_os.piv import CardImage
from cloudcard_tools.reader.ready import Ready
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, Refused
from reader_bridge.remote.keys import PUSH, QR, Channel, RemoteKeys

RETRY_SECONDS = 1.0  # between attempts to reach the keystore at the start
QUIET_SECONDS = 2.0  # without an answer, before the person at the screen hears of it

CHANNELS: Mapping[str, tuple[Channel, ...]] = {"push": (PUSH,), "qr": (QR,), "both": (PUSH, QR)}


@contextmanager
def opened(
    serials: Sequence[str],
    folder: Path,
    approval: str,
    application: str,
    screen: Screen,
    stop: threading.Event,
    *,
    sessions: bool,
) -> Iterator[list[Ready]]:
    """The cards, for the time of the block; none if asked to stop before they came.

    Raises Failure if the keystore has none of them.
    """
    with identity.channel(identity.load(folder)) as channel:
        prompter = screen.prompter()
        asked = {
            serial: RemoteKeys(
                channel, serial, prompter, CHANNELS[approval], application, sessions=sessions
            )
            for serial in serials
        }
        yield fetch(asked, screen, stop)


def fetch(asked: Mapping[str, RemoteKeys], screen: Screen, stop: threading.Event) -> list[Ready]:
    """The cards that the keystore has. Waits while the keystore is out of reach.

    A card that is refused leaves its slot empty. Raises Failure if all cards are refused.
    """
    found: list[Ready] = []
    refused: list[Failure] = []
    for slot, (serial, keys) in enumerate(asked.items()):
        try:
            image = _fetch_one(serial, keys, screen, stop)
        except Failure as failure:
            refused.append(failure)
            screen.say("refused", f"Card {serial}: {failure.message}", slot=slot, card=serial)
            continue
        if image is None:
            return []
        found.append(Ready(slot, image.serial, image, keys))
    if not found:
        raise Failure(f"no card to insert: {refused[-1].message}")
    return found


def _fetch_one(
    serial: str, keys: RemoteKeys, screen: Screen, stop: threading.Event
) -> CardImage | None:
    """The card's image; None if asked to stop. Raises Failure if the keystore refuses."""
    said = False
    while not stop.is_set():
        try:
            with _saying_so(serial, screen):
                return keys.get_card()
        except ValueError as error:
            raise Failure(f"the keystore's card cannot be used: {error}") from None
        except grpc.RpcError as error:
            if not isinstance(error, grpc.Call):
                raise
            failure = explain(error)
        if isinstance(failure, Refused):
            raise failure
        if not said:
            screen.say("waiting", f"{failure.message} Trying again.", card=serial)
            said = True
        stop.wait(RETRY_SECONDS)
    return None


@contextmanager
def _saying_so(serial: str, screen: Screen) -> Iterator[None]:
    """Say once that the keystore is being asked, if the block takes long."""
    text = f"The keystore has been asked for card {serial} and has not answered yet."
    timer = threading.Timer(QUIET_SECONDS, screen.say, ("asking", text), {"card": serial})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
