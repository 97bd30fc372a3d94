"""`cloudcard ra device`: holders' phones."""

from __future__ import annotations

from pathlib import Path

import click

from cloudcard.registry.v1 import identities_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.ra.registry import TIMEOUT_SECONDS, identity_option, registry, when
from cloudcard_tools.shared.output import Row, json_option, print_facts, print_rows

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
    "invited": "Invited",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra device list USER_ID
  cloudcard ra device remove DEVICE_ID --reason "lost on the train"
"""
)
def device() -> None:
    """Phones that approve."""


@device.command("list")
@click.argument("user_id")
@identity_option
@json_option
def device_list(user_id: str, folder: Path, as_json: bool) -> None:
    """List the phones of USER_ID, removed ones included."""
    with registry(folder, IdentityServiceStub) as stub:
        found = stub.ListDevices(
            pb.ListDevicesRequest(user_id=user_id), timeout=TIMEOUT_SECONDS
        ).devices
    print_rows(
        [_device(each) for each in found],
        DEVICE_LABELS,
        "No phones yet: cloudcard ra user invite USER_ID",
        as_json=as_json,
    )


@device.command("remove")
@click.argument("device_id")
@click.option("--reason", required=True, help="Why; kept in the journal.")
@identity_option
@json_option
def device_remove(device_id: str, reason: str, folder: Path, as_json: bool) -> None:
    """Take the phone DEVICE_ID out of use for ever; its approvals not yet used are void."""
    request = pb.RemoveDeviceRequest(device_id=device_id, reason=reason)
    with registry(folder, IdentityServiceStub) as stub:
        removed = stub.RemoveDevice(request, timeout=TIMEOUT_SECONDS).device
    print_facts(_device(removed), DEVICE_LABELS, as_json=as_json)


def _device(message: pb.Device) -> Row:
    return {
        "id": message.id,
        "name": message.display_name,
        "state": message.state,
        "kind": DEVICE_KIND.get(message.kind, "unknown"),
        "backed_up": message.backed_up,
        "invited": when(message.create_time),
    }
