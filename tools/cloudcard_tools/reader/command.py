"""`cloudcard reader`: puts cards into this computer's virtual reader."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

import click
import grpc

from card_os.piv import CardImage, new_card
from cloudcard_tools.reader import local_card
from cloudcard_tools.shared import enrolling, identity, logs
from cloudcard_tools.shared.caller import identity_option
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, Refused
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.trace.record.recording import recorded
from reader_bridge.local.keys import LocalKeys
from reader_bridge.pcscd import Hold
from reader_bridge.prompter import JsonPrompter, Prompter, TerminalPrompter
from reader_bridge.remote.keys import PUSH, QR, Channel, RemoteKeys
from reader_bridge.slot import Slot, SlotState
from reader_bridge.tasks import CancellableKeys
from reader_bridge.vpcd import PORT

ROLE = "workstation"
RETRY_SECONDS = 1.0  # between tries to reach the keystore at the start
TICK_SECONDS = 0.5  # Windows sees Ctrl-C only between two waits

APPROVALS: Mapping[str, tuple[Channel, ...]] = {"push": (PUSH,), "qr": (QR,), "both": (PUSH, QR)}
SAYINGS = {
    SlotState.INSERTED: "Card {card} is in the reader (port {port}).",
    SlotState.REMOVED: "The reader let go of card {card} (port {port}). Inserting it again.",
    SlotState.PORT_BUSY: "Another card is in the reader at port {port}. Card {card} waits for it "
    "to leave: stop the other program, or choose another --port.",
    SlotState.PCSCD_NOT_RUNNING: "Nobody listens at port {port}: is pcscd running, with vpcd? "
    "`cloudcard doctor` tells. Card {card} is inserted when it comes.",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """What the command prints: sentences, or one JSON object a line."""

    out: TextIO
    as_json: bool

    def say(self, event: str, text: str, **more: str | int) -> None:
        """Print an event. A card stays in use when nobody reads the output any more."""
        line = json.dumps({"event": event, **more, "text": text}) if self.as_json else text
        with suppress(OSError, ValueError):
            print(line, file=self.out, flush=True)

    def prompter(self) -> Prompter:
        """Shows numbers and codes on the same output."""
        return JsonPrompter(self.out) if self.as_json else TerminalPrompter(self.out)


@dataclass(frozen=True, slots=True)
class Inserted:
    """A card that is ready to be put into a slot."""

    slot: int
    image: CardImage
    keys: CancellableKeys


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  cloudcard reader enrol TOKEN            make this computer a workstation, once
  cloudcard reader --card 1000            the holder types a number on the phone
  cloudcard reader --card 1000 --card 1001 --approval qr
  cloudcard reader --local                a throw-away card, no keystore, nobody is asked
  cloudcard reader --local --algorithm p384 --profile sm-cs7
  cloudcard reader --local --profile developer --state card.json
  cloudcard reader --local --record login.trace

\b
The first card goes into slot 0 (port 35963), the next into slot 1 (35964). Ctrl-C takes them out.
docs/reader.md tells of pcscd, ports and firewalls.
""",
)
@click.option("--card", "serials", multiple=True, metavar="SERIAL", help="A card; once per slot.")
@click.option(
    "--approval",
    type=click.Choice(list(APPROVALS)),
    default="push",
    show_default=True,
    help="How the holder's phone is reached.",
)
@click.option("--application", default="", help="What the phone shows as the asking program.")
@click.option(
    "--session/--no-session",
    default=True,
    show_default=True,
    help="Ask for a session when the PIN is given, where the policy offers one: one approval, then "
    "key 9A is used unasked until the card is reset.",
)
@identity_option(ROLE)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="vpcd's port for the first card.",
)
@local_card.options
@click.option(
    "--hold-pcscd/--no-hold-pcscd",
    default=True,
    show_default=True,
    help="Start pcscd on demand and keep it from ending itself (Linux).",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what the card is told, without secrets, as a trace to this new file.",
)
@json_option
@click.pass_context
def reader(
    context: click.Context,
    serials: tuple[str, ...],
    approval: str,
    application: str,
    session: bool,
    folder: Path,
    port: int,
    local: bool,
    profile: str | None,
    algorithm: str | None,
    retired: int | None,
    state: Path | None,
    hold_pcscd: bool,
    record: Path | None,
    as_json: bool,
) -> None:
    """Put cards into this computer's virtual reader, until Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    if local == bool(serials):
        raise click.UsageError("give --card SERIAL, or --local")
    wanted = local_card.Wanted(profile, algorithm, retired, state)
    if not local and wanted != local_card.Wanted():
        raise click.UsageError("--profile, --algorithm, --retired and --state go with --local")
    if record is not None and len(serials) > 1:
        raise click.UsageError("--record is for one card")
    if port + len(serials) - 1 > 0xFFFF:
        raise click.UsageError(f"there is no port for each card from {port} on")
    logs.configure(logging.WARNING)
    screen = Screen(sys.stdout, as_json)
    with ExitStack() as stack:
        stop = stack.enter_context(_stop_signals())
        if local:
            inserted = [_local_card(stack.enter_context(local_card.opened(wanted)), screen)]
        else:
            channel = stack.enter_context(identity.channel(identity.load(folder)))
            prompter = screen.prompter()
            asked = [
                RemoteKeys(
                    channel, serial, prompter, APPROVALS[approval], application, sessions=session
                )
                for serial in serials
            ]
            inserted = _fetch(dict(zip(serials, asked, strict=True)), screen, stop)
        _run(inserted, port, screen, stop, stack.enter_context(_hold(hold_pcscd)), record)
    screen.say("stopped", "The reader is empty.")


@reader.command()
@enrolling.token_argument
@enrolling.token_file_option
@identity_option(ROLE)
def enrol(token: str | None, token_file: Path | None, folder: Path) -> None:
    """Make this computer a workstation, by a one-time TOKEN ("-": from standard input)."""
    enrolling.enrol(token, token_file, folder, ROLE)


def _run(
    inserted: Sequence[Inserted],
    port: int,
    screen: Screen,
    stop: threading.Event,
    hold: Hold | None,
    record: Path | None,
) -> None:
    """Serve the cards until asked to stop; one is recorded if so wanted."""
    with ExitStack() as stack:
        for each in inserted:
            place = port + each.slot
            card, tape = new_card(each.image, os.urandom), None
            if record is not None:
                taped = stack.enter_context(recorded(each.image, record))
                card, tape = taped.card, taped.recorder
            slot = Slot(place, card, each.keys, _teller(screen, each, place), hold, tape)
            slot.start()
            stack.callback(slot.stop)
        while not stop.wait(TICK_SECONDS):
            pass


def _teller(screen: Screen, inserted: Inserted, port: int) -> Callable[[SlotState], None]:
    serial = inserted.image.serial

    def tell(state: SlotState) -> None:
        text = SAYINGS[state].format(card=serial, port=port)
        screen.say(state.value, text, slot=inserted.slot, port=port, card=serial)

    return tell


def _local_card(keys: LocalKeys, screen: Screen) -> Inserted:
    if not screen.as_json:
        print(local_card.description(keys), file=screen.out, flush=True)
    return Inserted(0, keys.image, keys)


def _fetch(
    asked: Mapping[str, RemoteKeys], screen: Screen, stop: threading.Event
) -> list[Inserted]:
    """The cards that the keystore has; waits while it is out of reach.

    A refused card leaves its slot empty. Raises Failure if all are.
    """
    found: list[Inserted] = []
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
        found.append(Inserted(slot, image, keys))
    if not found:
        raise Failure(f"no card to insert: {refused[-1].message}")
    return found


def _fetch_one(
    serial: str, keys: RemoteKeys, screen: Screen, stop: threading.Event
) -> CardImage | None:
    """The card's image; None when asked to stop. Raises Failure where the keystore refuses."""
    said = False
    while not stop.is_set():
        try:
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
def _hold(wanted: bool) -> Iterator[Hold | None]:
    if not wanted:
        yield None
        return
    hold = Hold()
    try:
        yield hold
    finally:
        hold.release()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set within the block."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
