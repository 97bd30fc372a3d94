"""`cloudcard ra`: the registration authority's command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from google.protobuf.timestamp_pb2 import Timestamp

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import registry_pb2 as pb
from cloudcard.registry.v1 import registry_pb2_grpc
from cloudcard_tools import enrolling, identity
from cloudcard_tools.failures import failures
from cloudcard_tools.output import Row, Value, iso_time, json_option, print_facts, print_rows

ROLE = "operator"
TIMEOUT_SECONDS = 15.0

CARD_STATE = {
    pb.CARD_STATE_PENDING: "pending",
    pb.CARD_STATE_ACTIVE: "active",
    pb.CARD_STATE_SUSPENDED: "suspended",
    pb.CARD_STATE_REVOKED: "revoked",
}
ALGORITHM = {
    approval_pb2.ALGORITHM_RSA_2048: "RSA-2048",
    approval_pb2.ALGORITHM_ECC_P256: "P-256",
}
SUBJECT_NAMES = {NameOID.SERIAL_NUMBER: "serialNumber"}
CARD_LABELS = {
    "serial": "Card",
    "user_display_name": "Holder",
    "state": "State",
    "passcode": "Passcode",
    "profile": "Profile",
    "issued": "Issued",
    "expires": "Expires",
}
CARD_COLUMNS = {key: CARD_LABELS[key] for key in CARD_LABELS if key != "issued"}

identity_option = enrolling.identity_option(ROLE)


@contextmanager
def registry(folder: Path) -> Iterator[registry_pb2_grpc.RegistryServiceStub]:
    """The service under the operator's identity; its failures become Failures."""
    with failures(), identity.channel(identity.load(folder)) as channel:
        yield registry_pb2_grpc.RegistryServiceStub(channel)


@click.group(
    epilog="""\b
Examples:
  cloudcard ra enrol --token-file ~/.local/share/cloudcard/keystore/operator.token
  cloudcard ra user add "Ada Byron" --email ada@example.org
  cloudcard ra card issue USER_ID --profile rsa2048
  cloudcard ra card list --json
"""
)
def ra() -> None:
    """Registration authority: people, workstations and cards."""


@ra.command()
@enrolling.token_argument
@enrolling.token_file_option
@identity_option
def enrol(token: str | None, token_file: Path | None, folder: Path) -> None:
    """Make this computer an operator's, by a one-time TOKEN."""
    enrolling.enrol(token, token_file, folder, ROLE)


@ra.group()
def user() -> None:
    """People who hold cards."""


@user.command("add")
@click.argument("name")
@click.option("--email", default="", help="E-mail address.")
@identity_option
@json_option
def user_add(name: str, email: str, folder: Path, as_json: bool) -> None:
    """Add a person called NAME; prints a one-time token for the person's phone."""
    with registry(folder) as stub:
        made = stub.CreateUser(
            pb.CreateUserRequest(display_name=name, email=email), timeout=TIMEOUT_SECONDS
        )
    facts = _user(made.user) | _token(made.device_token)
    labels = {
        "id": "User",
        "name": "Name",
        "token": "Phone's token",
        "token_expires": "Token expires",
    }
    print_facts(facts, labels, as_json=as_json)


@user.command("list")
@identity_option
@json_option
def user_list(folder: Path, as_json: bool) -> None:
    """List people."""
    with registry(folder) as stub:
        users = stub.ListUsers(pb.ListUsersRequest(), timeout=TIMEOUT_SECONDS).users
    columns = {
        "id": "User",
        "name": "Name",
        "email": "E-mail",
        "devices": "Devices",
        "cards": "Cards",
    }
    print_rows(
        [_user(each) for each in users],
        columns,
        "No users yet: cloudcard ra user add NAME",
        as_json=as_json,
    )


