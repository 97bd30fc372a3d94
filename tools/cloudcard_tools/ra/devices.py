"""`cloudcard ra device`: holders' phones."""

from __future__ import annotations

import click

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.software import (
    Compatibility,
    Software,
    precedence,
    version_field,
)
from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import identities_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.ra.registry import find, identity_expiry, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.finding import both
from cloudcard_tools.shared.output import Row, Value, ordered

DEVICE_KIND = {
    pb.DEVICE_KIND_UNSPECIFIED: "",
    pb.DEVICE_KIND_NATIVE: "native",
    pb.DEVICE_KIND_PASSKEY: "passkey",
}
SOFTWARE_LABELS = {
    "version": "Version",
    "platform": "Platform",
    "platform_version": "Platform version",
    "seen": "Last seen",
    "compatibility": "Compatibility",
}
# What a narrow terminal can do without
SOFTWARE_SPARE = ("platform_version", "platform", "compatibility", "seen", "version")
DEVICE_FACTS = {
    "id": "Device",
    "name": "Name",
    "state": "State",
    "kind": "Approves by",
    "backed_up": "Backed up",
    "attested_model": "Attested model",
    "invited": "Invited",
    "expires": "Expires",
}
DEVICE_LABELS = {**DEVICE_FACTS, **SOFTWARE_LABELS}


def _version(_context: click.Context, _parameter: click.Parameter, version: str) -> str:
    try:
        return version_field("the version", version)
    except InvalidInput as error:
        raise click.BadParameter(str(error)) from None


older_option = click.option(
    "--older-than",
    default="",
    metavar="VERSION",
    callback=_version,
    help="Only those whose version is known and older.",
)


@click.group(
    epilog="""\b
Examples:
  cloudcard ra device list ada@example.org
  cloudcard ra device list ada@example.org --older-than 1.10
  cloudcard ra device show "Ada's phone"
  cloudcard ra device remove "Ada's phone" --reason "lost on the train"
"""
)
def device() -> None:
    """Phones that approve."""


@device.command("list")
@click.argument("user")
@older_option
@list_options(DEVICE_LABELS)
def device_list(user: str, older_than: str, caller: Caller) -> None:
    """List the phones of USER, removed ones included, with what they said of themselves when they
    called last. USER is a name, an e-mail address, a card's
    serial number, an identifier, or the beginning of one.
    """
    user_id = find(caller, Sort.USER, user, in_use=True)
    with caller.service(IdentityServiceStub) as stub:
        pages = listed(stub.ListDevices, pb.ListDevicesRequest(user_id=user_id))
        found = [each for page in pages for each in page.devices]
    caller.print_rows(
        [device_row(each) for each in found if is_older(each, older_than)],
        DEVICE_LABELS,
        "No phones yet: cloudcard ra user invite USER",
        spare=("id", "attested_model", "backed_up", *SOFTWARE_SPARE[:3], "kind", "invited"),
    )


@device.command("show")
@click.argument("device")
@operator_options
def device_show(device: str, caller: Caller) -> None:
    """Show the phone DEVICE, its holder, and what it said of itself when it called last. DEVICE is
    its name, its holder's name or e-mail address, an identifier, or the beginning of one.
    """
    device_id = find(caller, Sort.DEVICE, device, in_use=True)
    with caller.service(IdentityServiceStub) as stub:
        found = stub.GetDevice(pb.GetDeviceRequest(device_id=device_id))
    facts = device_row(found.device) | {"holder": found.user_name, "user_id": found.user_id}
    caller.print_facts(facts, {**DEVICE_LABELS, "holder": "Holder"})


@device.command(
    "pin-code",
    epilog="""\b
Examples:
  cloudcard ra device pin-code "Ada's phone"
""",
)
@click.argument("device")
@operator_options
def device_pin_code(device: str, caller: Caller) -> None:
    """Print ten digits by which the holder of DEVICE, a phone whose page asks for a PIN, chooses
    another PIN on it. They are good for an hour and once; the newest ones alone count. DEVICE is
    its name, its holder's name or e-mail address, an identifier, or the beginning of one.
    """
    device_id = find(caller, Sort.DEVICE, device, in_use=True)
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateAppPinCode(pb.CreateAppPinCodeRequest(device_id=device_id))
    facts = {"code": made.code, "good_until": when(made.expire_time)}
    caller.print_facts(facts, {"code": "PIN code", "good_until": "Good until"})


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
    caller.print_facts(device_row(removed), DEVICE_FACTS)


def device_row(message: pb.Device) -> dict[str, Value]:
    return {
        "id": message.id,
        "name": message.display_name,
        "state": message.state,
        "kind": DEVICE_KIND.get(message.kind, "unknown"),
        "backed_up": message.backed_up,
        "attested_model": message.attested_model,
        "invited": when(message.create_time),
        "expires": identity_expiry(message),
        **software_row(message),
    }


def software_row(message: pb.Device | pb.Workstation) -> Row:
    """What a phone or workstation said of itself last."""
    said = message.software
    return {
        "version": ordered(said.version, _order(said.version)),
        "platform": said.platform,
        "platform_version": ordered(said.platform_version, _order(said.platform_version)),
        "capabilities": list(said.capabilities),
        "seen": when(said.seen_time) if message.HasField("software") else None,
        "compatibility": said.compatibility or Compatibility.UNKNOWN,
    }


def is_older(message: pb.Device | pb.Workstation, version: str) -> bool:
    """Whether a phone or workstation has an older version, as far as it is known; without a
    version, every one is meant.
    """
    said = Software(version=message.software.version)
    return not version or said.compared(version) is Compatibility.OUTDATED


def _order(version: str) -> str:
    """A text in whose order versions come; those that cannot be compared come first."""
    known = precedence(version)
    if known is None:
        return f" {version}"
    numbers, released, before = known
    whole = ".".join(f"{number:010}" for number in (*numbers, 0, 0, 0, 0)[:4])
    parts = (f"1{word}" if is_word else f"0{number:032}" for is_word, number, word in before)
    return f"{whole}~" if released else f"{whole}-{'.'.join(parts)}"
