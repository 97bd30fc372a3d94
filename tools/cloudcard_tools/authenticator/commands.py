"""The sub-commands of `cloudcard authenticator`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from cloudcard_tools.authenticator.approving import Choice, register
from cloudcard_tools.authenticator.phone import Phone, Ringing
from cloudcard_tools.authenticator.scanning import read_code
from cloudcard_tools.authenticator.screen import LABELS, REPORTED, facts
from cloudcard_tools.authenticator.sessions import sessions
from cloudcard_tools.authenticator.watching import Watch
from cloudcard_tools.shared import enrolling, identity
from cloudcard_tools.shared.failures import Failure, failures
from cloudcard_tools.shared.output import json_option, print_facts, print_json, print_rows

ROLE = "authenticator"
CARD_COLUMNS = {"serial": "Card", "state": "State", "passcode_state": "Passcode"}

identity_option = enrolling.identity_option(ROLE)


@contextmanager
def phone(folder: Path) -> Iterator[Phone]:
    """The phone under its identity; failed calls become Failures."""
    own = identity.load(folder)
    with failures(), identity.channel(own) as channel:
        yield Phone(own, channel)


@click.group(
    epilog="""\b
Examples:
  cloudcard authenticator enrol TOKEN --name "Ada's phone"
  cloudcard authenticator enrol TOKEN --approval-key passkey
  cloudcard authenticator passcode 1001234567890123
  cloudcard authenticator watch
  cloudcard authenticator scan screenshot.png
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
    help="Key to approve by: the same as for TLS, one of its own, or a passkey.",
)
@identity_option
def enrol(
    token: str | None, token_file: Path | None, name: str, approval_key: str, folder: Path
) -> None:
    """Make this the phone of a person, by the one-time TOKEN that the RA gave."""
    enrolling.enrol(token, token_file, folder, ROLE, name, partial(register, Choice(approval_key)))


@authenticator.command()
@identity_option
@json_option
def cards(folder: Path, as_json: bool) -> None:
    """List your cards."""
    with phone(folder) as own:
        found = own.cards()
    rows = [
        {"serial": each.serial, "state": each.state, "passcode_state": each.passcode_state}
        for each in found
    ]
    print_rows(
        rows, CARD_COLUMNS, "No cards yet: ask your registration authority.", as_json=as_json
    )


@authenticator.command()
@click.argument("serial")
@click.option("--passcode-stdin", is_flag=True, help="Read the passcode from standard input.")
@identity_option
@json_option
def passcode(serial: str, passcode_stdin: bool, folder: Path, as_json: bool) -> None:
    """Choose the first passcode of the card SERIAL; prints the PUK that unblocks it, once."""
    if passcode_stdin:
        chosen = sys.stdin.readline().strip()
    else:
        chosen = click.prompt(
            "New passcode, 6 to 8 digits", hide_input=True, confirmation_prompt=True
        )
    with phone(folder) as own:
        puk = own.set_passcode(serial, chosen)
    if as_json:
        print_json({"serial": serial, "puk": puk})
    else:
        click.echo(f"Passcode set. PUK, keep it safe: {puk}")


@authenticator.command()
@identity_option
@json_option
def watch(folder: Path, as_json: bool) -> None:
    """Ring for each request, and ask for the number shown at the workstation."""
    own = identity.load(folder)
    with identity.channel(own) as channel:
        Watch(Phone(own, channel), as_json).run(sys.stdin)


@authenticator.command()
@click.argument("operation")
@click.option("--number", required=True, help="The two digits shown at the workstation.")
@identity_option
@json_option
def approve(operation: str, number: str, folder: Path, as_json: bool) -> None:
    """Approve the request OPERATION. There is one guess at the number."""
    if not (len(number) == 2 and number.isascii() and number.isdigit()):
        raise click.BadParameter("the number has two digits", param_hint="--number")
    with phone(folder) as own:
        ringing = own.find(operation)
        _finish(ringing, own.approve(ringing, number), "approved", as_json=as_json)


@authenticator.command()
@click.argument("operation")
@identity_option
@json_option
def deny(operation: str, folder: Path, as_json: bool) -> None:
    """Deny the request OPERATION."""
    with phone(folder) as own:
        ringing = own.find(operation)
        _finish(ringing, own.deny(ringing), "denied", as_json=as_json)


@authenticator.command("not-me")
@click.argument("operation")
@identity_option
@json_option
def not_me(operation: str, folder: Path, as_json: bool) -> None:
    """Deny the request OPERATION, which somebody else made: suspends the card, tells the RA."""
    with phone(folder) as own:
        ringing = own.find(operation)
        _finish(ringing, own.not_me(ringing), "denied", as_json=as_json)
    if not as_json:
        click.echo(REPORTED)


@authenticator.command()
@click.argument("source")
@click.option("--yes", is_flag=True, help="Approve without asking.")
@identity_option
@json_option
def scan(source: str, yes: bool, folder: Path, as_json: bool) -> None:
    """Scan a QR code and decide its request: SOURCE is its text or a picture of it."""
    text = read_code(source)
    with phone(folder) as own:
        ringing = own.claim(text)
        if not as_json:
            print_facts(facts(ringing), LABELS, as_json=False)
        agreed = yes or click.confirm("Approve?", err=as_json)
        state = own.approve(ringing, "") if agreed else own.deny(ringing)
        _finish(ringing, state, "approved" if agreed else "denied", as_json=as_json)


authenticator.add_command(sessions)


def _finish(ringing: Ringing, state: str, wanted: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**facts(ringing), "state": state})
    else:
        click.echo(f"{state.capitalize()}.")
    if state != wanted:
        raise Failure("the request was not approved: the number was wrong")