@user.command("invite")
@click.argument("user_id")
@identity_option
@json_option
def user_invite(user_id: str, folder: Path, as_json: bool) -> None:
    """Print a one-time token for one more phone of USER_ID."""
    with registry(folder) as stub:
        made = stub.CreateDeviceToken(
            pb.CreateDeviceTokenRequest(user_id=user_id), timeout=TIMEOUT_SECONDS
        )
    labels = {"token": "Phone's token", "token_expires": "Token expires"}
    print_facts(_token(made.device_token), labels, as_json=as_json)


@ra.group()
def workstation() -> None:
    """Computers with a reader."""


@workstation.command("add")
@click.argument("name")
@click.option("--site", default="", help="Place, shown on the phone.")
@identity_option
@json_option
def workstation_add(name: str, site: str, folder: Path, as_json: bool) -> None:
    """Add a workstation called NAME; prints a one-time token for `cloudcard reader enrol`."""
    with registry(folder) as stub:
        made = stub.CreateWorkstation(
            pb.CreateWorkstationRequest(display_name=name, site=site), timeout=TIMEOUT_SECONDS
        )
    facts = _workstation(made.workstation) | _token(made.token)
    labels = {
        "id": "Workstation",
        "name": "Name",
        "site": "Site",
        "token": "Token",
        "token_expires": "Token expires",
    }
    print_facts(facts, labels, as_json=as_json)


@workstation.command("list")
@identity_option
@json_option
def workstation_list(folder: Path, as_json: bool) -> None:
    """List workstations."""
    with registry(folder) as stub:
        found = stub.ListWorkstations(
            pb.ListWorkstationsRequest(), timeout=TIMEOUT_SECONDS
        ).workstations
    columns = {"id": "Workstation", "name": "Name", "site": "Site", "enrolled": "Enrolled"}
    print_rows(
        [_workstation(each) for each in found],
        columns,
        "No workstations yet: cloudcard ra workstation add NAME",
        as_json=as_json,
    )


@ra.group()
def card() -> None:
    """Cards."""


@card.command("issue")
@click.argument("user_id")
@click.option(
    "--profile", default="rsa2048", show_default=True, help="What to make: rsa2048 or p256."
)
@identity_option
@json_option
def card_issue(user_id: str, profile: str, folder: Path, as_json: bool) -> None:
    """Make a card for USER_ID: keys, certificates and PIV objects.

    The holder then chooses the passcode on the phone: cloudcard authenticator passcode SERIAL.
    """
    request = pb.IssueCardRequest(request_id=os.urandom(16), user_id=user_id, profile=profile)
    with registry(folder) as stub:
        made = stub.IssueCard(request, timeout=TIMEOUT_SECONDS).card
    print_facts(_whole_card(made), CARD_LABELS, as_json=as_json)


@card.command("list")
@identity_option
@json_option
def card_list(folder: Path, as_json: bool) -> None:
    """List cards."""
    with registry(folder) as stub:
        cards = stub.ListCards(pb.ListCardsRequest(), timeout=TIMEOUT_SECONDS).cards
    print_rows(
        [_card(each) for each in cards],
        CARD_COLUMNS,
        "No cards yet: cloudcard ra card issue USER_ID",
        as_json=as_json,
    )


@card.command("show")
@click.argument("serial")
@click.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the certificates (9A.pem …) and the issuer's (ca.pem) into this folder.",
)
@identity_option
@json_option
def card_show(serial: str, export: Path | None, folder: Path, as_json: bool) -> None:
    """Show the card SERIAL with its keys."""
    with registry(folder) as stub:
        found = stub.GetCard(pb.GetCardRequest(card_serial=serial), timeout=TIMEOUT_SECONDS).card
    if export is not None:
        _export(found, export)
    print_facts(_whole_card(found), CARD_LABELS | {"keys": "Keys"}, as_json=as_json)


@card.command("unlock")
@click.argument("serial")
@identity_option
@json_option
def card_unlock(serial: str, folder: Path, as_json: bool) -> None:
    """Restore the tries of a locked passcode of the card SERIAL; the passcode stays."""
    _change(
        folder,
        as_json,
        lambda stub: (
            stub.UnlockCard(pb.UnlockCardRequest(card_serial=serial), timeout=TIMEOUT_SECONDS).card
        ),
    )


