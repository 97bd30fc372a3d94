"""`cloudcard ra client`: programs that call the REST API."""

from __future__ import annotations

from datetime import datetime

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import clients_pb2 as pb
from cloudcard.registry.v1.clients_pb2_grpc import ClientServiceStub
from cloudcard_tools.ra.identities import reason_option
from cloudcard_tools.ra.registry import (
    SOON_FOR_ENROLLED,
    expiry,
    find,
    operator_options,
    organisation_option,
    when,
)
from cloudcard_tools.ra.rights.roles import day_or_time, to_grant
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.finding import both
from cloudcard_tools.shared.output import Row

LABELS = {
    "id": "Client",
    "name": "Name",
    "state": "State",
    "roles": "Roles",
    "organisation": "Organisation",
    "expires": "Expires",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra client add "HR system" --role ra-agent --organisation "St Elsewhere"
  cloudcard ra client list
  cloudcard ra client remove "HR system" --reason "was replaced"
"""
)
def client() -> None:
    """Programs that call the REST API."""


@client.command("add", epilog='\b\nExample:\n  cloudcard ra client add "HR system" --role ra-agent')
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    help="What the client may do (`cloudcard ra role list`). Repeatable.",
)
@organisation_option
@click.option(
    "--until", type=day_or_time, help="When its token ends (UTC); by default after a year."
)
@operator_options
def client_add(
    name: str, roles: tuple[str, ...], organisation: str, until: datetime | None, caller: Caller
) -> None:
    """Add a client called NAME, and print its token, which is shown this once."""
    place = find(caller, Sort.ORGANISATION, organisation)
    asked = pb.CreateClientRequest(
        display_name=name,
        roles=[to_grant(caller, each, place) for each in roles],
        organisation_id=place,
    )
    if until is not None:
        asked.expire_time.FromDatetime(until)
    with caller.service(ClientServiceStub) as stub:
        made = stub.CreateClient(asked)
    caller.print_facts({**_client(made.client), "token": made.token}, {**LABELS, "token": "Token"})


@client.command("list")
@operator_options
def client_list(caller: Caller) -> None:
    """List clients, removed ones included."""
    with caller.service(ClientServiceStub) as stub:
        pages = listed(stub.ListClients, pb.ListClientsRequest())
        found = [each for page in pages for each in page.clients]
    rows = [_client(each) for each in found]
    nobody = "No API clients yet: cloudcard ra client add NAME --role ROLE"
    caller.print_rows(rows, LABELS, nobody, spare=("id", "organisation"))


@client.command("remove")
@click.argument("client")
@reason_option
@yes_option
@operator_options
def client_remove(client: str, reason: str, yes: bool, caller: Caller) -> None:
    """Refuse the token of CLIENT from now on, for ever. CLIENT is a name, an identifier, or the
    beginning of one.
    """
    client_id = find(caller, Sort.CLIENT, client, in_use=True)
    confirm(f"The API client {both(client, client_id)} is removed for ever.", yes=yes)
    request = pb.RemoveClientRequest(client_id=client_id, reason=reason)
    with caller.service(ClientServiceStub) as stub:
        removed = stub.RemoveClient(request).client
    facts = _client(removed)
    caller.print_facts(facts, {name: LABELS[name] for name in ("id", "name", "state")})


def _client(message: pb.Client) -> Row:
    return {
        "id": message.id,
        "name": message.display_name,
        "state": message.state,
        "roles": " ".join(message.roles),
        "organisation": message.organisation_name,
        "organisation_id": message.organisation_id,
        "created": when(message.create_time),
        "expires": None
        if message.state == "removed"
        else expiry(message.expire_time, SOON_FOR_ENROLLED),
    }
