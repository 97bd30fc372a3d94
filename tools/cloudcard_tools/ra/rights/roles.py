"""`cloudcard ra role`: who may do what, in which organisation and for how long."""

from __future__ import annotations

from datetime import datetime

import click

from cloud_keystore.model.finding import Sort
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloudcard.registry.v1 import organisations_pb2
from cloudcard.registry.v1 import roles_pb2 as pb
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard.registry.v1.roles_pb2_grpc import RoleServiceStub
from cloudcard_tools.ra.registry import (
    find,
    list_options,
    operator_options,
    organisation_option,
    when,
)
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import irreversible
from cloudcard_tools.shared.failures import NothingFound, SeveralFound
from cloudcard_tools.shared.output import Row

ROLE_COLUMNS = {"role": "Role", "rights": "Rights", "organisation": "Defined by"}
LABELS = {
    "who": "Who",
    "role": "Role",
    "organisation": "Organisation",
    "state": "State",
    "from": "From",
    "until": "Until",
}

right_option = click.option(
    "--right",
    "rights",
    type=click.Choice([each.value for each in Right]),
    multiple=True,
    help="A right of the role; repeat it for each.",
)
day_or_time = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
client_option = click.option("--client", is_flag=True, help="WHO is an API client.")


@click.group(
    epilog="""\b
Examples:
  cloudcard ra role list
  cloudcard ra role create ward-clerk --right view --right unlock --organisation "St Elsewhere"
  cloudcard ra role edit ward-clerk --right view --right unlock --right suspend
  cloudcard ra role delete ward-clerk
  cloudcard ra role show "Olga Hopper"
  cloudcard ra role grant "Olga Hopper" ra-agent --organisation "St Elsewhere" --until 2027-06-30
  cloudcard ra role withdraw "Olga Hopper" ra-agent

\b
WHO is the name of an operator, an auditor or an API client, an identifier, or the beginning of one.
"""
)
def role() -> None:
    """Roles: who may do what, where and for how long."""


@role.command("list")
@list_options(ROLE_COLUMNS)
def role_list(caller: Caller) -> None:
    """List the roles that there are, with their rights: the built-in ones, and those that
    organisations have defined.
    """
    rows = [_role(each) for each in _roles(caller)]
    caller.print_rows(rows, ROLE_COLUMNS, "No roles.", spare=("organisation",))


