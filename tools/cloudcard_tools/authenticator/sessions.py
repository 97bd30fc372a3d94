"""`cloudcard authenticator sessions`: the sessions in which keys are used without asking the
holder.
"""

from __future__ import annotations

import click

from cloud_keystore.model import finding
from cloud_keystore.model.finding import Findable, Sort
from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard_tools.authenticator.phone import ROLE
from cloudcard_tools.authenticator.screen import KEY_NAME, KEY_USE
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.finding import Answer, Words, find, of_own
from cloudcard_tools.shared.output import Row, iso_time, print_json

COLUMNS = {
    "id": "Session",
    "card": "Card",
    "key": "Key",
    "workstation": "Workstation",
    "site": "Place",
    "uses_left": "Uses left",
    "expires": "Until",
}

OPEN = Words("open session", "open sessions", "cloudcard authenticator sessions list")


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
@caller_options(ROLE)
def sessions_list(caller: Caller) -> None:
    """List the keys that workstations can now use without asking you."""
    with caller.service(AuthenticatorServiceStub) as stub:
        found = stub.ListSessions(pb.ListSessionsRequest()).sessions
    caller.print_rows(
        [_row(each) for each in found], COLUMNS, "No open sessions.", spare=("site", "id")
    )


@sessions.command("end")
@click.argument("session")
@caller_options(ROLE)
def sessions_end(session: str, caller: Caller) -> None:
    """End the session SESSION. You are asked again at the next use of its key. SESSION is an
    identifier, a card's serial number, a workstation's name, or the beginning of one.
    """
    with caller.service(AuthenticatorServiceStub) as stub:

        def ask(_sort: Sort, text: str) -> Answer:
            own = stub.ListSessions(pb.ListSessionsRequest()).sessions
            return of_own(finding.find(text, map(_findable, own)))

        session_id = find(ask, Sort.OPERATION, session, words=OPEN)
        stub.EndSession(pb.EndSessionRequest(session_id=session_id))
    if caller.as_json:
        print_json({"id": session_id, "ended": True})
    else:
        click.echo("Ended.")


def _findable(session: pb.Session) -> Findable:
    row = _row(session)
    return Findable(
        session.id,
        (session.id,),
        (session.card_serial, session.workstation),
        session.workstation,
        (f"card {session.card_serial}", str(row["key"]), f"until {row['expires']}"),
    )


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
