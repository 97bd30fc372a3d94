"""`cloudcard ra user`: who holds cards."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import identities_pb2
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.ra.registry import find, operator_options, token_facts, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Value


@click.group(
    epilog="""\b
Examples:
  cloudcard ra user add "Ada Byron" --email ada@example.org
  cloudcard ra user list --json
  cloudcard ra user invite ada@example.org
"""
)
def user() -> None:
    """People who hold cards."""


@user.command("add")
@click.argument("name")
@click.option("--email", default="", help="E-mail address.")
@click.option("--upn", default="", help="User principal name of the Windows account.")
@click.option("--sid", default="", help="Security identifier of the Windows account, S-1-5-21-….")
@click.option("--namesake", is_flag=True, help="Somebody else with the same name and e-mail.")
@operator_options
def user_add(  # one argument for each option
    name: str, email: str, upn: str, sid: str, namesake: bool, caller: Caller
) -> None:
    """Add a person called NAME, and print a one-time token for the person's phone."""
    request = pb.CreateUserRequest(
        display_name=name, email=email, upn=upn, sid=sid, namesake=namesake
    )
    with caller.service(PeopleServiceStub) as stub:
        made = stub.CreateUser(request)
    facts = _user(made.user) | token_facts(made.device_token)
    labels = {
        "id": "User",
        "name": "Name",
        "token": "Phone's token",
        "token_expires": "Token expires",
    }
    caller.print_facts(facts, labels)


@user.command("list")
@operator_options
def user_list(caller: Caller) -> None:
    """List people."""
    with caller.service(PeopleServiceStub) as stub:
        pages = listed(stub.ListUsers, pb.ListUsersRequest())
        users = [each for page in pages for each in page.users]
    columns = {
        "id": "User",
        "name": "Name",
        "email": "E-mail",
        "devices": "Devices",
        "cards": "Cards",
    }
    caller.print_rows(
        [_user(each) for each in users],
        columns,
        "No users yet: cloudcard ra user add NAME",
        spare=("id", "devices"),
    )


@user.command("invite")
@click.argument("person", metavar="USER")
@operator_options
def user_invite(person: str, caller: Caller) -> None:
    """Print a one-time token for one more phone of USER: a name, an e-mail address, a card's serial
    number, an identifier, or the beginning of one.
    """
    user_id = find(caller, Sort.USER, person)
    request = identities_pb2.CreateDeviceTokenRequest(user_id=user_id)
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateDeviceToken(request)
    labels = {"token": "Phone's token", "token_expires": "Token expires"}
    caller.print_facts(token_facts(made.device_token), labels)


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
