"""`cloudcard reader status`, `sign-in` and `sign-out`: what a person tells the agent."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import click

from cloudcard_tools.reader.service import control, state
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row, json_option, print_facts, print_json
from reader_bridge.leaving import Slot
from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome, Prompt
from reader_bridge.prompts.terminal import TerminalPrompter

OF_SLOT = {"state": "Slot", "card": "Card", "reader": "Reader"}
LABELS = {
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
    if as_json:
        print_json(found)
        return
    slots, facts, labels = _slots(found), dict(found), dict[str, str]()
    for row in slots:
        number = f" {row['slot']}" if len(slots) > 1 else ""
        facts |= {name + number: row[name] for name in OF_SLOT}
        labels |= {name + number: label + number for name, label in OF_SLOT.items()}
    print_facts(facts, labels | LABELS, as_json=False)


@click.command("sign-in")
@click.option("--user", default="", help="Account name or e-mail address whose phone is rung.")
@json_option
def sign_in(user: str, as_json: bool) -> None:
    """Sign in: your card goes into the reader when you have scanned the code, or typed the number
    on your phone. If there is no slot without a card, the oldest one is taken out.
    """
    found = control.ask(_socket(), do="sign-in", user=user)
    if as_json:
        names = ("state", "number", "qr_text", "expires")
        print_json({name: str(found.get(name, "")) for name in names})
        return
    prompter = TerminalPrompter(sys.stdout)
    end = datetime.fromisoformat(str(found["expires"]))
    to_type, qr_text = str(found["number"]), str(found["qr_text"])
    prompt = Prompt("", "", to_type, qr_text, end, check_code="", use=texts.SIGN_IN)
    prompter.show(prompt, lambda: None)  # a terminal has no button
    number = int(str(found["slot"]))
    while found["state"] == Slot.ASKING:
        time.sleep(LOOK_SECONDS)
        found = _slots(control.ask(_socket(), do="status"))[number]
    if found["state"] != Slot.TAKEN:
        raise Failure("nobody has signed in")
    prompter.clear("", Outcome.APPROVED)
    click.echo(f"Card {found['card']} is in the reader.")


@click.command("sign-out")
@click.option("--card", default="", metavar="SERIAL", help="This one alone, if there are several.")
@json_option
def sign_out(card: str, as_json: bool) -> None:
    """Sign out: take the card out of the reader."""
    found = control.ask(_socket(), do="sign-out", card=card)
    if as_json:
        print_json({"state": str(found.get("state", ""))})
    else:
        click.echo("The reader is empty.")


def _slots(found: Row) -> list[Row]:
    """The rows of the agent's slots."""
    slots = found.get("slots")
    if not isinstance(slots, list) or not all(isinstance(each, dict) for each in slots):
        raise Failure("the agent that runs is of another version: start it again")
    return slots


def _socket() -> Path:
    return state.folder() / state.SOCKET_NAME
