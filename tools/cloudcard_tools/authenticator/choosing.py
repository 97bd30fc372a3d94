"""The holder chooses a passcode: the first one, or another one with that in force, the PUK or an
unlock code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

import click

from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared.confirming import checked_passcode, new_passcode
from cloudcard_tools.shared.failures import Failure

Answer: TypeAlias = pb.NewPasscodeResult | pb.UseUnlockCodeResponse
Replace: TypeAlias = Callable[[Phone, str, str, str], Answer]


class Given(Enum):
    """What a holder gives for another passcode."""

    PASSCODE = "passcode"
    PUK = "PUK"
    CODE = "unlock code"


CALLS: Mapping[Given, Replace] = MappingProxyType(
    {
        Given.PASSCODE: Phone.change_passcode,
        Given.PUK: Phone.reset_passcode,
        Given.CODE: Phone.use_code,
    }
)
PROMPTS: Mapping[Given, str] = MappingProxyType(
    {Given.PASSCODE: "Passcode in force", Given.PUK: "PUK", Given.CODE: "Unlock code"}
)
LOCKED: Mapping[Given, str] = MappingProxyType(
    {
        Given.PASSCODE: "choose another one with the PUK (--puk), or ask your registration "
        "authority to unlock the card",
        Given.PUK: "ask your registration authority to unlock the card",
        Given.CODE: "ask your registration authority for another one",
    }
)


def typed(given: Given | None, *, from_stdin: bool) -> tuple[str, str]:
    """What is given, empty for a first passcode, and the new passcode. Raises click.UsageError
    without a terminal, and Failure for a new one from standard input that no card takes.
    """
    secret = ""
    if given is not None and from_stdin:
        secret = _line()
    elif given is not None and sys.stdin.isatty():
        secret = click.prompt(PROMPTS[given], hide_input=True, err=True)
    new = checked_passcode(_line()) if from_stdin else new_passcode()
    return "".join(secret.split()), new


def replace(own: Phone, serial: str, given: Given, secret: str, new: str) -> str:
    """Give a card another passcode. Returns the PUK, if that is another one too. Raises Failure if
    what was given is wrong.
    """
    answer = CALLS[given](own, serial, secret, new)
    puk = ""
    if isinstance(answer, pb.UseUnlockCodeResponse):
        puk, answer = answer.puk, answer.result
    match answer.WhichOneof("outcome"):
        case "tries_left" if answer.tries_left:
            raise Failure(f"the {given.value} is wrong: {_tries(answer.tries_left)} left")
        case "tries_left":
            raise Failure(f"the {given.value} is locked: {LOCKED[given]}")
        case "policy_violation":
            raise Failure(f"a passcode must be {answer.policy_violation}: nothing was changed")
    return puk


def _line() -> str:
    return sys.stdin.readline().strip()


def _tries(number: int) -> str:
    return "1 try is" if number == 1 else f"{number} tries are"
