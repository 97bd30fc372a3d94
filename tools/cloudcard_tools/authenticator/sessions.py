"""`cloudcard authenticator sessions`: what may be used without asking you each time."""

from __future__ import annotations

from pathlib import Path

import click

from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1 import authenticator_pb2_grpc
from cloudcard_tools.authenticator.phone import TIMEOUT_SECONDS
from cloudcard_tools.authenticator.screen import KEY_NAME, KEY_USE
from cloudcard_tools.shared import enrolling, identity
from cloudcard_tools.shared.failures import failures
from cloudcard_tools.shared.output import Row, iso_time, json_option, print_json, print_rows

COLUMNS = {
    "id": "Session",
    "card": "Card",
    "key": "Key",
    "workstation": "Workstation",
    "site": "Place",
    "uses_left": "Uses left",
    "expires": "Until",
}

identity_option = enrolling.identity_option("authenticator")


@click.group(
    epilog="""\b
Examples:
  cloudcard authenticator sessions list
  cloudcard authenticator sessions end SESSION
"""
)
def sessions() -> None:
    """Your open sessions."""


@sessions.command("list")
@identity_option
@json_option
def sessions_list(folder: Path, as_json: bool) -> None:
    """List what workstations may use now without asking you."""
    with failures(), identity.channel(identity.load(folder)) as channel:
        stub = authenticator_pb2_grpc.AuthenticatorServiceStub(channel)
        found = stub.ListSessions(pb.ListSessionsRequest(), timeout=TIMEOUT_SECONDS).sessions
    print_rows([_row(each) for each in found], COLUMNS, "No open sessions.", as_json=as_json)


@sessions.command("end")
@click.argument("session")
@identity_option
@json_option
def sessions_end(session: str, folder: Path, as_json: bool) -> None:
    """End the session SESSION: you are asked again at its key's next use."""
    with failures(), identity.channel(identity.load(folder)) as channel:
        stub = authenticator_pb2_grpc.AuthenticatorServiceStub(channel)
        stub.EndSession(pb.EndSessionRequest(session_id=session), timeout=TIMEOUT_SECONDS)
    if as_json:
        print_json({"id": session, "ended": True})
    else:
        click.echo("Ended.")


def _row(session: pb.Session) -> Row:
    return {
        "id": session.id,
        "card": session.card_serial,
        "key": KEY_NAME.get(session.key_ref, f"key {session.key_ref:02X}"),
        "key_use": KEY_USE.get(session.key_use, "unknown"),
        "workstation": session.workstation,
        "site": session.site,
        "uses_left": session.uses_left,
        "expires": iso_time(session.expire_time.ToDatetime()),
    }
