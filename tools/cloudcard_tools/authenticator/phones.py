"""`cloudcard authenticator phones`: the holder's phones, seen and removed from one of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from cloud_keystore.model import finding
from cloud_keystore.model.finding import Findable, Sort
from cloudcard.authenticator.v1 import holder_pb2 as pb
from cloudcard.authenticator.v1.holder_pb2_grpc import HolderServiceStub
from cloudcard_tools.authenticator.phone import ROLE
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.confirming import check_verified, irreversible
from cloudcard_tools.shared.finding import Answer, Words, find, of_own
from cloudcard_tools.shared.output import Row, iso_time

COLUMNS = {"id": "Phone", "name": "Name", "this": "This one", "invited": "Invited"}
SENT = {"email": "Sent to", "good_until": "Good until"}
TOKEN = {"token": "Phone's token", "token_expires": "Token expires"}
OWN_PHONES = Words("phone", "phones", "cloudcard authenticator phones list")


@click.group(
    epilog="""\b
Examples:
  cloudcard authenticator phones list
  cloudcard authenticator phones add
  cloudcard authenticator phones add --code 12345678
  cloudcard authenticator phones remove "Ada's old phone"
"""
)
def phones() -> None:
    """Your phones, each of which can approve in your name."""


@phones.command("list")
@caller_options(ROLE)
def phones_list(caller: Caller) -> None:
    """List your phones, this one included."""
    with caller.service(HolderServiceStub) as stub:
        found = stub.ListDevices(pb.ListDevicesRequest()).devices
    caller.print_rows([_phone(each) for each in found], COLUMNS, "No phones.")


@phones.command("add")
@click.option("--code", default="", metavar="CODE", help="What you have got by e-mail.")
@caller_options(ROLE)
def phones_add(code: str, caller: Caller) -> None:
    """Let a code be mailed to your address; then give it with --code, and print a one-time token
    for another phone of yours, good for an hour. All your phones and your address are told when it
    is used.
    """
    with caller.service(HolderServiceStub) as stub:
        if code:
            request = pb.InviteDeviceRequest(code="".join(code.split()))
            made = stub.InviteDevice(request)
            check_verified(is_verified=bool(made.token), tries_left=made.tries_left)
            expires = iso_time(made.expire_time.ToDatetime())
            caller.print_facts({"token": made.token, "token_expires": expires}, TOKEN)
            return
        sent = stub.SendDeviceCode(pb.SendDeviceCodeRequest())
    facts: Row = {"email": sent.email, "good_until": iso_time(sent.expire_time.ToDatetime())}
    caller.print_facts(facts, SENT)


@phones.command("remove")
@click.argument("phone")
@irreversible("The phone {phone} can approve nothing from then on.")
@caller_options(ROLE)
def phones_remove(phone: str, caller: Caller) -> None:
    """Remove another PHONE of yours for ever: its name, its identifier, or the beginning of one.
    All your phones and your e-mail address are told.
    """
    with caller.service(HolderServiceStub) as stub:
        known = stub.ListDevices(pb.ListDevicesRequest()).devices
        device_id = find(partial(_own, known), Sort.DEVICE, phone, words=OWN_PHONES)
        gone = stub.RemoveDevice(pb.RemoveDeviceRequest(device_id=device_id)).device
    caller.print_facts(_phone(gone), COLUMNS)


def _own(phones: Sequence[pb.Device], _sort: Sort, text: str) -> Answer:
    known = (Findable(each.id, (each.display_name,), (), "") for each in phones)
    return of_own(finding.find(text, known))


def _phone(message: pb.Device) -> Row:
    return {
        "id": message.id,
        "name": message.display_name,
        "this": message.is_this,
        "invited": iso_time(message.create_time.ToDatetime()),
    }
