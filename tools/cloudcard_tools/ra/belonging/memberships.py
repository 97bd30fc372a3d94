"""`cloudcard ra user join` and `leave`: people belong to several organisations."""

from __future__ import annotations

from collections.abc import Iterable

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.ra.registry import find, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.output import Row

MEMBERSHIP_COLUMNS = {"organisation": "Organisation", "own": "Own", "since": "Since"}


@click.command("join")
@click.argument("who")
@click.argument("organisation")
@operator_options
def user_join(who: str, organisation: str, caller: Caller) -> None:
    """Let WHO belong to one more ORGANISATION, whose operators then see and find the person. The
    person's own organisation still looks after the person, and its policies count.
    """
    user_id = find(caller, Sort.USER, who, in_use=True)
    place = find(caller, Sort.ORGANISATION, organisation)
    with caller.service(PeopleServiceStub) as stub:
        request = pb.JoinOrganisationRequest(user_id=user_id, organisation_id=place)
        found = stub.JoinOrganisation(request).memberships
    _print(found, caller)


@click.command("leave")
@click.argument("who")
@click.argument("organisation")
@operator_options
def user_leave(who: str, organisation: str, caller: Caller) -> None:
    """Let WHO no longer belong to ORGANISATION. Who leaves their own organisation gets the one that
    was joined first. Nobody leaves the last one: `ra user close` is for who leaves altogether.
    """
    user_id = find(caller, Sort.USER, who, in_use=True)
    place = find(caller, Sort.ORGANISATION, organisation)
    with caller.service(PeopleServiceStub) as stub:
        request = pb.LeaveOrganisationRequest(user_id=user_id, organisation_id=place)
        found = stub.LeaveOrganisation(request).memberships
    _print(found, caller)


def membership_rows(found: Iterable[pb.Membership]) -> list[Row]:
    """Organisations of a person as they are printed."""
    return [
        {
            "organisation": each.organisation_name,
            "organisation_id": each.organisation_id,
            "own": each.own,
            "since": when(each.since_time),
        }
        for each in found
    ]


def _print(found: Iterable[pb.Membership], caller: Caller) -> None:
    caller.print_rows(membership_rows(found), MEMBERSHIP_COLUMNS, "No organisation that you see.")
