"""The commands of holders."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from cloud_keystore.model import finding
from cloud_keystore.model.finding import Findable, Sort
from cloudcard.authenticator.v1.authenticator_pb2 import HolderCard
from cloudcard_tools.authenticator import choosing, number
from cloudcard_tools.authenticator.approving import Choice, register
from cloudcard_tools.authenticator.choosing import Given
from cloudcard_tools.authenticator.nps import nps
from cloudcard_tools.authenticator.phone import ROLE, Phone, Ringing
from cloudcard_tools.authenticator.phones import phones
from cloudcard_tools.authenticator.pin import permit, pin, pin_stdin_option
from cloudcard_tools.authenticator.portal import portal
from cloudcard_tools.authenticator.questions import questions
from cloudcard_tools.authenticator.scanning import read_code
from cloudcard_tools.authenticator.screen import facts, reported, show, show_documents
from cloudcard_tools.authenticator.sessions import sessions
from cloudcard_tools.authenticator.sign_ins import sign_ins
from cloudcard_tools.authenticator.watching import Watch
from cloudcard_tools.shared import enrolling, identity
from cloudcard_tools.shared.caller import Caller, caller_options, service
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.finding import Answer, Words, find, of_own
from cloudcard_tools.shared.output import Row, expiry, print_json

CARD_COLUMNS = {
    "serial": "Card",
    "state": "State",
    "passcode_state": "Passcode",
    "expires": "Expires",
}

SOON = timedelta(days=90)  # before its end, a card is said to end in so many days
NEW_PASSCODE = {"serial": "Card", "passcode": "Passcode", "puk": "PUK, shown this once"}

OWN_CARDS = Words("card", "cards", "cloudcard authenticator cards")


@contextmanager
def phone(caller: Caller) -> Iterator[Phone]:
    """The phone with its identity. Failed calls become Failures."""
    own = identity.load(caller.folder)
    with service(own, partial(Phone, own)) as opened:
        yield opened


@click.group(
    epilog="""\b
Examples:
  cloudcard authenticator enrol TOKEN --name "Ada's phone"
  cloudcard authenticator enrol TOKEN --approval-key passkey
  cloudcard authenticator passcode 1500000000000017
  cloudcard authenticator passcode 1500000000000017 --change
  cloudcard authenticator passcode 1500000000000017 --puk
  cloudcard authenticator cards
  cloudcard authenticator unlock 1500000000000017
  cloudcard authenticator watch
  cloudcard authenticator scan screenshot.png
  cloudcard authenticator approve 0192f3a1 --number 42
  cloudcard authenticator deny 0192f3a1
  cloudcard authenticator not-me 0192f3a1
  cloudcard authenticator questions yes log-in --number 42
