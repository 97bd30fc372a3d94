"""`cloudcard ra directory map` and those beside it: which groups give operators which roles."""

from __future__ import annotations

from datetime import datetime

import click

from cloud_keystore.model.directories.groups import NamedBy
from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import directories_pb2 as pb
from cloudcard.registry.v1.directories_pb2_grpc import DirectoryServiceStub
from cloudcard_tools.ra.registry import (
    find,
    list_options,
    operator_options,
    organisation_option,
    when,
)
from cloudcard_tools.ra.rights.roles import day_or_time, to_grant
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.failures import NothingFound, SeveralFound
from cloudcard_tools.shared.output import Row

LABELS = {
    "id": "Mapping",
    "directory": "Directory",
    "group": "Group",
    "role": "Role",
    "organisation": "Organisation",
    "operators": "Operators",
    "until": "Until",
}
PERSONS = {
    "operator": "Operator",
    "person": "Person",
    "uuid12": "UUID",
    "organisation": "Organisation",
    "subject": "Subject",
    "until": "Until",
}


@click.command(
    "map",
    epilog="""\b
Example:
  cloudcard ra directory map "RA agents" ra-agent --directory "HR system"
""",
)
@click.argument("group")
@click.argument("role")
@click.option("--directory", "client", required=True, help="Name or identifier of its API client.")
@click.option(
    "--by",
    type=click.Choice([each.value for each in NamedBy]),
    default=NamedBy.DISPLAY_NAME.value,
    show_default=True,
    help="Which of the group's names GROUP is.",
)
@organisation_option
@click.option("--until", type=day_or_time, help="When its roles end (UTC); by default never.")
@operator_options
def directory_map(
    group: str,
    role: str,
    client: str,
    by: str,
    organisation: str,
    until: datetime | None,
    caller: Caller,
) -> None:
    """Let GROUP of a directory give ROLE, in an organisation and those below it, to its members who
    are operators (`cloudcard ra directory operator`): at once, and to who joins later. Who leaves
    the group loses it. Nobody lets a group give a role that they could not grant, or gets one by a
    mapping of their own.
    """
    place = find(caller, Sort.ORGANISATION, organisation)
    request = pb.MapGroupRequest(
        client_id=find(caller, Sort.CLIENT, client, in_use=True),
        named_by=by,
        group=group,
        role=to_grant(caller, role, place),
        organisation_id=place,
    )
    if until is not None:
        request.until_time.FromDatetime(until)
    with caller.service(DirectoryServiceStub) as stub:
        made = stub.MapGroup(request).mapping
    caller.print_facts(_row(made), LABELS)


@click.command("mappings")
@list_options(LABELS)
def directory_mappings(caller: Caller) -> None:
    """List which groups give which roles, and to how many operators they give them now."""
    rows = [_row(each) for each in _mappings(caller)]
    caller.print_rows(rows, LABELS, "No group gives a role.", spare=("until",))


@click.command("unmap")
@click.argument("group")
@click.argument("role", required=False)
@operator_options
def directory_unmap(group: str, role: str | None, caller: Caller) -> None:
    """Let GROUP give ROLE no more, and end what it has given. GROUP can also be the identifier of a
    mapping.
    """
    found = [
        each
        for each in _mappings(caller)
        if group in (each.group, each.id) and role in (None, each.role)
    ]
    if not found:
        raise NothingFound(f"{group} gives no such role: cloudcard ra directory mappings")
    if len(found) > 1:
        several = f"{group} gives several roles: name the role, or the mapping by its identifier"
        raise SeveralFound(several, [_row(each) for each in found])
    with caller.service(DirectoryServiceStub) as stub:
        removed = stub.UnmapGroup(pb.UnmapGroupRequest(mapping_id=found[0].id)).mapping
    caller.print_facts(_row(removed), LABELS)


@click.command(
    "operator",
    epilog="""\b
Examples:
  cloudcard ra directory operator "Olga Hopper" olga@example.org
  cloudcard ra directory operator "Olga Hopper" olga@example.org --subject 248289761001
  cloudcard ra directory operator "Olga Hopper" --nobody
""",
)
@click.argument("operator")
@click.argument("person", required=False)
@click.option(
    "--nobody", is_flag=True, help="Take it back, and end what groups have given, and visits."
)
@click.option(
    "--subject",
    default="",
    help="As whom the OpenID provider of the pages knows the operator (the claim sub), who logs in "
    "by it.",
)
@organisation_option
@operator_options
def directory_operator(
    operator: str,
    person: str | None,
    nobody: bool,
    subject: str,
    organisation: str,
    caller: Caller,
) -> None:
    """Say which PERSON another OPERATOR is, so that groups in which the person is give the operator
    roles: in an organisation where you have all rights, and below it.
    """
    if nobody is (person is not None):
        raise click.UsageError("give the person whom the operator is, or --nobody")
    if nobody and subject:
        raise click.UsageError("--subject goes with a person, not with --nobody")
    request = pb.SetOperatorPersonRequest(
        operator_id=find(caller, Sort.OPERATOR, operator, in_use=True),
        user_id=find(caller, Sort.USER, person or "", in_use=True),
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
        subject=subject,
    )
    with caller.service(DirectoryServiceStub) as stub:
        said = stub.SetOperatorPerson(request).operator_person
    caller.print_facts(_person(said), PERSONS)


@click.command("operators")
@list_options(PERSONS)
def directory_operators(caller: Caller) -> None:
    """List the operators of whom somebody has said which person they are."""
    with caller.service(DirectoryServiceStub) as stub:
        pages = listed(stub.ListOperatorPersons, pb.ListOperatorPersonsRequest())
        found = [_person(each) for page in pages for each in page.operator_persons]
    nobody = "Nobody has said it of any operator: cloudcard ra directory operator"
    caller.print_rows(found, PERSONS, nobody, spare=("until", "subject"))


def _mappings(caller: Caller) -> list[pb.GroupMapping]:
    with caller.service(DirectoryServiceStub) as stub:
        pages = listed(stub.ListGroupMappings, pb.ListGroupMappingsRequest())
        return [each for page in pages for each in page.mappings]


def _row(message: pb.GroupMapping) -> Row:
    return {
        "id": message.id,
        "directory": message.client_display_name,
        "group": message.group,
        "named_by": message.named_by,
        "role": message.role,
        "organisation": message.organisation_name,
        "organisation_id": message.organisation_id,
        "operators": message.operators,
        "until": when(message.until_time) if message.HasField("until_time") else None,
    }


def _person(message: pb.OperatorPerson) -> Row:
    return {
        "operator": message.operator_display_name,
        "operator_id": message.operator_id,
        "person": message.user_display_name,
        "person_id": message.user_id,
        "uuid12": message.uuid12,
        "organisation": message.organisation_name,
        "subject": message.subject or None,
        "until": when(message.until_time) if message.HasField("until_time") else None,
    }
