"""The cards of `cloudcard reader --card`. They are fetched from the keystore, which uses their
keys.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc

from card_os.piv import CardImage
from card_os.piv.names import KeyRef
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.enrolment.living import living
from cloudcard_tools.reader.keystore_watch import watched
from cloudcard_tools.reader.ready import Ready
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.calling import Diagnose, explain
from cloudcard_tools.shared.enrolling import folder_of
from cloudcard_tools.shared.failures import Failure, Refused, sentence
from cloudcard_tools.shared.reaching import why
from reader_bridge.remote.keys import PUSH, QR, Channel, RemoteKeys
from reader_bridge.remote.stub import CALL_SECONDS
from reader_bridge.remote.uses import Uses
from reader_bridge.remote.watches import Watches

ROLE = "workstation"
REJECTED = "IDENTITY_REJECTED"
RETRY_SECONDS = 1.0  # between attempts to reach the keystore at the start
QUIET_SECONDS = 2.0  # without an answer, before the person at the screen hears of it

CHANNELS: Mapping[str, tuple[Channel, ...]] = {"push": (PUSH,), "qr": (QR,), "both": (PUSH, QR)}


@contextmanager
def opened(
    serials: Sequence[str],
    folder: Path | None,
    approval: str,
    application: str,
    screen: Screen,
    stop: threading.Event,
    *,
    sessions: bool,
    prompt: str | None = None,
    qr_after: int = 0,
) -> Iterator[list[Ready]]:
    """The cards, for the time of the block; none if asked to stop before they came.

    Raises Failure if the keystore has none of them.
    """
    own = identity.load(folder_of(folder, ROLE))
    diagnose = partial(why, own.way)
    with living(own) as channel, screen.prompter(prompt, qr_after) as prompter:
        uses, watches = Uses(channel), Watches(channel)
        asked = {
            serial: RemoteKeys(
                channel,
                serial,
                prompter,
                CHANNELS[approval],
                application,
                sessions=sessions,
                workstation=own.display_name,
                uses=uses,
                watches=watches,
            )
            for serial in serials
        }
        found = fetch(asked, screen, stop, diagnose)
        if not found:
            yield []
            return
        ask = partial(_ask, WorkstationServiceStub(channel), found[0].name, diagnose)
        with watched(channel, ask, screen):
            yield found


def fetch(
    asked: Mapping[str, RemoteKeys],
    screen: Screen,
    stop: threading.Event,
    diagnose: Diagnose | None = None,
) -> list[Ready]:
    """The cards that the keystore has. Waits while the keystore is out of reach.

    A card that is refused leaves its slot empty. Raises Failure if all cards are refused.
    """
    found: list[Ready] = []
    refused: list[Failure] = []
    for slot, (serial, keys) in enumerate(asked.items()):
        try:
            image = _fetch_one(serial, keys, screen, stop, diagnose)
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
    serial: str,
    keys: RemoteKeys,
    screen: Screen,
    stop: threading.Event,
    diagnose: Diagnose | None,
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
            failure = explain(error, None if said else diagnose)
        if isinstance(failure, Refused):
            raise failure
        if not said:
            screen.say("waiting", f"{sentence(failure.message)} Trying again.", card=serial)
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


def _ask(stub: WorkstationServiceStub, serial: str, diagnose: Diagnose) -> Failure | None:
    """Why the keystore cannot be used from here now; None if it can. A refusal of the card is the
    card's own matter.
    """
    request = pb.GetPasscodeStatusRequest(card_serial=serial, key_ref=KeyRef.PIN)
    try:
        stub.GetPasscodeStatus(request, timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        failure = explain(error, diagnose)
        if not isinstance(failure, Refused) or failure.reason == REJECTED:
            return failure
    return None
