"""`cloudcard ra card`: cards, from their issue to their end."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from card_os.uses import REQUEST_ID_BYTES
from cloud_keystore.model.fields.pages import CARD_COLUMNS as SORTED_BY
from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import cards_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard_tools import new_files
from cloudcard_tools.new_files import INTO
from cloudcard_tools.ra import renewing
from cloudcard_tools.ra.external import telling
from cloudcard_tools.ra.registry import (
    ALGORITHM,
    CARD_STATE,
    CODES,
    COMPROMISE,
    card_filters,
    expiry,
    find,
    operator_options,
    sort_option,
    when,
)
from cloudcard_tools.shared import output
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, dry_run_option, yes_option
from cloudcard_tools.shared.finding import both
from cloudcard_tools.shared.output import Row, Value, counted, remarked

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
UNISSUED = (pb.CARD_STATE_ISSUING, pb.CARD_STATE_FAILED, pb.CARD_STATE_CANCELLED)
CARD_COLUMNS = {key: CARD_LABELS[key] for key in CARD_LABELS if key != "issued"}

AGREE = (
    "The holder agrees on the phone (cloudcard authenticator unlock), or a second operator gives "
    "this command too."
)

CHOOSE = "The holder chooses another PIN: cloudcard authenticator passcode {serial} --code"

REVOKED_AT_ONCE = (
    "The card {card} is taken out of use for ever, at once, and its keys are destroyed: what was "
    "encrypted for them can never be read again. Whatever it has signed counts for nothing any "
    "longer."
)

card_argument = click.argument("card")


@click.group(
    epilog="""\b
Examples:
  cloudcard ra card issue ada@example.org --profile v2
  cloudcard ra card show ada@example.org --export certificates
  cloudcard ra card unlock 1500000000000017
  cloudcard ra card code 1500000000000017
  cloudcard ra card suspend 1500000000000017
  cloudcard ra card resume 1500000000000017
  cloudcard ra card cancel 1500000000000017
  cloudcard ra card renew 1500000000000017
  cloudcard ra card replace 1500000000000017 --reason damaged
  cloudcard ra card revoke 1500000000000017 --reason "left the trust"

