"""`cloudcard authenticator sign-ins`: the workstations in whose readers the holder's cards are."""

from __future__ import annotations

import click

from cloud_keystore.model import finding
from cloud_keystore.model.finding import Findable, Sort
from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard_tools.authenticator.phone import ROLE
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.finding import Answer, Words, find, of_own
from cloudcard_tools.shared.output import Row, iso_time, print_json

COLUMNS = {
    "id": "Sign-in",
    "card": "Card",
    "workstation": "Workstation",
    "site": "Place",
    "approved": "Since",
    "expires": "Until",
}

OPEN = Words("sign-in", "sign-ins", "cloudcard authenticator sign-ins list")


@click.group(
    "sign-ins",
    epilog="""\b
Examples:
  cloudcard authenticator sign-ins list
  cloudcard authenticator sign-ins end WARD7-PC3
""",
)
def sign_ins() -> None:
    """The workstations at which you are signed in."""


@sign_ins.command("list")
@caller_options(ROLE)
def sign_ins_list(caller: Caller) -> None:
    """List the workstations in whose readers your cards are."""
    with caller.service(AuthenticatorServiceStub) as stub:
        found = stub.ListSignIns(pb.ListSignInsRequest()).sign_ins
    caller.print_rows(
        [_row(each) for each in found], COLUMNS, "No card is in a reader.", spare=("site", "id")
    )


@sign_ins.command("end")
@click.argument("sign_in")
@caller_options(ROLE)
def sign_ins_end(sign_in: str, caller: Caller) -> None:
    """Take a card out of a workstation's reader. SIGN_IN is an identifier, a card's serial number,
    a workstation's name, or the beginning of one.
    """
    with caller.service(AuthenticatorServiceStub) as stub:

        def ask(_sort: Sort, text: str) -> Answer:
            own = stub.ListSignIns(pb.ListSignInsRequest()).sign_ins
            return of_own(finding.find(text, map(_findable, own)))

        sign_in_id = find(ask, Sort.OPERATION, sign_in, words=OPEN)
        stub.EndSignIn(pb.EndSignInRequest(sign_in_id=sign_in_id))
    if caller.as_json:
        print_json({"id": sign_in_id, "ended": True})
    else:
        click.echo("The card is out.")


def _findable(sign_in: pb.SignIn) -> Findable:
    row = _row(sign_in)
    return Findable(
        sign_in.id,
        (sign_in.id,),
        (sign_in.card_serial, sign_in.workstation),
        sign_in.workstation,
        (f"card {sign_in.card_serial}", f"until {row['expires']}"),
    )


def _row(sign_in: pb.SignIn) -> Row:
    return {
        "id": sign_in.id,
        "card": sign_in.card_serial,
        "workstation": sign_in.workstation,
        "site": sign_in.site,
        "approved": iso_time(sign_in.approve_time.ToDatetime()),
        "expires": iso_time(sign_in.expire_time.ToDatetime()),
    }
