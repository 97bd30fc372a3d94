"""`cloudcard authenticator portal`: what the holder has for the portal. Passwords and answers are
typed without being shown.
"""

from __future__ import annotations

import sys

import click

from cloudcard.authenticator.v1 import holder_pb2 as pb
from cloudcard.authenticator.v1.holder_pb2_grpc import HolderServiceStub
from cloudcard_tools.authenticator.phone import ROLE
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.confirming import check_verified
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row, iso_time

LABELS = {
    "offered": "Offered",
    "password": "Password set",
    "email": "E-mail address",
    "email_verified": "Verified",
    "answers_needed": "Answers needed",
    "questions": "Security questions",
}
NEXT_EMAIL = {"next_email": "New address, not verified"}
VERIFIED = {"email": "E-mail address", "verified": "Verified"}
SENT = {"email": "Sent to", "good_until": "Good until"}
SET = {"password": "Password"}


@click.group(
    epilog="""\b
Examples:
  cloudcard authenticator portal show
  cloudcard authenticator portal address
  cloudcard authenticator portal address --code 12345678
  cloudcard authenticator portal password
  cloudcard authenticator portal questions "First pet?" "Street of my school?" "Oldest friend?"
"""
)
def portal() -> None:
    """Your password for the portal, and what another one is set with."""


@portal.command()
@caller_options(ROLE)
def show(caller: Caller) -> None:
    """See what you have for the portal. Nobody sees passwords and answers again."""
    with caller.service(HolderServiceStub) as stub:
        found = stub.GetPortalAccess(pb.GetPortalAccessRequest())
    facts: Row = {
        "offered": found.is_offered,
        "password": found.has_password,
        "email": found.email or None,
        "email_verified": found.is_email_verified,
        "next_email": found.next_email or None,
        "answers_needed": found.answers_needed,
        "questions": "; ".join(found.questions) or None,
    }
    caller.print_facts(facts, LABELS | (NEXT_EMAIL if found.next_email else {}))


@portal.command()
@click.option("--code", default="", metavar="CODE", help="What you have got by e-mail.")
@caller_options(ROLE)
def address(code: str, caller: Caller) -> None:
    """Let a code be mailed to the address that your registration authority has; then give it with
    --code, so that they know that you read what it gets. A new address is in force from then on.
    """
    with caller.service(HolderServiceStub) as stub:
        if code:
            request = pb.VerifyAddressRequest(code="".join(code.split()))
            answer = stub.VerifyAddress(request)
            check_verified(is_verified=answer.is_verified, tries_left=answer.tries_left)
            caller.print_facts({"email": answer.email, "verified": True}, VERIFIED)
            return
        sent = stub.SendAddressCode(pb.SendAddressCodeRequest())
    facts: Row = {"email": sent.email, "good_until": iso_time(sent.expire_time.ToDatetime())}
    caller.print_facts(facts, SENT)


@portal.command()
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@caller_options(ROLE)
def password(password_stdin: bool, caller: Caller) -> None:
    """Set your password for the portal, the first one or another one: 12 to 128 characters."""
    chosen = secrets_typed(["New password"], from_stdin=password_stdin, again=True)
    with caller.service(HolderServiceStub) as stub:
        answer = stub.SetPortalPassword(pb.SetPortalPasswordRequest(password=chosen[0]))
    if not answer.is_set:
        raise Failure(f"a password must be {answer.policy_violation}: nothing was changed")
    caller.print_facts({"password": "set"}, SET)


@portal.command()
@click.argument("questions", nargs=-1, required=True)
@click.option(
    "--answers-stdin", is_flag=True, help="Read the answers from standard input, each in a line."
)
@caller_options(ROLE)
def questions(questions: tuple[str, ...], answers_stdin: bool, caller: Caller) -> None:
    """Choose 3 to 5 QUESTIONS of your own, and answer them. Only letters and digits of answers
    count.
    """
    answers = secrets_typed(questions, from_stdin=answers_stdin)
    chosen = [
        pb.SecurityQuestion(question=question, answer=answer)
        for question, answer in zip(questions, answers, strict=True)
    ]
    with caller.service(HolderServiceStub) as stub:
        stub.SetSecurityQuestions(pb.SetSecurityQuestionsRequest(questions=chosen))
    caller.print_facts({"questions": len(chosen)}, {"questions": "Security questions"})


def secrets_typed(
    prompts: tuple[str, ...] | list[str], *, from_stdin: bool, again: bool = False
) -> list[str]:
    """What is typed for each prompt, which nobody sees. Raises click.UsageError without a
    terminal.
    """
    if from_stdin:
        return [sys.stdin.readline().rstrip("\r\n") for _ in prompts]
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is here to type: give it by standard input")
    return [
        click.prompt(each, hide_input=True, confirmation_prompt=again, err=True) for each in prompts
    ]
