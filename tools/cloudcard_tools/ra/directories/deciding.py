"""`cloudcard ra directory`: what directories say otherwise than operators, and what of it holds."""

from __future__ import annotations

import click

from cloud_keystore.model.directories.entries import Field
from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import directories_pb2 as pb
from cloudcard.registry.v1.directories_pb2_grpc import DirectoryServiceStub
from cloudcard_tools.ra.registry import find, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Value

LABELS = {
    "uuid12": "UUID",
    "person": "Person",
    "field": "Field",
    "said": "Directory says",
    "holds": "Holds",
    "directory": "Directory",
}
COLUMNS = {**LABELS, "since": "Said"}

field_argument = click.argument("field", type=click.Choice([each.value for each in Field]))
directory_option = click.option(
    "--directory",
    "client",
    default="",
    help="Name or identifier of its API client, if several say something else.",
)


@click.group(
    epilog="""\b
Examples:
  cloudcard ra directory differences
  cloudcard ra directory take ada@example.org name
  cloudcard ra directory keep ada@example.org email
  cloudcard ra directory map "RA agents" ra-agent --directory "HR system"
  cloudcard ra directory mappings
  cloudcard ra directory unmap "RA agents"
  cloudcard ra directory operator "Olga Hopper" olga@example.org
  cloudcard ra directory operators

\b
WHO is a name, an e-mail address, a 12-digit UUID, a card's serial number, or the beginning of one.
"""
)
def directory() -> None:
    """What directories say of people, and which roles their groups give: API clients that keep
    people by SCIM.
    """


@directory.command("differences")
@list_options(COLUMNS)
def directory_differences(caller: Caller) -> None:
    """List what directories say otherwise than operators have set it. Set by hand, a value holds
    until somebody takes the directory's.
    """
    with caller.service(DirectoryServiceStub) as stub:
        pages = listed(stub.ListDifferences, pb.ListDifferencesRequest())
        found = [_row(each) for page in pages for each in page.differences]
    caller.print_rows(found, COLUMNS, "Directories say nothing else.")


@directory.command("take")
@click.argument("who")
@field_argument
@directory_option
@operator_options
def directory_take(who: str, field: str, client: str, caller: Caller) -> None:
    """Let what the directory says of the FIELD of WHO hold, and follow it from now on."""
    _decide(who, field, client, caller, take=True)


@directory.command("keep")
@click.argument("who")
@field_argument
@directory_option
@operator_options
def directory_keep(who: str, field: str, client: str, caller: Caller) -> None:
    """Keep the FIELD of WHO as it is, until the directory says something else of it."""
    _decide(who, field, client, caller, take=False)


def _decide(who: str, field: str, client: str, caller: Caller, *, take: bool) -> None:
    user_id = find(caller, Sort.USER, who, in_use=True)
    request = pb.DecideDifferenceRequest(user_id=user_id, field=field, take=take, client=client)
    with caller.service(DirectoryServiceStub) as stub:
        decided = stub.DecideDifference(request).difference
    row = _row(decided)
    caller.print_facts({**row, "holds": row["said"] if take else row["holds"]}, LABELS)


def _row(message: pb.Difference) -> dict[str, Value]:
    return {
        "uuid12": message.uuid12,
        "person": message.user_display_name,
        "field": message.field,
        "said": message.said,
        "holds": message.holds,
        "directory": message.client_display_name,
        "since": when(message.change_time),
    }
