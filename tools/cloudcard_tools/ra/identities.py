"""`cloudcard ra workstation`, `operator` and `auditor`: adding, listing and removing identities."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloud_keystore.model.rights.roles import BuiltIn
from cloudcard.registry.v1 import identities_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.workstation.v1.workstation_pb2 import Problem
from cloudcard_tools.ra.devices import (
    SOFTWARE_LABELS,
    SOFTWARE_SPARE,
    is_older,
    older_option,
    software_row,
)
from cloudcard_tools.ra.registry import (
    find,
    identity_expiry,
    list_options,
    operator_options,
    organisation_option,
    token_facts,
    when,
)
from cloudcard_tools.ra.rights.roles import to_grant
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.finding import both
from cloudcard_tools.shared.output import Row

WORKSTATION_FACTS = {
    "id": "Workstation",
    "name": "Name",
    "site": "Site",
    "state": "State",
    "expires": "Expires",
}
WORKSTATION_LABELS = {**WORKSTATION_FACTS, "problems": "Problems", **SOFTWARE_LABELS}
PROBLEM_LABELS = {"check": "Check", "level": "Level", "cause": "What is wrong", "fix": "What to do"}
OFFICER_LABELS = {
    "name": "Name",
    "state": "State",
    "invited": "Invited",
    "expires": "Expires",
}
OPERATOR_LABELS = {"id": "Operator", **OFFICER_LABELS}
AUDITOR_LABELS = {"id": "Auditor", **OFFICER_LABELS}
TOKEN_LABELS = {"token": "Token", "token_expires": "Token expires"}
INVITED_LABELS = {**TOKEN_LABELS, "role_ends": "Role ends"}

moving_option = click.option(
    "--organisation", required=True, help="Name or ID of the organisation to which it belongs then."
)
reason_option = click.option("--reason", required=True, help="Why; kept in the journal.")


@click.group(
    epilog="""\b
Examples:
  cloudcard ra workstation add WARD7-PC3 --site "Ward 7"
  cloudcard ra workstation list --json
  cloudcard ra workstation list --older-than 1.10 --sort version
  cloudcard ra workstation problems WARD7-PC3
  cloudcard ra workstation edit WARD7-PC3 --organisation "St Elsewhere"
  cloudcard ra workstation remove WARD7-PC3 --reason stolen
"""
)
def workstation() -> None:
    """Computers with a reader."""


@workstation.command("add")
@click.argument("name")
@click.option("--site", default="", help="Place, shown on the phone.")
@organisation_option
@operator_options
def workstation_add(name: str, site: str, organisation: str, caller: Caller) -> None:
    """Add a workstation called NAME, and print a one-time token for `cloudcard reader enrol`."""
    place = find(caller, Sort.ORGANISATION, organisation)
    asked = pb.CreateWorkstationRequest(display_name=name, site=site, organisation_id=place)
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateWorkstation(asked)
    facts = {**_workstation(made.workstation), **token_facts(made.token)}
    labels = {"id": "Workstation", "name": "Name", "site": "Site", **TOKEN_LABELS}
    caller.print_facts(facts, labels)


@workstation.command("list")
@older_option
@list_options(WORKSTATION_LABELS)
def workstation_list(older_than: str, caller: Caller) -> None:
    """List workstations, removed ones included, with what they said of themselves when they called
    last.
    """
    with caller.service(IdentityServiceStub) as stub:
        pages = listed(stub.ListWorkstations, pb.ListWorkstationsRequest())
        found = [each for page in pages for each in page.workstations]
    caller.print_rows(
        [_workstation(each) for each in found if is_older(each, older_than)],
        WORKSTATION_LABELS,
        "No workstations yet: cloudcard ra workstation add NAME",
        spare=("id", *SOFTWARE_SPARE[:3], "site"),
    )


@workstation.command(
    "problems", epilog="\b\nExample:\n  cloudcard ra workstation problems WARD7-PC3"
)
@click.argument("workstation")
@list_options(PROBLEM_LABELS)
def workstation_problems(workstation: str, caller: Caller) -> None:
    """Say what is wrong with WORKSTATION and what to do, as `cloudcard doctor` found there.
    WORKSTATION is its name, its identifier, or the beginning of one.
    """
    found = find(caller, Sort.WORKSTATION, workstation)
    with caller.service(IdentityServiceStub) as stub:
        said = stub.GetWorkstationReport(pb.GetWorkstationReportRequest(workstation_id=found))
    nothing = f"All was well at {when(said.report_time)}, as {workstation} said."
    if not said.HasField("report_time"):
        nothing = f"{workstation} has not said what is wrong. There, run: cloudcard doctor --report"
    caller.print_rows([_problem(each) for each in said.problems], PROBLEM_LABELS, nothing)


@workstation.command("edit")
@click.argument("workstation")
@moving_option
@operator_options
def workstation_edit(workstation: str, organisation: str, caller: Caller) -> None:
    """Move WORKSTATION to another organisation. WORKSTATION is its name, its identifier, or the
    beginning of one.
    """
    request = pb.UpdateWorkstationRequest(
        workstation_id=find(caller, Sort.WORKSTATION, workstation, in_use=True),
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(IdentityServiceStub) as stub:
        moved = stub.UpdateWorkstation(request).workstation
    caller.print_facts(_workstation(moved), WORKSTATION_FACTS)


@workstation.command("remove")
@click.argument("workstation")
@reason_option
@yes_option
@operator_options
def workstation_remove(workstation: str, reason: str, yes: bool, caller: Caller) -> None:
    """Take WORKSTATION out of use for ever, and end its requests and sessions. WORKSTATION is its
    name, its identifier, or the beginning of one.
    """
    workstation_id = find(caller, Sort.WORKSTATION, workstation, in_use=True)
    confirm(
        f"The workstation {both(workstation, workstation_id)} is taken out of use for ever, and "
        "what it has open ends.",
        yes=yes,
    )
    request = pb.RemoveWorkstationRequest(workstation_id=workstation_id, reason=reason)
    with caller.service(IdentityServiceStub) as stub:
        removed = stub.RemoveWorkstation(request).workstation
    caller.print_facts(_workstation(removed), WORKSTATION_FACTS)


@click.group(
    epilog="""\b
