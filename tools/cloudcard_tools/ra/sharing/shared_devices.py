"""`cloudcard ra shared-device`: devices that approve for whoever signs in to them."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import shared_devices_pb2 as pb
from cloudcard.registry.v1.shared_devices_pb2_grpc import SharedDeviceServiceStub
from cloudcard_tools.ra.identities import TOKEN_LABELS, reason_option
from cloudcard_tools.ra.registry import (
    find,
    list_options,
    operator_options,
    organisation_option,
    token_facts,
    when,
)
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.finding import both
from cloudcard_tools.shared.output import Row

FACTS = {"id": "Shared device", "name": "Name", "site": "Site", "state": "State"}
LABELS = {**FACTS, "holder": "Signed in", "until": "Until", "added": "Added"}
SOMEBODY = "somebody"  # whom the operator does not see


@click.group(
    "shared-device",
    epilog="""\b
Examples:
  cloudcard ra policy set --shared-device-minutes 480
  cloudcard ra shared-device add "Ward 7 tablet" --site "Ward 7"
  cloudcard ra shared-device list
  cloudcard ra shared-device sign-out "Ward 7 tablet"
  cloudcard ra shared-device remove "Ward 7 tablet" --reason lost
""",
)
def shared_device() -> None:
    """Devices that several people share, which approve for whoever signs in."""


@shared_device.command("add")
@click.argument("name")
@click.option("--site", default="", help="Place, shown on the phone of whoever signs in.")
@organisation_option
@operator_options
def shared_device_add(name: str, site: str, organisation: str, caller: Caller) -> None:
    """Add a device called NAME, and print a one-time token for the page of the authenticator, which
    is opened on it. Who has a card of its organisation or of one below can sign in, where a policy
    allows it (policy set --shared-device-minutes).
    """
    place = find(caller, Sort.ORGANISATION, organisation)
    asked = pb.AddSharedDeviceRequest(display_name=name, site=site, organisation_id=place)
    with caller.service(SharedDeviceServiceStub) as stub:
        made = stub.AddSharedDevice(asked)
    labels = {"id": "Shared device", "name": "Name", "site": "Site", **TOKEN_LABELS}
    caller.print_facts({**_row(made.device), **token_facts(made.token)}, labels)


@shared_device.command("list")
@list_options(LABELS)
def shared_device_list(caller: Caller) -> None:
    """List shared devices, removed ones included, and who is signed in."""
    with caller.service(SharedDeviceServiceStub) as stub:
        pages = listed(stub.ListSharedDevices, pb.ListSharedDevicesRequest())
        found = [each for page in pages for each in page.devices]
    caller.print_rows(
        [_row(each) for each in found],
        LABELS,
        "No shared devices yet: cloudcard ra shared-device add NAME",
        spare=("id", "added", "site"),
    )


@shared_device.command(
    "sign-out", epilog='\b\nExample:\n  cloudcard ra shared-device sign-out "Ward 7 tablet"'
)
@click.argument("device")
@operator_options
def shared_device_sign_out(device: str, caller: Caller) -> None:
    """Sign out whoever is at DEVICE. What was approved there and is not over becomes void. DEVICE
    is its name, its identifier, or the beginning of one.
    """
    device_id = find(caller, Sort.SHARED_DEVICE, device, in_use=True)
    with caller.service(SharedDeviceServiceStub) as stub:
        found = stub.SignOutSharedDevice(pb.SignOutSharedDeviceRequest(device_id=device_id)).device
    caller.print_facts(_row(found), FACTS)


@shared_device.command("remove")
@click.argument("device")
@reason_option
@yes_option
@operator_options
def shared_device_remove(device: str, reason: str, yes: bool, caller: Caller) -> None:
    """Take DEVICE out of use for ever, and sign out whoever is there. DEVICE is its name, its
    identifier, or the beginning of one.
    """
    device_id = find(caller, Sort.SHARED_DEVICE, device, in_use=True)
    confirm(
        f"The shared device {both(device, device_id)} is taken out of use for ever, and whoever is "
        "there is signed out.",
        yes=yes,
    )
    request = pb.RemoveSharedDeviceRequest(device_id=device_id, reason=reason)
    with caller.service(SharedDeviceServiceStub) as stub:
        removed = stub.RemoveSharedDevice(request).device
    caller.print_facts(_row(removed), FACTS)


def _row(message: pb.SharedDevice) -> Row:
    has_end = message.HasField("end_time")
    return {
        "id": message.id,
        "name": message.display_name,
        "site": message.site,
        "organisation": message.organisation_id,
        "state": message.state,
        "holder": (message.holder or SOMEBODY) if message.is_taken else None,
        "until": when(message.end_time) if has_end else None,
        "added": when(message.create_time),
    }
