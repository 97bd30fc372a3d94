"""`cloudcard ra device`: holders' phones."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import identities_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.ra.registry import find, identity_expiry, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.finding import both
from cloudcard_tools.shared.output import Row

DEVICE_KIND = {
    pb.DEVICE_KIND_UNSPECIFIED: "",
    pb.DEVICE_KIND_NATIVE: "native",
    pb.DEVICE_KIND_PASSKEY: "passkey",
}
DEVICE_LABELS = {
    "id": "Device",
    "name": "Name",
    "state": "State",
    "kind": "Approves by",
    "backed_up": "Backed up",
    "attested_model": "Attested model",
    "invited": "Invited",
    "expires": "Expires",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra device list ada@example.org
  cloudcard ra device remove "Ada's phone" --reason "lost on the train"
"""
)
def device() -> None:
    """Phones that approve."""


@device.command("list")
@click.argument("user")
@list_options(DEVICE_LABELS)
def device_list(user: str, caller: Caller) -> None:
    """List the phones of USER, removed ones included. USER is a name, an e-mail address, a card's
    serial number, an identifier, or the beginning of one.
    """
    user_id = find(caller, Sort.USER, user, in_use=True)
    with caller.service(IdentityServiceStub) as stub:
        pages = listed(stub.ListDevices, pb.ListDevicesRequest(user_id=user_id))
        found = [each for page in pages for each in page.devices]
    caller.print_rows(
        [device_row(each) for each in found],
        DEVICE_LABELS,
        "No phones yet: cloudcard ra user invite USER",
        spare=("id", "attested_model", "backed_up", "kind", "invited"),
    )


@device.command("remove")
@click.argument("device")
@click.option("--reason", required=True, help="Why; kept in the journal.")
@yes_option
@operator_options
def device_remove(device: str, reason: str, yes: bool, caller: Caller) -> None:
    """Take the phone DEVICE out of use for ever. Its unused approvals become void. DEVICE is its
    name, its holder's name or e-mail address, an identifier, or the beginning of one.
    """
    device_id = find(caller, Sort.DEVICE, device, in_use=True)
    confirm(
        f"The phone {both(device, device_id)} is taken out of use for ever, and its unused "
        "approvals become void.",
        yes=yes,
    )
    request = pb.RemoveDeviceRequest(device_id=device_id, reason=reason)
    with caller.service(IdentityServiceStub) as stub:
        removed = stub.RemoveDevice(request).device
    caller.print_facts(device_row(removed), DEVICE_LABELS)


def device_row(message: pb.Device) -> Row:
    return {
        "id": message.id,
        "name": message.display_name,
        "state": message.state,
        "kind": DEVICE_KIND.get(message.kind, "unknown"),
        "backed_up": message.backed_up,
        "attested_model": message.attested_model,
        "invited": when(message.create_time),
        "expires": identity_expiry(message),
    }