Examples:
  cloudcard ra operator invite "Olga Hopper"
  cloudcard ra operator invite "Ida Agent" --role ra-agent --organisation "St Elsewhere"
  cloudcard ra operator list
  cloudcard ra operator edit "Olga Hopper" --organisation "St Elsewhere"
  cloudcard ra operator remove "Olga Hopper" --reason "left the trust"
"""
)
def operator() -> None:
    """Operators of the registration authority."""


@operator.command("invite")
@click.argument("name")
@click.option(
    "--role",
    default=BuiltIn.RA_MANAGER.value,
    show_default=True,
    help="What the operator may do (`cloudcard ra role list`).",
)
@organisation_option
@operator_options
def operator_invite(name: str, role: str, organisation: str, caller: Caller) -> None:
    """Print a one-time token that invites an operator called NAME (`cloudcard ra enrol`). If your
    own rights end some day, the role ends with them.
    """
    place = find(caller, Sort.ORGANISATION, organisation)
    asked = pb.CreateOperatorRequest(
        display_name=name, role=to_grant(caller, role, place), organisation_id=place
    )
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateOperator(asked)
    caller.print_facts(_invited(made.token), INVITED_LABELS)


@operator.command("list")
@list_options(OPERATOR_LABELS)
def operator_list(caller: Caller) -> None:
    """List operators, invited and removed ones included."""
    with caller.service(IdentityServiceStub) as stub:
        pages = listed(stub.ListOperators, pb.ListOperatorsRequest())
        found = [each for page in pages for each in page.operators]
    rows = [_officer(each) for each in found]
    caller.print_rows(rows, OPERATOR_LABELS, "No operators.", spare=("id", "invited"))


@operator.command("edit")
@click.argument("operator")
@moving_option
@operator_options
def operator_edit(operator: str, organisation: str, caller: Caller) -> None:
    """Move OPERATOR to another organisation. OPERATOR is a name, an identifier, or the
    beginning of one.
    """
    request = pb.UpdateOperatorRequest(
        operator_id=find(caller, Sort.OPERATOR, operator, in_use=True),
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(IdentityServiceStub) as stub:
        moved = stub.UpdateOperator(request).operator
    caller.print_facts(_officer(moved), OPERATOR_LABELS)


@operator.command("remove")
@click.argument("operator")
@reason_option
@yes_option
@operator_options
def operator_remove(operator: str, reason: str, yes: bool, caller: Caller) -> None:
    """Remove the identity or invitation of OPERATOR for ever. The last operator cannot be removed.
    OPERATOR is a name, an identifier, or the beginning of one.
    """
    operator_id = find(caller, Sort.OPERATOR, operator, in_use=True)
    confirm(
        f"The operator {both(operator, operator_id)} is removed for ever.",
        yes=yes,
    )
    request = pb.RemoveOperatorRequest(operator_id=operator_id, reason=reason)
    with caller.service(IdentityServiceStub) as stub:
        removed = stub.RemoveOperator(request).operator
    caller.print_facts(_officer(removed), OPERATOR_LABELS)


@click.group(
    epilog="""\b
