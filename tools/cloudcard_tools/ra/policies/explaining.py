"""`cloudcard ra policy show`: which policy holds, and from where each of its terms is."""

from __future__ import annotations

from collections.abc import Mapping

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import finding_pb2
from cloudcard.registry.v1 import organisations_pb2 as pb
from cloudcard.registry.v1.finding_pb2_grpc import FindingServiceStub
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard_tools.ra.policies import values
from cloudcard_tools.ra.registry import operator_options
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.finding import Answer, Words, choose
from cloudcard_tools.shared.output import Row, Value

SUBJECTS = {Sort.ORGANISATION: "organisation_id", Sort.USER: "user_id", Sort.CARD: "serial"}
WORDS = Words("organisation, person or card", "organisations, people and cards", "")
COLUMNS = {"term": "Term", "value": "Value", "from": "From", "policy": "Policy"}
NOTHING_OWN = "Nothing is set there itself: --effective shows what holds."
# The values of each term.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "session": ("session_uses", "session_seconds"),
    "passkeys": ("passkeys", "synced_passkeys", "passkey_models"),
    "unlock_code_seconds": ("code_seconds",),
    "portal_passwords": (
        "portal_passwords",
        "security_answers",
        "portal_changes",
        "portal_factors",
    ),
}
ORIGINS = {"own": "own", "all": "all organisations", "default": "default"}
LOCKED = {"own": "own, locked below", "all": "locked for all organisations"}


@click.command("show")
@click.argument("what", required=False, default="")
@click.option("--effective", is_flag=True, help="Show every value that holds, inherited ones too.")
@click.option("--profile", default="", help="Of an organisation: for cards of this profile.")
@operator_options
def policy_show(what: str, effective: bool, profile: str, caller: Caller) -> None:
    """Show what the policy of WHAT sets: an organisation, a person or a card, by default the
    organisation for which you act.
    """
    request = _request(what, caller)
    if profile and request.WhichOneof("subject") not in (None, "organisation_id"):
        raise click.UsageError("--profile is for organisations: people and cards have their own")
    request.profile = profile
    with caller.service(OrganisationServiceStub) as stub:
        found = stub.ExplainPolicy(request)
        names = values.names(stub)
    rows = [
        row
        for each in found.sources
        if effective or each.origin == "own"
        for row in _rows(each, found, names)
    ]
    caller.print_rows(rows, COLUMNS, NOTHING_OWN)


def _request(what: str, caller: Caller) -> pb.ExplainPolicyRequest:
    """The call about what a text names. Raises Failure."""
    if not what:
        return pb.ExplainPolicyRequest()
    matches, more = list[finding_pb2.Match](), 0
    sorts: dict[str, Sort] = {}
    with caller.service(FindingServiceStub) as stub:
        for sort in SUBJECTS:
            asked = finding_pb2.FindRequest(sort=finding_pb2.Sort.ValueType(sort), text=what)
            found = stub.Find(asked)
            matches += found.matches
            more += found.more
            sorts |= {each.id: sort for each in found.matches}
    chosen = choose(WORDS, what, Answer(matches, more), by_hand=caller.by_hand)
    return pb.ExplainPolicyRequest(**{SUBJECTS[sorts[chosen]]: chosen})


def _rows(
    source: pb.TermSource, found: pb.ExplainPolicyResponse, names: Mapping[str, str]
) -> list[Row]:
    """The values of a term as they are printed, and from where they are."""
    shown = values.policy_row(found.policy, names)
    above = names.get(source.organisation_id, "above") if source.organisation_id else "above"
    origin: Value = ORIGINS.get(source.origin, f"inherited from {above}")
    if source.locked:
        origin = LOCKED.get(source.origin, f"locked by {above}")
    return [
        {
            "term": values.POLICY_LABELS[each],
            "name": each,
            "value": shown[each],
            "from": origin,
            "origin": source.origin,
            "locked": source.locked,
            "organisation": source.organisation_id or None,
            "policy": source.policy or None,
        }
        for each in SHOWN.get(source.term, (source.term,))
    ]
