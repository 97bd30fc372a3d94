"""`cloudcard ra user` and `workstation`: who holds cards, and where they are used."""

from __future__ import annotations

from pathlib import Path

import click

from cloudcard.registry.v1 import registry_pb2 as pb
from cloudcard_tools.output import Value, json_option, print_facts, print_rows
from cloudcard_tools.ra.registry import TIMEOUT_SECONDS, identity_option, registry, when


@click.group()
def user() -> None:
    """People who hold cards."""


@user.command("add")
@click.argument("name")
@click.option("--email", default="", help="E-mail address.")
@click.option("--upn", default="", help="To log on to Windows with: user principal name.")
@click.option("--sid", default="", help="Security identifier of that account, S-1-5-21-….")
@identity_option
@json_option
def user_add(name: str, email: str, upn: str, sid: str, folder: Path, as_json: bool) -> None:
    """Add a person called NAME; prints a one-time token for the person's phone."""
    request = pb.CreateUserRequest(display_name=name, email=email, upn=upn, sid=sid)
    with registry(folder) as stub:
        made = stub.CreateUser(request, timeout=TIMEOUT_SECONDS)
    facts = _user(made.user) | _token(made.device_token)
    labels = {
        "id": "User",
        "name": "Name",
        "token": "Phone's token",
        "token_expires": "Token expires",
    }
    print_facts(facts, labels, as_json=as_json)


@user.command("list")
@identity_option
@json_option
def user_list(folder: Path, as_json: bool) -> None:
    """List people."""
    with registry(folder) as stub:
        users = stub.ListUsers(pb.ListUsersRequest(), timeout=TIMEOUT_SECONDS).users
    columns = {
        "id": "User",
        "name": "Name",
        "email": "E-mail",
        "devices": "Devices",
        "cards": "Cards",
    }
    print_rows(
        [_user(each) for each in users],
        columns,
        "No users yet: cloudcard ra user add NAME",
        as_json=as_json,
    )


@user.command("invite")
@click.argument("user_id")
@identity_option
@json_option
def user_invite(user_id: str, folder: Path, as_json: bool) -> None:
    """Print a one-time token for one more phone of USER_ID."""
    with registry(folder) as stub:
        made = stub.CreateDeviceToken(
            pb.CreateDeviceTokenRequest(user_id=user_id), timeout=TIMEOUT_SECONDS
        )
    labels = {"token": "Phone's token", "token_expires": "Token expires"}
    print_facts(_token(made.device_token), labels, as_json=as_json)


@click.group()
def workstation() -> None:
    """Computers with a reader."""


@workstation.command("add")
@click.argument("name")
@click.option("--site", default="", help="Place, shown on the phone.")
@identity_option
@json_option
def workstation_add(name: str, site: str, folder: Path, as_json: bool) -> None:
    """Add a workstation called NAME; prints a one-time token for `cloudcard reader enrol`."""
    with registry(folder) as stub:
        made = stub.CreateWorkstation(
            pb.CreateWorkstationRequest(display_name=name, site=site), timeout=TIMEOUT_SECONDS
        )
    facts = _workstation(made.workstation) | _token(made.token)
    labels = {
        "id": "Workstation",
        "name": "Name",
        "site": "Site",
        "token": "Token",
        "token_expires": "Token expires",
    }
    print_facts(facts, labels, as_json=as_json)


@workstation.command("list")
@identity_option
@json_option
def workstation_list(folder: Path, as_json: bool) -> None:
    """List workstations."""
    with registry(folder) as stub:
        found = stub.ListWorkstations(
            pb.ListWorkstationsRequest(), timeout=TIMEOUT_SECONDS
        ).workstations
    columns = {"id": "Workstation", "name": "Name", "site": "Site", "enrolled": "Enrolled"}
    print_rows(
        [_workstation(each) for each in found],
        columns,
        "No workstations yet: cloudcard ra workstation add NAME",
        as_json=as_json,
    )


@click.group()
def auditor() -> None:
    """Auditors, who read the journal."""


@auditor.command("add", epilog='\b\nExample:\n  cloudcard ra auditor add "Grace Hopper"')
@click.argument("name")
@identity_option
@json_option
def auditor_add(name: str, folder: Path, as_json: bool) -> None:
    """Invite an auditor by a one-time token (`cloudcard audit enrol`)."""
    with registry(folder) as stub:
        asked = pb.CreateAuditorRequest(display_name=name)
        made = stub.CreateAuditor(asked, timeout=TIMEOUT_SECONDS)
    facts = _token(made.token)
    labels = {"token": "Token", "token_expires": "Token expires"}
    print_facts(facts, labels, as_json=as_json)


def _user(message: pb.User) -> dict[str, Value]:
    return {
        "id": message.id,
        "name": message.display_name,
        "email": message.email,
        "upn": message.upn,
        "sid": message.sid,
        "created": when(message.create_time),
        "devices": message.device_count,
        "cards": list(message.card_serials),
    }


def _workstation(message: pb.Workstation) -> dict[str, Value]:
    return {
        "id": message.id,
        "name": message.display_name,
        "site": message.site,
        "enrolled": message.enrolled,
        "created": when(message.create_time),
    }


def _token(message: pb.Token) -> dict[str, Value]:
    return {"token": message.text, "token_expires": when(message.expire_time)}