Examples:
  cloudcard ra auditor add "Grace Hopper"
  cloudcard ra auditor list --json
  cloudcard ra auditor edit "Grace Hopper" --organisation "St Elsewhere"
  cloudcard ra auditor remove "Grace Hopper" --reason "the audit has ended"
"""
)
def auditor() -> None:
    """Auditors, who read the journal."""


@auditor.command("add", epilog='\b\nExample:\n  cloudcard ra auditor add "Grace Hopper"')
@click.argument("name")
@organisation_option
@operator_options
def auditor_add(name: str, organisation: str, caller: Caller) -> None:
    """Print a one-time token that invites an auditor called NAME (`cloudcard audit enrol`)."""
    place = find(caller, Sort.ORGANISATION, organisation)
    with caller.service(IdentityServiceStub) as stub:
        asked = pb.CreateAuditorRequest(display_name=name, organisation_id=place)
        made = stub.CreateAuditor(asked)
    caller.print_facts(_invited(made.token), INVITED_LABELS)


@auditor.command("list")
@list_options(AUDITOR_LABELS)
def auditor_list(caller: Caller) -> None:
    """List auditors, invited and removed ones included."""
    with caller.service(IdentityServiceStub) as stub:
        pages = listed(stub.ListAuditors, pb.ListAuditorsRequest())
        found = [each for page in pages for each in page.auditors]
    rows = [_officer(each) for each in found]
    nobody = "No auditors yet: cloudcard ra auditor add NAME"
    caller.print_rows(rows, AUDITOR_LABELS, nobody, spare=("id", "invited"))


@auditor.command("edit")
@click.argument("auditor")
@moving_option
@operator_options
def auditor_edit(auditor: str, organisation: str, caller: Caller) -> None:
    """Move AUDITOR to another organisation. AUDITOR is a name, an identifier, or the
    beginning of one.
    """
    request = pb.UpdateAuditorRequest(
        auditor_id=find(caller, Sort.AUDITOR, auditor, in_use=True),
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(IdentityServiceStub) as stub:
        moved = stub.UpdateAuditor(request).auditor
    caller.print_facts(_officer(moved), AUDITOR_LABELS)


@auditor.command("remove")
@click.argument("auditor")
@reason_option
@yes_option
@operator_options
def auditor_remove(auditor: str, reason: str, yes: bool, caller: Caller) -> None:
    """Remove the identity or invitation of AUDITOR for ever. AUDITOR is a name, an identifier, or
    the beginning of one.
    """
    auditor_id = find(caller, Sort.AUDITOR, auditor, in_use=True)
    confirm(
        f"The auditor {both(auditor, auditor_id)} is removed for ever.",
        yes=yes,
    )
    request = pb.RemoveAuditorRequest(auditor_id=auditor_id, reason=reason)
    with caller.service(IdentityServiceStub) as stub:
        removed = stub.RemoveAuditor(request).auditor
    caller.print_facts(_officer(removed), AUDITOR_LABELS)


def _invited(token: pb.Token) -> Row:
    until = when(token.role_until_time) if token.HasField("role_until_time") else None
    return {**token_facts(token), "role_ends": until}


def _workstation(message: pb.Workstation) -> Row:
    return {
        "id": message.id,
        "name": message.display_name,
        "site": message.site,
        "state": message.state,
        "enrolled": message.enrolled,
        "created": when(message.create_time),
        "expires": identity_expiry(message),
        "problems": _counted(message),
        **software_row(message),
    }


def _counted(message: pb.Workstation) -> str:
    """How much is wrong, in words; empty if nobody knows."""
    if not message.HasField("problems"):
        return ""
    kinds = ((message.problems.failed, "failed"), (message.problems.warnings, "to look at"))
    return ", ".join(f"{number} {word}" for number, word in kinds if number) or "none"


def _problem(message: Problem) -> Row:
    return {
        "check": message.check,
        "level": "failed" if message.failed else "warning",
        "cause": message.cause,
        "fix": message.fix,
    }


def _officer(message: pb.Operator | pb.Auditor) -> Row:
    return {
        "id": message.id,
        "name": message.display_name,
        "state": message.state,
        "invited": when(message.create_time),
        "expires": identity_expiry(message),
    }
