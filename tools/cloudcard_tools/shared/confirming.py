"""Questions to the person at the terminal: about what cannot be undone, and for passcodes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import wraps
from typing import TypeAlias

import click

from card_os.piv.names import KeyRef
from cloud_keystore.model.passcodes import PASSCODE_RULE, violated_rule
from cloudcard_tools.shared.failures import Failure

Command: TypeAlias = Callable[..., None]


dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would change, and change nothing."
)
yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


def irreversible(consequence: str) -> Callable[[Command], Command]:
    """Add --yes to a command, and ask before it runs without it. `consequence` is a sentence that
    can name the command's arguments in braces.

    Without a terminal the command is refused, because nobody could answer.
    """

    def asking(command: Command) -> Command:
        @yes_option
        @wraps(command)
        def with_question(*, yes: bool, **others: object) -> None:
            confirm(consequence.format_map(others), yes=yes)
            command(**others)

        return with_question

    return asking


def confirm(consequence: str, *, yes: bool = False) -> None:
    """Ask whether to go on, unless told so. Raises click.UsageError without a terminal, Failure
    after a no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{consequence} Nobody is here to confirm it: say --yes to do it without asking"
        )
    click.echo(click.wrap_text(consequence, shutil.get_terminal_size().columns), err=True)
    if not click.confirm("Go on?", err=True):
        raise Failure("nothing was changed")


def new_passcode() -> str:
    """A new passcode, typed twice. One that no card takes is told, and asked for again."""
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is here to type a passcode: use --passcode-stdin")
    while True:
        chosen: str = click.prompt(f"New passcode, {PASSCODE_RULE}", hide_input=True, err=True)
        if rule := violated_rule(KeyRef.PIN, chosen.encode()):
            click.echo(f"A passcode must be {rule}: choose another one.", err=True)
        elif chosen != click.prompt("The same again", hide_input=True, err=True):
            click.echo("The two differ: type it twice again.", err=True)
        else:
            return chosen


def checked_passcode(chosen: str) -> str:
    """A passcode that a program gives. Raises Failure if no card takes it."""
    if rule := violated_rule(KeyRef.PIN, chosen.encode()):
        raise Failure(f"a passcode must be {rule}: nothing was changed")
    return chosen


def check_verified(*, is_verified: bool, tries_left: int) -> None:
    """Raise Failure unless a code that was given is right."""
    if not is_verified:
        left = f"tries left: {tries_left}" if tries_left else "let another one be sent"
        raise Failure(f"the code is wrong: {left}")
