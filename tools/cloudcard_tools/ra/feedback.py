"""`cloudcard ra feedback`: what staff and holders say of the service."""

from __future__ import annotations

import click

from cloudcard.registry.v1 import feedback_pb2 as pb
from cloudcard.registry.v1.feedback_pb2_grpc import FeedbackServiceStub
from cloudcard_tools.ra.registry import operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed

COLUMNS = {"said": "Said", "operator": "Operator", "text": "Text"}
LABELS = {
    "nps": "Net promoter score",
    "answers": "Answers",
    "promoters": "9 or 10",
    "passives": "7 or 8",
    "detractors": "0 to 6",
    "comments": "Comments",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra feedback add "The list of cards could be sorted by ward."
  cloudcard ra feedback list
  cloudcard ra feedback nps --days 90
"""
)
def feedback() -> None:
    """What staff and holders say of the service."""


@feedback.command("add")
@click.argument("text")
@operator_options
def feedback_add(text: str, caller: Caller) -> None:
    """Tell whoever looks after the service TEXT, at most 1000 characters. Name no holders in it."""
    with caller.service(FeedbackServiceStub) as stub:
        kept = stub.AddFeedback(pb.AddFeedbackRequest(text=text)).id
    caller.print_facts({"id": kept}, {"id": "Feedback"})


@feedback.command("list")
@operator_options
def feedback_list(caller: Caller) -> None:
    """List what staff have said, oldest first."""
    with caller.service(FeedbackServiceStub) as stub:
        pages = listed(stub.ListFeedback, pb.ListFeedbackRequest())
        found = [each for page in pages for each in page.feedback]
    rows = [
        {
            "id": each.id,
            "said": when(each.create_time),
            "operator": each.operator_display_name,
            "text": each.text,
        }
        for each in found
    ]
    caller.print_rows(rows, COLUMNS, "Nobody has said anything yet.")


@feedback.command("nps")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="How far to look back.",
)
@operator_options
def feedback_nps(days: int, caller: Caller) -> None:
    """Show how likely holders are to recommend the card. Nobody is asked unless a policy says so
    (policy set --survey-after). Answers are told of in whole months, ten at least.
    """
    with caller.service(FeedbackServiceStub) as stub:
        scores = stub.GetScores(pb.GetScoresRequest(days=days))
    facts = {
        "nps": scores.nps if scores.HasField("nps") else None,
        "answers": scores.answers,
        "promoters": scores.promoters,
        "passives": scores.passives,
        "detractors": scores.detractors,
        "comments": list(scores.comments),
    }
    caller.print_facts(facts, LABELS)
