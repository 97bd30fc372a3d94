"""`cloudcard ra request`: what one operator asks for, and another one has to approve."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloud_keystore.model.rights.requests import HighRisk
from cloudcard.registry.v1 import requests_pb2 as pb
from cloudcard.registry.v1.requests_pb2_grpc import RequestServiceStub
from cloudcard_tools.ra.registry import find, operator_options, organisation_option, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.failures import NothingFound, SeveralFound
from cloudcard_tools.shared.output import Row

COLUMNS = {
    "id": "Request",
    "action": "What",
    "about": "About",
    "asked_by": "Asked by",
    "state": "State",
    "until": "Approve until",
}
LABELS = {
    **COLUMNS,
    "organisation": "Organisation",
    "terms": "Terms",
    "decided_by": "Decided by",
}
FOUR_EYES = {"organisation": "Organisation", "operations": "Operations"}
NOTHING = "Nothing waits for another operator."


@click.group(
    epilog="""\b
Examples:
  cloudcard ra request require --operation revoke-compromised --operation grant-role
  cloudcard ra request rules
  cloudcard ra request list
  cloudcard ra request show 01a228
  cloudcard ra request approve 01a228
  cloudcard ra request refuse 01a228

\b
REQUEST is an identifier or the beginning of one, or what the request is about.
"""
)
def request() -> None:
    """Operations of high risk, which another operator has to approve."""


@request.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that were decided too.")
@operator_options
def request_list(everything: bool, caller: Caller) -> None:
    """List what waits for another operator."""
    rows = [_row(each) for each in _requests(caller, decided=everything)]
    caller.print_rows(rows, COLUMNS, NOTHING, spare=("until", "state"))


@request.command("show")
@click.argument("request")
@operator_options
def request_show(request: str, caller: Caller) -> None:
    """Show REQUEST with all that it depends on."""
    caller.print_facts(_row(_named(caller, request, decided=True)), LABELS)


@request.command("approve")
@click.argument("request")
@yes_option
@operator_options
def request_approve(request: str, yes: bool, caller: Caller) -> None:
    """Approve REQUEST of another operator, and do it at once. You need the right for it, and so
    does still whoever has asked.
    """
    found = _named(caller, request)
    confirm(
        f"{found.asked_by_name} has asked to {found.action.replace('-', ' ')} {found.about} "
        f"({_terms(found)}). It is done at once.",
        yes=yes,
    )
    asked = pb.ApproveRequestRequest(request_id=found.id)
    with caller.service(RequestServiceStub) as stub:
        approved = stub.ApproveRequest(asked).request
    caller.print_facts(_row(approved), LABELS)


@request.command("refuse")
@click.argument("request")
@operator_options
def request_refuse(request: str, caller: Caller) -> None:
    """Refuse REQUEST, or take back one of your own."""
    asked = pb.RefuseRequestRequest(request_id=_named(caller, request).id)
    with caller.service(RequestServiceStub) as stub:
        refused = stub.RefuseRequest(asked).request
    caller.print_facts(_row(refused), LABELS)


@request.command("rules")
@operator_options
def request_rules(caller: Caller) -> None:
    """List the operations that another operator has to approve, by organisation."""
    with caller.service(RequestServiceStub) as stub:
        pages = listed(stub.ListFourEyes, pb.ListFourEyesRequest())
        found = [each for page in pages for each in page.four_eyes]
    rows = [_four_eyes(each) for each in found]
    caller.print_rows(rows, FOUR_EYES, "Each operator acts alone: cloudcard ra request require")


@request.command("require")
@click.option(
    "--operation",
    "operations",
    type=click.Choice([each.value for each in HighRisk]),
    multiple=True,
    help="An operation of high risk; repeat it for each. Without any, none is.",
)
@organisation_option
@operator_options
def request_require(operations: tuple[str, ...], organisation: str, caller: Caller) -> None:
    """Name all operations of an organisation, and of those below it, that another operator has to
    approve. To leave out one that was named, another operator has to approve that too.
    """
    asked = pb.SetFourEyesRequest(
        operations=operations, organisation_id=find(caller, Sort.ORGANISATION, organisation)
    )
    with caller.service(RequestServiceStub) as stub:
        named = stub.SetFourEyes(asked).four_eyes
    caller.print_facts(_four_eyes(named), FOUR_EYES)


def _requests(caller: Caller, *, decided: bool) -> list[pb.OperatorRequest]:
    with caller.service(RequestServiceStub) as stub:
        pages = listed(stub.ListRequests, pb.ListRequestsRequest(include_decided=decided))
        return [each for page in pages for each in page.requests]


def _named(caller: Caller, text: str, *, decided: bool = False) -> pb.OperatorRequest:
    """The request that is meant; raises NothingFound, SeveralFound."""
    found = [
        each
        for each in _requests(caller, decided=decided)
        if each.id.startswith(text.lower()) or each.about == text
    ]
    if not found:
        raise NothingFound(f"there is no open request {text}: cloudcard ra request list --all")
    if len(found) > 1:
        several = f"several requests are called {text}: name one by its identifier"
        raise SeveralFound(several, [_row(each) for each in found])
    return found[0]


def _terms(message: pb.OperatorRequest) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(message.terms.items()))


def _row(message: pb.OperatorRequest) -> Row:
    return {
        "id": message.id,
        "action": message.action,
        "about": message.about,
        "terms": _terms(message),
        "organisation": message.organisation_name,
        "asked_by": message.asked_by_name,
        "asked": when(message.create_time),
        "until": when(message.expire_time),
        "state": message.state,
        "decided_by": message.decided_by_name or None,
        "decided": when(message.decide_time) if message.HasField("decide_time") else None,
    }


def _four_eyes(message: pb.FourEyes) -> Row:
    return {
        "organisation": message.organisation_name,
        "organisation_id": message.organisation_id,
        "operations": " ".join(message.operations) or None,
    }