\b
CARD is a serial number, its holder's name or e-mail address, or the beginning of one. If there are
several, they are listed.
"""
)
def card() -> None:
    """Cards."""


@card.command("issue")
@click.argument("user")
@click.option(
    "--profile", default="", help="A profile of `profile list`; by default the one marked *."
)
@click.option("--organisation", default="", help="Its name or ID, or the beginning of one.")
@operator_options
def card_issue(user: str, profile: str, organisation: str, caller: Caller) -> None:
    """Issue a card to USER: keys, certificates and PIV objects. USER is a name, an e-mail address,
    an identifier, or the beginning of one.

    The holder then chooses the passcode on the phone: `cloudcard authenticator passcode SERIAL`.
    """
    organisation_id = find(caller, Sort.ORGANISATION, organisation)
    request = pb.IssueCardRequest(
        request_id=os.urandom(REQUEST_ID_BYTES),
        user_id=find(caller, Sort.USER, user, in_use=True),
        profile=profile,
        organisation_id=organisation_id,
    )
    with caller.service(CardServiceStub) as stub:
        made = stub.IssueCard(request).card
    caller.print_facts(_whole_card(made), CARD_LABELS)


@card.command("list")
@sort_option(SORTED_BY)
@operator_options
@card_filters
def card_list(chosen: pb.CardFilter, sort: str, caller: Caller) -> None:
    """List cards."""
    request = pb.ListCardsRequest(sort=sort, filter=chosen)
    with caller.service(CardServiceStub) as stub:
        pages = listed(stub.ListCards, request)
        cards = [card_row(each) for page in pages for each in page.cards]
    caller.print_rows(
        cards,
        CARD_COLUMNS,
        "No cards yet: cloudcard ra card issue USER",
        spare=("passcode", "profile"),
    )


@card.command("show")
@card_argument
@click.option(
    "--export",
    type=INTO,
    help="Write the certificates (9A.pem …) and the issuer's (ca.pem) into this folder.",
)
@operator_options
def card_show(card: str, export: Path | None, caller: Caller) -> None:
    """Show CARD with its keys."""
    serial = find(caller, Sort.CARD, card)
    with caller.service(CardServiceStub) as stub:
        found = stub.GetCard(pb.GetCardRequest(card_serial=serial)).card
    written = [] if export is None else _export(found, export)
    facts = {
        **_whole_card(found),
        "replaces": found.replaces_serial or None,
        "replaced_by": found.replaced_by_serial or None,
        "external_issuer": found.external_issuer or None,
        "written": [str(path) for path in written],
    }
    linked = {key: label for key, label in telling.LINKS.items() if facts[key]}
    labels = CARD_LABELS | linked | {"keys": "Keys"} | ({"written": "Written"} if written else {})
    caller.print_facts(facts, labels)


@card.command("unlock")
@card_argument
@operator_options
def card_unlock(card: str, caller: Caller) -> None:
    """Restore the tries of a locked passcode of CARD. The passcode stays the same.

    Somebody else has to agree: the holder with `cloudcard authenticator unlock`, or a second
    operator with this command.
    """
    serial = find(caller, Sort.CARD, card, in_use=True)
    with caller.service(CardServiceStub) as stub:
        asked = stub.UnlockCard(pb.UnlockCardRequest(card_serial=serial))
    waits = when(asked.expire_time) if asked.HasField("expire_time") else None
    labels = CARD_LABELS | ({"agree_until": "Agree until"} if waits else {})
    caller.print_facts(card_row(asked.card) | {"agree_until": waits}, labels)
    if waits and not caller.as_json:
        click.echo(f"Not unlocked yet. {AGREE}", err=True)


@card.command("code")
@card_argument
@operator_options
def card_code(card: str, caller: Caller) -> None:
    """Make a one-time code for the holder of CARD, who has forgotten or locked the PIN. Read it out
    to nobody else: the holder chooses another PIN with it on the phone. You see none.

    It counts on no phone that you have invited yourself, unless the PIN was chosen on it.
    """
    serial = find(caller, Sort.CARD, card, in_use=True)
    with caller.service(CardServiceStub) as stub:
        made = stub.CreateUnlockCode(pb.CreateUnlockCodeRequest(card_serial=serial))
    facts = {"serial": serial, "code": made.code, "good_until": when(made.expire_time)}
    caller.print_facts(facts, {"serial": "Card", "code": "Code", "good_until": "Good until"})
    if not caller.as_json:
        click.echo(CHOOSE.format(serial=serial), err=True)


@card.command("suspend")
@card_argument
@operator_options
def card_suspend(card: str, caller: Caller) -> None:
    """Take CARD out of use until it is resumed."""
    serial = find(caller, Sort.CARD, card, in_use=True)
    _change(caller, lambda stub: stub.SuspendCard(pb.SuspendCardRequest(card_serial=serial)).card)


@card.command("resume")
@card_argument
@operator_options
def card_resume(card: str, caller: Caller) -> None:
    """Put the suspended CARD back in use, or go on issuing one that is not issued yet: because
    that has failed, or was cancelled, or the keystore ended meanwhile.
    """
    serial = find(caller, Sort.CARD, card)

    def resume(stub: CardServiceStub) -> pb.Card:
        state = stub.GetCard(pb.GetCardRequest(card_serial=serial)).card.state
        if state in UNISSUED:
            return stub.ResumeIssuing(pb.ResumeIssuingRequest(card_serial=serial)).card
        return stub.ResumeCard(pb.ResumeCardRequest(card_serial=serial)).card

    _change(caller, resume)


@card.command("cancel")
@card_argument
@operator_options
def card_cancel(card: str, caller: Caller) -> None:
    """Give up CARD, which is not issued yet. What was made for it is destroyed; `card resume` makes
    it after all.
    """
    serial = find(caller, Sort.CARD, card, in_use=True)
    request = pb.CancelIssuingRequest(card_serial=serial)
    _change(caller, lambda stub: stub.CancelIssuing(request).card)


@card.command("renew")
@card_argument
@dry_run_option
@operator_options
def card_renew(card: str, dry_run: bool, caller: Caller) -> None:
    """Renew CARD, which ends within 90 days or has ended: new keys and certificates on the same
    card. Its passcode stays, and what was encrypted for it can still be read.
    """
    serial = find(caller, Sort.CARD, card, in_use=True)
    with caller.service(CardServiceStub) as stub:
        done = renewing.renew(stub, serial, dry_run=dry_run)
    facts = card_row(done.card) | renewing.facts(done) | {"dry_run": dry_run}
    labels = CARD_LABELS | renewing.labels(done)
    caller.print_facts(facts, labels | ({"new_expiry": "Would expire"} if dry_run else {}))
    if (note := renewing.note(done, dry_run=dry_run)) and not caller.as_json:
        click.echo(note, err=True)


@card.command("replace")
@card_argument
@click.option("--reason", type=click.Choice(list(renewing.REASONS)), required=True, help="Why.")
@dry_run_option
@yes_option
@operator_options
def card_replace(card: str, reason: str, dry_run: bool, yes: bool, caller: Caller) -> None:
    """Issue a card in the place of CARD, to the same holder. CARD is revoked when the new one is in
    use, or at once if it is compromised. Repeated, it issues no other card.
    """
    serial = find(caller, Sort.CARD, card, in_use=True)
    with caller.service(CardServiceStub) as stub:
        if reason == renewing.COMPROMISED and not dry_run:
            confirm(REVOKED_AT_ONCE.format(card=both(card, serial)), yes=yes)
        request = pb.ReplaceCardRequest(
            card_serial=serial, reason=renewing.REASONS[reason], dry_run=dry_run
        )
        done = stub.ReplaceCard(request)
    shown = card_row(done.card) if done.HasField("card") else dict.fromkeys(CARD_LABELS)
    facts = {
        **shown,
        "replaces": done.replaced.serial,
        "before": CARD_STATE.get(done.replaced.state, "unknown"),
        "dry_run": dry_run,
    }
    caller.print_facts(facts, CARD_LABELS | {"replaces": "Replaces", "before": "Which is"})
    if dry_run and not caller.as_json:
        click.echo("Nothing was changed.", err=True)


@card.command("revoke")
@card_argument
@click.option("--reason", required=True, help="Why; kept as evidence.")
@click.option(
    "--code",
    type=click.Choice(list(CODES)),
    help="Why, for whoever checks certificates; by default nothing is told.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="With key-compromise: since when (UTC) the keys may be in wrong hands; by default since "
    "the card was issued.",
)
@yes_option
@operator_options
def card_revoke(
    card: str, reason: str, code: str | None, since: datetime | None, yes: bool, caller: Caller
) -> None:
    """Take CARD out of use for ever, revoke its certificates and destroy its keys."""
    serial = find(caller, Sort.CARD, card, in_use=True)
    past = ""
    if code == COMPROMISE:
        moment = f"{since:%Y-%m-%d %H:%M} UTC" if since else "it was issued"
        past = f" Whatever it has signed since {moment} counts for nothing any longer."
    confirm(
        f"The card {both(card, serial)} is taken out of use for ever, and its keys are destroyed: "
        f"what was encrypted for them can never be read again.{past}",
        yes=yes,
    )
    request = pb.RevokeCardRequest(card_serial=serial, reason=reason)
    if code is not None:
        request.code = CODES[code]
    if since is not None:
        request.invalid_time.FromDatetime(since)
    _change(caller, lambda stub: stub.RevokeCard(request).card)


def _change(caller: Caller, call: Callable[[CardServiceStub], pb.Card]) -> None:
    with caller.service(CardServiceStub) as stub:
        changed = call(stub)
        whole = stub.GetCard(pb.GetCardRequest(card_serial=changed.serial)).card
    facts = card_row(changed) | {"external_issuer": whole.external_issuer or None}
    caller.print_facts(facts, CARD_LABELS)
    if whole.external_issuer and not caller.as_json:
        click.echo(telling.elsewhere(whole), err=True)


def card_row(message: pb.Card) -> dict[str, Value]:
    passcode = (
        "not set yet"
        if message.state in (*UNISSUED, pb.CARD_STATE_PENDING)
        else counted(message.tries_left, "try left", "tries left")
        if message.tries_left
        else "locked"
    )
    return {
        "serial": message.serial,
        "guid": message.guid.hex(),
        "user_id": message.user_id,
        "user_display_name": message.user_display_name,
        "profile": remarked(message.profile, message.series),
        "series": message.series or None,
        "custom_profile": message.custom_profile or None,
        "organisation": message.organisation_id,
        "state": CARD_STATE.get(message.state, "unknown"),
        "passcode": passcode,
        "tries_left": message.tries_left,
        "issued": when(message.create_time),
        "expires": expiry(message.expire_time),
        "spine_logins": message.spine_logins,
        "spine_login": when(message.spine_login_time),
        "cause": message.cause or None,
        "next": telling.next_step(message) or None,
    }


def _whole_card(message: pb.Card) -> Row:
    return card_row(message) | {"keys": [_key(key) for key in message.keys]}


def _key(message: pb.Key) -> Row:
    facts: dict[str, Value] = {
        "key_ref": f"{message.key_ref:02X}",
        "algorithm": ALGORITHM.get(message.algorithm, "unknown"),
        "expires": None,
        "subject": None,
        "certificate_serial": None,
    }
    if message.certificate:
        certificate = x509.load_der_x509_certificate(message.certificate)
        facts["subject"] = certificate.subject.rfc4514_string(SUBJECT_NAMES)
        facts["certificate_serial"] = f"{certificate.serial_number:x}"
        facts["expires"] = output.expiry(certificate.not_valid_after_utc, datetime.now(UTC))
    return facts


def _export(message: pb.Card, folder: Path) -> list[Path]:
    """Write a card's certificates and its issuer's; return the files."""
    named = {f"{key.key_ref:02X}.pem": key.certificate for key in message.keys if key.certificate}
    files = {folder / name: der for name, der in named.items()}
    files[folder / "ca.pem"] = message.issuer_certificate
    for path in files:
        new_files.require_new(path, "name another folder, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as written:
        for path, der in files.items():
            pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
            written.enter_context(new_files.opened(path)).write(pem.decode())
    return list(files)
