"""What the interactive demo asks you, who are the cards' holder. Nothing that you type fails it."""

from __future__ import annotations

import click

from cloudcard_tools.demo.timeline import INDENT, wrapped

DENY, NOT_ME, SCAN = "d", "n", ""
WORDS = {"deny": DENY, "not me": NOT_ME}

WHO = (
    "You are Ada Byron, who holds two cards. Programs on the workstation WARD7-PC3 ask to use "
    "their keys, and you decide here, as if this terminal were your phone. The demo has given your "
    "passcode, 246813, to the programs. Whatever you decide, the demo goes on."
)
TYPE_IT = (
    "The workstation shows {number}. Type this number to approve: there is one guess, and any "
    "other number denies. d denies. n denies too and reports that it was not you who asked. Enter "
    "alone does nothing."
)
SCAN_IT = (
    "The workstation shows this code. Enter scans it with your phone and approves. d scans it and "
    "denies. n scans it, denies, and reports that it was not you who asked."
)
DENY_IT = (
    "This time the demo shows a refusal: d denies. If you type {number} instead, the number at the "
    "workstation, you approve. n denies too and reports that it was not you who asked."
)


def introduce() -> None:
    """Say who you are and what happens."""
    click.echo("\n" + wrapped(WHO))


def ask_number(number: str) -> str:
    """Two digits, DENY or NOT_ME."""
    return _ask(TYPE_IT.format(number=number), "The number, d or n")


def ask_to_deny(number: str) -> str:
    """Two digits, DENY or NOT_ME, in the step that shows a refusal."""
    return _ask(DENY_IT.format(number=number), "d to deny")


def ask_scan() -> str:
    """SCAN, DENY or NOT_ME."""
    return _ask(SCAN_IT, "Enter, d or n", numbers=False)


def _ask(text: str, question: str, *, numbers: bool = True) -> str:
    """What is typed, asked again until it means something."""
    click.echo(wrapped(text, INDENT))
    while True:
        typed = str(click.prompt(INDENT + question, default="", show_default=False)).strip().lower()
        typed = WORDS.get(typed, typed)
        is_number = len(typed) == 2 and typed.isascii() and typed.isdigit()
        if typed in (DENY, NOT_ME) or (is_number if numbers else typed == SCAN):
            return typed
        if typed:
            click.echo(f'{INDENT}"{typed}" means nothing here, and nothing has happened.')
