"""The PIN that a phone asks for before a yes, if its holder wants that: how it is given, and
`cloudcard authenticator pin`, by which it is chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from cloudcard.authenticator.v1 import pins_pb2 as pb
from cloudcard.authenticator.v1.pins_pb2_grpc import AppPinServiceStub
from cloudcard_tools.authenticator.phone import ROLE, Phone
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.failures import Failure

LOCKED = "it is locked: ask your registration authority for a code, and give it with --code"
SET = {"pin": "PIN of this phone", "tries_left": "Tries left"}
PROMPTS = {"change": "PIN in force", "code": "Code"}

pin_stdin_option = click.option(
    "--pin-stdin", is_flag=True, help="Read the PIN of this phone from standard input."
)


def permit(own: Phone, request_id: str, *, from_stdin: bool) -> None:
    """Give this phone's PIN for a yes to something, if it asks for one. Raises click.UsageError
    without a terminal, and Failure if it is wrong.
    """
    if not own.asks_for_pin():
        return
    if not from_stdin and not sys.stdin.isatty():
        raise click.UsageError("this phone asks for its PIN: give it with --pin-stdin")
    own.check_pin(_secret("PIN of this phone", from_stdin=from_stdin), request_id)


@click.command(
    epilog="""\b
Examples:
  cloudcard authenticator pin
  cloudcard authenticator pin --choose
  cloudcard authenticator pin --change
  cloudcard authenticator pin --code
"""
)
@click.option("--choose", "act", flag_value="choose", help="Choose the first one.")
@click.option("--change", "act", flag_value="change", help="Choose another one.")
@click.option(
    "--code",
    "act",
    flag_value="code",
    help="Choose another one, if it is forgotten or locked. You give the code that your "
    "registration authority reads out.",
)
@click.option(
    "--pin-stdin",
    is_flag=True,
    help="Read from standard input: the PIN in force or the code, if it is asked for, in a line, "
    "and the new PIN in the next one.",
)
@caller_options(ROLE)
def pin(act: str | None, pin_stdin: bool, caller: Caller) -> None:
    """Let this phone ask for a PIN of its own before it says yes to anything, and see whether it
    does. Whoever finds it open then approves nothing with it.
    """
    if act is None:
        with caller.service(AppPinServiceStub) as stub:
            found = stub.GetAppPin(pb.GetAppPinRequest())
        tries = found.tries_left if found.is_set else None
        caller.print_facts({"pin": "set" if found.is_set else "not set", "tries_left": tries}, SET)
        return
    given = _secret(PROMPTS[act], from_stdin=pin_stdin) if act in PROMPTS else ""
    new = _secret("New PIN, 6 to 8 digits", from_stdin=pin_stdin, again=True)
    with caller.service(AppPinServiceStub) as stub:
        result = _CALLS[act](stub, given.encode(), new.encode())
    match result.WhichOneof("outcome"):
        case "policy_violation":
            raise Failure(f"a PIN must be {result.policy_violation}: nothing was changed")
        case "tries_left" if result.tries_left:
            raise Failure(f"that was wrong: tries left: {result.tries_left}")
        case "tries_left":
            raise Failure(f"that was wrong, and {LOCKED}")
    caller.print_facts({"pin": "set"}, {"pin": SET["pin"]})


def _choose(stub: AppPinServiceStub, _given: bytes, new: bytes) -> pb.TriedAppPin:
    return stub.ChooseAppPin(pb.ChooseAppPinRequest(pin=new)).result


def _change(stub: AppPinServiceStub, given: bytes, new: bytes) -> pb.TriedAppPin:
    return stub.ChangeAppPin(pb.ChangeAppPinRequest(old_pin=given, new_pin=new)).result


def _reset(stub: AppPinServiceStub, given: bytes, new: bytes) -> pb.TriedAppPin:
    return stub.ResetAppPin(pb.ResetAppPinRequest(code=given, new_pin=new)).result


_CALLS: dict[str, Callable[[AppPinServiceStub, bytes, bytes], pb.TriedAppPin]] = {
    "choose": _choose,
    "change": _change,
    "code": _reset,
}


def _secret(prompt: str, *, from_stdin: bool, again: bool = False) -> str:
    """What is typed, which nobody sees. Raises click.UsageError without a terminal."""
    if from_stdin:
        typed = sys.stdin.readline()
    elif sys.stdin.isatty():
        typed = click.prompt(prompt, hide_input=True, confirmation_prompt=again, err=True)
    else:
        raise click.UsageError("nobody is here to type: give it with --pin-stdin")
    return "".join(typed.split())
