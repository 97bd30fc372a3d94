"""`cloudcard reader`: puts cards into this computer's readers."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import click
from click.core import ParameterSource

from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.reader import local_card
from cloudcard_tools.reader.ready import Ready
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.reader.service import commands
from cloudcard_tools.reader.via import Via
from cloudcard_tools.reader.via import options as via_options
from cloudcard_tools.shared import enrolling, logs, pcsc
from cloudcard_tools.shared.application import application_option, card_factory, key_service
from cloudcard_tools.shared.extras import brought_by
from cloudcard_tools.shared.output import json_option
from reader_bridge.agent import Insertion, Tell, inserted
from reader_bridge.carriers.carrier import Carrier, SlotState
from reader_bridge.local.keys import LocalKeys
from reader_bridge.prompts import choosing
from reader_bridge.prompts.later import LONGEST_SECONDS

ROLE = "workstation"
# Windows sees Ctrl-C only between two waits.
TICK_SECONDS = 0.5

APPROVALS = ("push", "qr", "both")


def _prompt(_context: click.Context, _parameter: click.Parameter, wanted: str | None) -> str | None:
    try:
        return None if wanted is None else choosing.check(wanted)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  cloudcard reader enrol TOKEN                   make this computer a workstation, once
  cloudcard reader                               the agent: sign in by phone
  cloudcard reader sign-in --user ada@example.org
  cloudcard reader status --json
  cloudcard reader sign-out
  cloudcard reader --card 1500000000000017       the holder types a number on the phone
  cloudcard reader --card 1500000000000017 --card 1000000000000025 --approval qr
  cloudcard reader --local                       a throw-away card: no keystore, no approval
  cloudcard reader --local --algorithm p384 --profile sm-cs7
  cloudcard reader --local --profile developer --state card.json
  cloudcard reader --local --record login.trace
  cloudcard reader --application hello_card:new_card --record hello.trace
  cloudcard reader --local --via vpcd --port 35964

\b
The first card goes into the first free slot of our driver, or of vpcd without it (port 35963, the
next one 35964). Ctrl-C takes them out. docs/reader.md explains drivers, pcscd, ports and firewalls.
""",
)
@click.option(
    "--card",
    "serials",
    multiple=True,
    metavar="SERIAL",
    help="A card, by its whole serial number, as a workstation is not told which cards there are. "
    "Once for each slot.",
)
@click.option(
    "--approval",
    type=click.Choice(APPROVALS),
    default="push",
    show_default=True,
    help="How a request reaches the holder's phone.",
)
@click.option(
    "--prompt",
    metavar="HOW",
    callback=_prompt,
    help="Where requests are shown: auto (the first of these that works here), gtk, tk, notify, "
    "terminal, file:PATH or command:PROGRAM.  [default: auto; with --json only the output]",
)
@click.option(
    "--qr-after",
    type=click.IntRange(0, LONGEST_SECONDS),
    default=0,
    show_default=True,
    help="With --approval both: seconds for which the push to the phone is waited for before a QR "
    "code is offered.",
)
@click.option("--program", default="", help="What the phone shows as the asking program.")
@click.option(
    "--session/--no-session",
    default=True,
    show_default=True,
    help="Ask for a session when the PIN is given, if the policy offers one. After one approval, "
    "key 9A is used without asking again until the card is reset.",
)
@enrolling.identity_option(ROLE)
@via_options
@local_card.options
@application_option
@click.option(
    "--keys",
    metavar="MODULE:FACTORY",
    help="The key service for the card of --application; without it, key requests are refused.",
)
@click.option(
    "--hold-pcscd/--no-hold-pcscd",
    default=True,
    show_default=True,
    help="Start pcscd on demand, and keep it from ending when it is idle (Linux).",
)
@click.option(
    "--record",
    type=NEW_FILE,
    help="Record the commands and responses, without secrets, in this new trace file.",
)
@click.option("--verbose", is_flag=True, help="Log why the card refuses a command.")
@json_option
@click.pass_context
def reader(
    context: click.Context,
    serials: tuple[str, ...],
    approval: str,
    prompt: str | None,
    qr_after: int,
    program: str,
    session: bool,
    folder: Path | None,
    via: str | None,
    slot: int | None,
    port: int | None,
    local: bool,
    profile: str | None,
    algorithm: str | None,
    retired: int | None,
    state: Path | None,
    application: str | None,
    keys: str | None,
    hold_pcscd: bool,
    record: Path | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Put cards into this computer's readers, until Ctrl-C. Without --card, --local and
    --application it is the agent: whoever signs in by phone has their card in the reader until they
    leave.
    """
    if context.invoked_subcommand is not None:
        return
    if local + bool(serials) + (application is not None) > 1:
        raise click.UsageError("give --card SERIAL, or --local, or --application MODULE:FACTORY")
    if keys is not None and application is None:
        raise click.UsageError("--keys goes with --application")
    wanted = local_card.Wanted(profile, algorithm, retired, state)
    if not local and wanted != local_card.Wanted():
        raise click.UsageError("--profile, --algorithm, --retired and --state go with --local")
    if record is not None and len(serials) > 1:
        raise click.UsageError("--record works with one card only")
    screen = Screen(sys.stdout, as_json)
    if not local and not serials and application is None:
        for name in ("approval", "qr_after", "program", "session", "record"):
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                option = name.replace("_", "-")
                raise click.UsageError(
                    f"--{option} goes with --card, --local or --application; the configuration of "
                    "the agent is in reader.toml"
                )
        _run_agent(screen, folder, Via(via, port, slot), prompt=prompt, hold_pcscd=hold_pcscd)
        return
    carriers = Via(via, port, slot).carriers(max(len(serials), 1))
    logs.configure(logging.INFO if verbose else logging.WARNING)
    with ExitStack() as stack:
        stop = stack.enter_context(_stop_signals())
        if local:
            tell = partial(screen.say, "making")
            ready = [_local_card(stack.enter_context(local_card.opened(wanted, tell)), screen)]
        elif application is not None:
            own = key_service(keys)
            ready = [Ready(0, application, card_factory(application), own)]
        else:
            with brought_by("reader", "cloudcard reader --card"):
                # Imported late, because --local works without the packages that this needs.
                from cloudcard_tools.reader import of_keystore
                from cloudcard_tools.reader.service.settings import take_configured_proxy

            take_configured_proxy()
            ready = stack.enter_context(
                of_keystore.opened(
                    serials,
                    folder,
                    approval,
                    program,
                    screen,
                    stop,
                    sessions=session,
                    prompt=prompt,
                    qr_after=qr_after,
                )
            )
        insertions = [_insertion(each, carriers[each.slot], record, stack) for each in ready]
        stack.enter_context(inserted(insertions, teller(screen), hold=hold_pcscd))
        while not stop.wait(TICK_SECONDS):
            pass
    screen.say("stopped", "The reader is empty.")


reader.add_command(commands.status)
reader.add_command(commands.sign_in)
reader.add_command(commands.sign_out)


@reader.command()
@enrolling.token_argument
@enrolling.token_file_option
@enrolling.identity_option(ROLE)
def enrol(token: str | None, token_file: Path | None, folder: Path | None) -> None:
    """Enrol this computer as a workstation, with a one-time TOKEN ("-": from standard input)."""
    with brought_by("reader", "cloudcard reader enrol"):
        from cloudcard_tools.reader.service.settings import take_configured_proxy

        take_configured_proxy()
        enrolling.enrol(token, token_file, folder, ROLE)


def _run_agent(
    screen: Screen, folder: Path | None, via: Via, *, prompt: str | None, hold_pcscd: bool
) -> None:
    with brought_by("reader", "cloudcard reader"):
        # Imported late, because --local works without the packages that this needs.
        from cloudcard_tools.reader.service import running

    with _stop_signals() as stop:
        running.run(screen, folder, via, stop, prompt=prompt, hold_pcscd=hold_pcscd)
    screen.say("stopped", "The reader is empty.")


def _insertion(ready: Ready, carrier: Carrier, record: Path | None, stack: ExitStack) -> Insertion:
    """The card with its way to the reader, recorded if a trace file is given."""
    if record is None:
        return Insertion(ready.slot, carrier, ready.name, ready.make(), ready.keys)
    taped = stack.enter_context(ready.recorded(record))
    return Insertion(ready.slot, carrier, ready.name, taped.card, ready.keys, taped.recorder)


def _local_card(keys: LocalKeys, screen: Screen) -> Ready:
    if not screen.as_json:
        print(local_card.description(keys), file=screen.out, flush=True)
    return Ready(0, keys.image.serial, keys.image, keys)


def teller(screen: Screen) -> Tell:
    """Tells the changes of slots; and once, when pcscd serves a card, if it refuses this user."""
    asked = threading.Event()

    def tell(insertion: Insertion, state: SlotState) -> None:
        screen.tell(insertion, state)
        if state is SlotState.INSERTED and not asked.is_set():
            asked.set()
            # On a thread of its own: pcscd may be waiting for the card, which this one serves.
            threading.Thread(target=_say_if_refused, args=(screen,), daemon=True).start()

    return tell


def _say_if_refused(screen: Screen) -> None:
    try:
        pcsc.require_admission()
    except pcsc.PcscRefused as refused:
        text = f"This user's applications do not see the card: {refused.message}: {refused.remedy}"
        screen.say("pcscd_refuses", text)
    except pcsc.PcscError:
        return  # it is ending: the slot's next state says it


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