@role.command("create")
@click.argument("name")
@organisation_option
@right_option
@operator_options
def role_create(name: str, organisation: str, rights: tuple[str, ...], caller: Caller) -> None:
    """Define a role called NAME, which operators of an organisation and of those below it can have.
    Nobody defines a role with a right that they do not have.
    """
    request = pb.CreateRoleRequest(
        name=name,
        rights=rights,
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(RoleServiceStub) as stub:
        made = stub.CreateRole(request).role
    caller.print_facts(_role(made), ROLE_COLUMNS)


@role.command("edit")
@click.argument("role")
@organisation_option
@click.option("--name", help="Another name.")
@right_option
@operator_options
def role_edit(
    role: str, organisation: str, name: str | None, rights: tuple[str, ...], caller: Caller
) -> None:
    """Give ROLE another name, or all the rights that it has from now on. That holds at once for
    everybody who has the role. Nobody adds a right that they do not have, renames a role with one,
    or changes a role of their own.
    """
    if name is None and not rights:
        raise click.UsageError("say what changes: --name, or --right for each right")
    request = pb.UpdateRoleRequest(
        role_id=_defined(caller, role, organisation), name=name, rights=rights
    )
    with caller.service(RoleServiceStub) as stub:
        changed = stub.UpdateRole(request).role
    caller.print_facts(_role(changed), ROLE_COLUMNS)


@role.command("delete")
@click.argument("role")
@irreversible("The role {role} is deleted for ever.")
@organisation_option
@operator_options
def role_delete(role: str, organisation: str, caller: Caller) -> None:
    """Delete ROLE, which nobody has any more. Built-in roles stay."""
    request = pb.DeleteRoleRequest(role_id=_defined(caller, role, organisation))
    with caller.service(RoleServiceStub) as stub:
        deleted = stub.DeleteRole(request).role
    caller.print_facts(_role(deleted), ROLE_COLUMNS)


@role.command("show")
@click.argument("who", required=False)
@click.option("--auditor", is_flag=True, help="WHO is an auditor.")
@client_option
@list_options(LABELS)
def role_show(who: str | None, auditor: bool, client: bool, caller: Caller) -> None:
    """Show the roles of WHO, or of everybody: those of now, of before, and of later."""
    identity_id = _named(caller, who or "", auditor=auditor, client=client)
    found = [each for each in _assignments(caller) if identity_id in ("", each.identity_id)]
    caller.print_rows(
        [_row(each) for each in found], LABELS, "No roles: cloudcard ra role grant WHO ROLE"
    )


@role.command("grant")
@click.argument("who")
@click.argument("role")
@organisation_option
@click.option("--from", "since", type=day_or_time, help="When it begins (UTC); by default now.")
@click.option("--until", type=day_or_time, help="When it ends (UTC); by default never.")
@client_option
@operator_options
def role_grant(
    who: str,
    role: str,
    organisation: str,
    since: datetime | None,
    until: datetime | None,
    client: bool,
    caller: Caller,
) -> None:
    """Grant ROLE to WHO, in an organisation and those below it. Repeated, it grants nothing more.
    Nobody grants a role to themselves, or one with a right that they do not have, or for longer
    than they have it.
    """
    place = find(caller, Sort.ORGANISATION, organisation)
    request = pb.GrantRoleRequest(
        identity_id=_named(caller, who, auditor=role == BuiltIn.AUDITOR, client=client),
        role=to_grant(caller, role, place),
        organisation_id=place,
    )
    if since is not None:
        request.from_time.FromDatetime(since)
    if until is not None:
        request.until_time.FromDatetime(until)
    with caller.service(RoleServiceStub) as stub:
        granted = stub.GrantRole(request).assignment
    caller.print_facts(_row(granted), LABELS)


@role.command("withdraw")
@click.argument("who")
@click.argument("role")
@organisation_option
@client_option
@operator_options
def role_withdraw(who: str, role: str, organisation: str, client: bool, caller: Caller) -> None:
    """End ROLE of WHO now. The last RA manager of the whole keeps that role."""
    identity_id = _named(caller, who, auditor=role == BuiltIn.AUDITOR, client=client)
    place = find(caller, Sort.ORGANISATION, organisation)
    found = [
        each
        for each in _assignments(caller)
        if (each.identity_id, each.role) == (identity_id, role)
        and place in ("", each.organisation_id)
        and each.state != "ended"
    ]
    if not found:
        raise NothingFound(f"{who} does not have the role {role}: cloudcard ra role show")
    if len(found) > 1:
        several = f"{who} has the role {role} more than once: name the organisation"
        raise SeveralFound(several, [_row(each) for each in found])
    request = pb.WithdrawRoleRequest(assignment_id=found[0].id)
    with caller.service(RoleServiceStub) as stub:
        ended = stub.WithdrawRole(request).assignment
    caller.print_facts(_row(ended), LABELS)


def to_grant(caller: Caller, role: str, place: str) -> str:
    """The identifier of ROLE, which is granted in an organisation, and whose rights are told first:
    its name can have been another role's before.
    """
    if role in RIGHTS:
        return role
    found = [each for each in _roles(caller) if role in (each.name, each.id)]
    if len(found) > 1:
        above = set(upwards(place or ROOT, _parents(caller)))
        found = [each for each in found if each.organisation_id in above]
    if len(found) != 1:
        return role  # for the keystore to refuse, or to find where the caller acts
    click.echo(f"{found[0].name} gives the rights {' '.join(found[0].rights)}", err=True)
    return found[0].id


def _parents(caller: Caller) -> dict[str, str]:
    with caller.service(OrganisationServiceStub) as stub:
        pages = listed(stub.ListOrganisations, organisations_pb2.ListOrganisationsRequest())
        found = [each for page in pages for each in page.organisations]
    return {each.id: each.parent_id for each in found if each.parent_id}


def _named(caller: Caller, who: str, *, auditor: bool, client: bool) -> str:
    sort = Sort.CLIENT if client else Sort.AUDITOR if auditor else Sort.OPERATOR
    return find(caller, sort, who, in_use=True)


def _defined(caller: Caller, role: str, organisation: str) -> str:
    """The identifier of a role of a name. A built-in one is for the keystore to refuse."""
    place = find(caller, Sort.ORGANISATION, organisation)
    found = [
        each
        for each in _roles(caller)
        if role in (each.name, each.id) and (each.built_in or place in ("", each.organisation_id))
    ]
    if not found:
        raise NothingFound(f"there is no role {role}: cloudcard ra role list")
    if len(found) > 1:
        several = f"several organisations have a role {role}: name the organisation"
        raise SeveralFound(several, [_role(each) for each in found])
    return found[0].id


def _roles(caller: Caller) -> list[pb.NamedRole]:
    with caller.service(RoleServiceStub) as stub:
        pages = listed(stub.ListRoles, pb.ListRolesRequest())
        return [each for page in pages for each in page.roles]


def _role(message: pb.NamedRole) -> Row:
    return {
        "id": message.id,
        "role": message.name,
        "rights": " ".join(message.rights),
        "organisation": message.organisation_name or None,
        "organisation_id": message.organisation_id or None,
        "built_in": message.built_in,
    }


def _assignments(caller: Caller) -> list[pb.Assignment]:
    with caller.service(RoleServiceStub) as stub:
        pages = listed(stub.ListAssignments, pb.ListAssignmentsRequest())
        return [each for page in pages for each in page.assignments]


def _row(message: pb.Assignment) -> Row:
    return {
        "id": message.id,
        "who": message.display_name,
        "identity": message.identity_id,
        "identity_state": message.identity_state,
        "role": message.role,
        "organisation": message.organisation_name,
        "organisation_id": message.organisation_id,
        "state": message.state,
        "from": when(message.from_time),
        "until": when(message.until_time) if message.HasField("until_time") else None,
        "granted_by": message.granted_by,
    }
