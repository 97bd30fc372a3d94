"""`cloudcard ra card`: cards, from their issue to their end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard_tools.ra.registry import ALGORITHM, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.output import Row, Value

CARD_STATE = {
    pb.CARD_STATE_PENDING: "pending",
    pb.CARD_STATE_ACTIVE: "active",
    pb.CARD_STATE_SUSPENDED: "suspended",
    pb.CARD_STATE_REVOKED: "revoked",
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


@click.group()
def card() -> None:
    """Cards."""


@card.command("issue")
@click.argument("user_id")
@click.option(
    "--profile", default="", help="A profile of `profile list`; by default the one marked *."
)
@click.option("--organisation", "organisation_id", default="", help="An ID of `organisation list`.")
@operator_options
def card_issue(user_id: str, profile: str, organisation_id: str, caller: Caller) -> None:
    """Issue a card to USER_ID: keys, certificates and PIV objects.

    The holder then chooses the passcode on the phone: `cloudcard authenticator passcode SERIAL`.
    """
    request = pb.IssueCardRequest(
        request_id=os.urandom(REQUEST_ID_BYTES),
        user_id=user_id,
        profile=profile,
        organisation_id=organisation_id,
    )
    with caller.service(CardServiceStub) as stub:
        made = stub.IssueCard(request).card
    caller.print_facts(_whole_card(made), CARD_LABELS)


@card.command("list")
@operator_options
def card_list(caller: Caller) -> None:
    """List cards."""
    with caller.service(CardServiceStub) as stub:
        cards = stub.ListCards(pb.ListCardsRequest()).cards
    caller.print_rows(
        [_card(each) for each in cards],
        CARD_COLUMNS,
        "No cards yet: cloudcard ra card issue USER_ID",
    )


@card.command("show")
@click.argument("serial")
@click.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the certificates (9A.pem …) and the issuer's (ca.pem) into this folder.",
)
@operator_options
def card_show(serial: str, export: Path | None, caller: Caller) -> None:
    """Show the card SERIAL with its keys."""
    with caller.service(CardServiceStub) as stub:
        found = stub.GetCard(pb.GetCardRequest(card_serial=serial)).card
    if export is not None:
        _export(found, export)
    caller.print_facts(_whole_card(found), CARD_LABELS | {"keys": "Keys"})


@card.command("unlock")
@click.argument("serial")
@operator_options
def card_unlock(serial: str, caller: Caller) -> None:
    """Restore the tries of a locked passcode of the card SERIAL. The passcode stays the same."""
    _change(caller, lambda stub: stub.UnlockCard(pb.UnlockCardRequest(card_serial=serial)).card)


@card.command("suspend")
@click.argument("serial")
@operator_options
def card_suspend(serial: str, caller: Caller) -> None:
    """Take the card SERIAL out of use until it is resumed."""
    _change(caller, lambda stub: stub.SuspendCard(pb.SuspendCardRequest(card_serial=serial)).card)


@card.command("resume")
@click.argument("serial")
@operator_options
def card_resume(serial: str, caller: Caller) -> None:
    """Put the suspended card SERIAL back in use."""
    _change(caller, lambda stub: stub.ResumeCard(pb.ResumeCardRequest(card_serial=serial)).card)


@card.command("revoke")
@click.argument("serial")
@click.option("--reason", required=True, help="Why; kept as evidence.")
@click.confirmation_option(prompt="Its keys are destroyed. Go on?")
@operator_options
def card_revoke(serial: str, reason: str, caller: Caller) -> None:
    """Take the card SERIAL out of use for ever and destroy its keys."""
    _change(
        caller,
        lambda stub: stub.RevokeCard(pb.RevokeCardRequest(card_serial=serial, reason=reason)).card,
    )


def _change(caller: Caller, call: Callable[[CardServiceStub], pb.Card]) -> None:
    with caller.service(CardServiceStub) as stub:
        changed = call(stub)
    caller.print_facts(_card(changed), CARD_LABELS)


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
        "organisation": message.organisation_id,
        "state": CARD_STATE.get(message.state, "unknown"),
        "passcode": passcode,
        "tries_left": message.tries_left,
        "issued": when(message.create_time),
        "expires": when(message.expire_time),
    }


def _whole_card(message: pb.Card) -> Row:
    return _card(message) | {"keys": [_key(key) for key in message.keys]}


def _key(message: pb.Key) -> Row:
    facts: dict[str, Value] = {
        "key_ref": f"{message.key_ref:02X}",
        "algorithm": ALGORITHM.get(message.algorithm, "unknown"),
        "subject": None,
        "certificate_serial": None,
    }
    if message.certificate:
        certificate = x509.load_der_x509_certificate(message.certificate)
        facts["subject"] = certificate.subject.rfc4514_string(SUBJECT_NAMES)
        facts["certificate_serial"] = f"{certificate.serial_number:x}"
    return facts


def _export(message: pb.Card, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{key.key_ref:02X}.pem": key.certificate for key in message.keys if key.certificate}
    for name, der in (named | {"ca.pem": message.issuer_certificate}).items():
        pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        (folder / name).write_bytes(pem)
