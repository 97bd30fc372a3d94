"""`cloudcard authenticator nps`: whether the holder recommends the card."""

from __future__ import annotations

import click

from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard_tools.authenticator.phone import ROLE
from cloudcard_tools.shared.caller import Caller, caller_options

LABELS = {"is_due": "Asked", "card": "Card", "authentications": "Used at least"}
QUESTION = (
    "How likely are you to recommend the card to a colleague? Answer 0 (not at all) to 10 "
    "(extremely): cloudcard authenticator nps 9"
)


@click.command(
    epilog="""\b
Examples:
  cloudcard authenticator nps
  cloudcard authenticator nps 9 --comment "no card to forget at home"
  cloudcard authenticator nps --not-now
"""
)
@click.argument("score", type=click.IntRange(0, 10), required=False)
@click.option("--comment", default="", help="Why; at most 1000 characters.")
@click.option("--not-now", is_flag=True, help="Do not answer, and do not be asked for a while.")
@caller_options(ROLE)
def nps(score: int | None, comment: str, not_now: bool, caller: Caller) -> None:
    """Say how likely you are to recommend the card, 0 to 10, if you are asked. Without SCORE, see
    whether you are. Nothing depends on it.
    """
    if not_now and score is not None:
        raise click.UsageError("give a score, or --not-now")
    if comment and score is None:
        raise click.UsageError("--comment goes with a score")
    with caller.service(AuthenticatorServiceStub) as stub:
        if not_now or score is not None:
            stub.AnswerSurvey(pb.AnswerSurveyRequest(score=score, comment=comment))
            caller.print_facts({"answered": score is not None}, {"answered": "Answered"})
            return
        survey = stub.GetSurvey(pb.GetSurveyRequest())
    facts = {
        "is_due": survey.is_due,
        "card": survey.card_serial or None,
        "authentications": survey.authentications or None,
    }
    caller.print_facts(facts, LABELS)
    if survey.is_due and not caller.as_json:
        click.echo(QUESTION, err=True)