"""
)
def authenticator() -> None:
    """A software phone: shows what waits for you, and approves or denies it."""


@authenticator.command()
@enrolling.token_argument
@enrolling.token_file_option
@click.option("--name", default="", help="Name of this phone.")
@click.option(
    "--approval-key",
    type=click.Choice([choice.value for choice in Choice]),
    default=Choice.TLS.value,
    show_default=True,
    help="The approval key: the TLS key, a native key of its own, or a passkey.",
)
@enrolling.identity_option(ROLE)
def enrol(
    token: str | None, token_file: Path | None, name: str, approval_key: str, folder: Path | None
) -> None:
    """Enrol this phone for a person, with the one-time TOKEN from the registration authority."""
    enrolling.enrol(token, token_file, folder, ROLE, name, partial(register, Choice(approval_key)))


@authenticator.command()
@caller_options(ROLE)
def cards(caller: Caller) -> None:
    """List your cards."""
    with phone(caller) as own:
        found = own.cards()
    rows = [_card(each) for each in found]
    caller.print_rows(rows, CARD_COLUMNS, "No cards yet: ask your registration authority.")


@authenticator.command()
@click.argument("card")
@click.option(
    "--change",
    "given",
    flag_value=Given.PASSCODE.value,
    help="Choose another one. You give the one in force.",
)
@click.option(
    "--puk",
    "given",
    flag_value=Given.PUK.value,
    help="Choose another one, if it is forgotten or locked. You give the PUK.",
)
@click.option(
    "--code",
    "given",
    flag_value=Given.CODE.value,
    help="Choose another one, if it is forgotten or locked. You give the code that your "
    "registration authority reads out.",
)
@click.option(
    "--passcode-stdin",
    is_flag=True,
    help="Read from standard input: the passcode in force, the PUK or the code, if it is asked "
    "for, in a line, and the new passcode in the next one.",
)
@caller_options(ROLE)
def passcode(card: str, given: str | None, passcode_stdin: bool, caller: Caller) -> None:
    """Choose the passcode of CARD, a serial number or its beginning. The first one brings the PUK
    that unblocks the card, which is printed once.
    """
    against = None if given is None else Given(given)
    secret, new = choosing.typed(against, from_stdin=passcode_stdin)
    with phone(caller) as own:
        serial = find(partial(_own, own.cards()), Sort.CARD, card, words=OWN_CARDS)
        if against is not None:
            puk = choosing.replace(own, serial, against, secret, new)
            told = {"serial": serial, "passcode": "set", **({"puk": puk} if puk else {})}
            caller.print_facts(told, {key: NEW_PASSCODE[key] for key in told})
            return
        puk = own.set_passcode(serial, new)
    if caller.as_json:
        print_json({"serial": serial, "puk": puk})
    else:
        click.echo(f"Passcode set. Keep the PUK safe: {puk}")


@authenticator.command()
@click.argument("card")
@pin_stdin_option
@caller_options(ROLE)
def unlock(card: str, pin_stdin: bool, caller: Caller) -> None:
    """Agree that the registration authority unlocks CARD, a serial number or its beginning.

    Do it only if you have asked for it: it gives three more tries at the passcode.
    """
    with phone(caller) as own:
        serial = find(partial(_own, own.cards()), Sort.CARD, card, words=OWN_CARDS)
        permit(own, serial, from_stdin=pin_stdin)
        unlocked = own.unlock(serial)
    caller.print_facts(_card(unlocked), CARD_COLUMNS)


@authenticator.command()
@caller_options(ROLE)
def watch(caller: Caller) -> None:
    """Ring for each request, and ask for the number shown at the workstation."""
    with phone(caller) as own:
        Watch(own, caller.as_json).run(sys.stdin)


@authenticator.command()
@click.argument("operation")
@click.option("--number", required=True, help="The two digits shown at the workstation.")
@pin_stdin_option
@caller_options(ROLE)
def approve(operation: str, number: str, pin_stdin: bool, caller: Caller) -> None:
    """Approve the request OPERATION, an identifier or its beginning. There is one guess at the
    number.
    """
    if not (len(number) == 2 and number.isascii() and number.isdigit()):
        raise click.BadParameter("the number has two digits", param_hint="--number")
    with phone(caller) as own:
        ringing = own.find(operation)
        permit(own, ringing.operation_id, from_stdin=pin_stdin)
        _finish(ringing, own.approve(ringing, number), "approved", as_json=caller.as_json)


@authenticator.command()
@click.argument("operation")
@caller_options(ROLE)
def deny(operation: str, caller: Caller) -> None:
    """Deny the request OPERATION, an identifier or its beginning."""
    with phone(caller) as own:
        ringing = own.find(operation)
        _finish(ringing, own.deny(ringing), "denied", as_json=caller.as_json)


@authenticator.command("not-me")
@click.argument("operation")
@caller_options(ROLE)
def not_me(operation: str, caller: Caller) -> None:
    """Deny the request OPERATION because somebody else made it. This alerts the registration
    authority, and suspends the card unless it was only to sign in.
    """
    with phone(caller) as own:
        _report(own, own.find(operation), as_json=caller.as_json)


@authenticator.command()
@click.argument("source")
@click.option("--yes", "decision", flag_value="yes", help="Approve without asking.")
@click.option("--deny", "decision", flag_value="deny", help="Deny without asking.")
@click.option(
    "--not-me",
    "decision",
    flag_value="not-me",
    help="Deny, because somebody else made the request.",
)
@click.option("--card", default="", help="To sign in, the card; by default the one issued last.")
@pin_stdin_option
@caller_options(ROLE)
def scan(source: str, decision: str | None, card: str, pin_stdin: bool, caller: Caller) -> None:
    """Scan a QR code and decide on its request. SOURCE is the code's text or a picture of it."""
    text = read_code(source)
    if decision is None and not sys.stdin.isatty():
        raise click.UsageError(
            "nobody is here to decide: say --yes to approve without asking, --deny or --not-me"
        )
    with phone(caller) as own:
        serial = find(partial(_own, own.cards()), Sort.CARD, card, words=OWN_CARDS) if card else ""
        ringing = own.claim(text, serial)
        if not caller.as_json:
            show(ringing)
            show_documents(ringing, 0, len(ringing.payload.documents))
        if decision is None:
            decision = "yes" if click.confirm("Approve?", err=caller.as_json) else "deny"
        match decision:
            case "yes":
                permit(own, ringing.operation_id, from_stdin=pin_stdin)
                _finish(ringing, own.approve(ringing, ""), "approved", as_json=caller.as_json)
            case "deny":
                _finish(ringing, own.deny(ringing), "denied", as_json=caller.as_json)
            case _:
                _report(own, ringing, as_json=caller.as_json)


authenticator.add_command(sessions)
authenticator.add_command(sign_ins)
authenticator.add_command(nps)
authenticator.add_command(number.phone)
authenticator.add_command(portal)
authenticator.add_command(phones)
authenticator.add_command(questions)
authenticator.add_command(pin)


def _card(message: HolderCard) -> Row:
    return {
        "serial": message.serial,
        "state": message.state,
        "passcode_state": message.passcode_state,
        "expires": expiry(message.expire_time.ToDatetime(UTC), datetime.now(UTC), SOON),
        "days_left": message.days_left if message.HasField("days_left") else None,
    }


def _own(cards: Sequence[HolderCard], _sort: Sort, text: str) -> Answer:
    known = (Findable(each.serial, (each.serial,), (), "", state=each.state) for each in cards)
    return of_own(finding.find(text, known))


def _report(own: Phone, ringing: Ringing, *, as_json: bool) -> None:
    """Deny a request that somebody else made."""
    _finish(ringing, own.not_me(ringing), "denied", as_json=as_json)
    if not as_json:
        click.echo(reported(ringing))


def _finish(ringing: Ringing, state: str, wanted: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**facts(ringing), "state": state})
    else:
        click.echo(f"{state.capitalize()}.")
    if state != wanted and as_json:
        # The document has told it.
        click.get_current_context().exit(1)
    if state != wanted:
        raise Failure("the request was not approved: the number was wrong")
