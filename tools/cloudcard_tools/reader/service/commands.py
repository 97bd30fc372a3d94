"""`cloudcard reader status`, `sign-in` and `sign-out`: what a person tells the agent."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import click

from cloudcard_tools.reader.service import control, state
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option, print_facts, print_json
from reader_bridge.leaving import Slot
from reader_bridge.prompter import Outcome, Prompt, TerminalPrompter

LABELS = {
    "state": "Slot",
    "card": "Card",
    "reader": "Reader",
    "keystore": "Keystore",
    "workstation": "Workstation",
    "identity_expires": "Identity until",
    "said": "Last",
}
LOOK_SECONDS = 0.25


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show what the agent of this user does."""
    found = control.ask(_socket(), do="status")
    row = {name: value for name, value in found.items() if isinstance(value, str | int)}
    if as_json:
        print_json(row)
    else:
        print_facts({name: row.get(name, "") for name in LABELS}, LABELS, as_json=False)


@click.command("sign-in")
@click.option("--user", default="", help="Account name or e-mail address whose phone is rung.")
@json_option
def sign_in(user: str, as_json: bool) -> None:
    """Sign in: your card goes into the reader when you have scanned the code, or typed the number
    on your phone. A card that is in the reader is taken out.
    """
    found = control.ask(_socket(), do="sign-in", user=user)
    if as_json:
        names = ("state", "number", "qr_text", "expires")
        print_json({name: str(found.get(name, "")) for name in names})
        return
    prompter = TerminalPrompter(sys.stdout)
    end = datetime.fromisoformat(str(found["expires"]))
    prompter.show(Prompt("", "", str(found["number"]), str(found["qr_text"]), end, check_code=""))
    while found["state"] == Slot.ASKING:
        time.sleep(LOOK_SECONDS)
        found = control.ask(_socket(), do="status")
    if found["state"] != Slot.TAKEN:
        raise Failure("nobody has signed in")
    prompter.clear("", Outcome.APPROVED)
    click.echo(f"Card {found['card']} is in the reader.")


@click.command("sign-out")
@json_option
def sign_out(as_json: bool) -> None:
    """Sign out: take the card out of the reader."""
    found = control.ask(_socket(), do="sign-out")
    if as_json:
        print_json({"state": str(found.get("state", ""))})
    else:
        click.echo("The reader is empty.")


def _socket() -> Path:
    return state.folder() / state.SOCKET_NAME