@card.command("suspend")
@click.argument("serial")
@identity_option
@json_option
def card_suspend(serial: str, folder: Path, as_json: bool) -> None:
    """Take the card SERIAL out of use until it is resumed."""
    _change(
        folder,
        as_json,
        lambda stub: (
            stub.SuspendCard(
                pb.SuspendCardRequest(card_serial=serial), timeout=TIMEOUT_SECONDS
            ).card
        ),
    )


@card.command("resume")
@click.argument("serial")
@identity_option
@json_option
def card_resume(serial: str, folder: Path, as_json: bool) -> None:
    """Put the suspended card SERIAL back in use."""
    _change(
        folder,
        as_json,
        lambda stub: (
            stub.ResumeCard(pb.ResumeCardRequest(card_serial=serial), timeout=TIMEOUT_SECONDS).card
        ),
    )


@card.command("revoke")
@click.argument("serial")
@click.option("--reason", required=True, help="Why; kept as evidence.")
@click.confirmation_option(prompt="Its keys are destroyed. Go on?")
@identity_option
@json_option
def card_revoke(serial: str, reason: str, folder: Path, as_json: bool) -> None:
    """Take the card SERIAL out of use for ever and destroy its keys."""
    _change(
        folder,
        as_json,
        lambda stub: (
            stub.RevokeCard(
                pb.RevokeCardRequest(card_serial=serial, reason=reason), timeout=TIMEOUT_SECONDS
            ).card
        ),
    )


def _change(
    folder: Path, as_json: bool, call: Callable[[registry_pb2_grpc.RegistryServiceStub], pb.Card]
) -> None:
    with registry(folder) as stub:
        changed = call(stub)
    print_facts(_card(changed), CARD_LABELS, as_json=as_json)


def _user(message: pb.User) -> dict[str, Value]:
    return {
        "id": message.id,
        "name": message.display_name,
        "email": message.email,
        "created": _time(message.create_time),
        "devices": message.device_count,
        "cards": list(message.card_serials),
    }


def _workstation(message: pb.Workstation) -> dict[str, Value]:
    return {
        "id": message.id,
        "name": message.display_name,
        "site": message.site,
        "enrolled": message.enrolled,
        "created": _time(message.create_time),
    }


def _token(message: pb.Token) -> dict[str, Value]:
    return {"token": message.text, "token_expires": _time(message.expire_time)}


def _card(message: pb.Card) -> dict[str, Value]:
    unset = message.state == pb.CARD_STATE_PENDING
    passcode = (
        "not set yet"
        if unset
        else f"{message.tries_left} tries left"
        if message.tries_left
        else "locked"
    )
    return {
        "serial": message.serial,
        "guid": message.guid.hex(),
        "user_id": message.user_id,
        "user_display_name": message.user_display_name,
        "profile": message.profile,
        "state": CARD_STATE.get(message.state, "unknown"),
        "passcode": passcode,
        "tries_left": message.tries_left,
        "issued": _time(message.create_time),
        "expires": _time(message.expire_time),
    }


def _whole_card(message: pb.Card) -> Row:
    return _card(message) | {"keys": [_key(key) for key in message.keys]}


def _key(message: pb.Key) -> Row:
    certificate = x509.load_der_x509_certificate(message.certificate)
    return {
        "key_ref": f"{message.key_ref:02X}",
        "algorithm": ALGORITHM.get(message.algorithm, "unknown"),
        "subject": certificate.subject.rfc4514_string(SUBJECT_NAMES),
        "certificate_serial": f"{certificate.serial_number:x}",
    }


def _export(message: pb.Card, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{key.key_ref:02X}.pem": key.certificate for key in message.keys}
    for name, der in (named | {"ca.pem": message.issuer_certificate}).items():
        pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        (folder / name).write_bytes(pem)


def _time(stamp: Timestamp) -> str:
    return iso_time(stamp.ToDatetime())
