"""`cloudcard ra pending` and `expiring`: what the registration authority has to look after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import click

from cloud_keystore.model.fields.pages import LARGEST_PAGE
from cloud_keystore.model.limits import MOST_DAYS
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.ra import renewing
from cloudcard_tools.ra.progress import next_step
from cloudcard_tools.ra.registry import expiry, list_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, dry_run_option, yes_option
from cloudcard_tools.shared.output import Row, counted

DAYS = 90
PENDING_COLUMNS = {
    "uuid12": "UUID",
    "name": "Name",
    "email": "E-mail",
    "stage": "Waits for",
    "since": "Since",
    "next": "Next step",
    "reminded": "Reminded",
    "undelivered": "Undelivered",
    "until": "Token expires",
    "card_profile": "Card type",
}
PENDING_SPARE = ("email", "since", "reminded", "undelivered", "until", "card_profile")
EXPIRING_COLUMNS = {
    "sort": "What",
    "name": "Name",
    "about": "About",
    "holder": "Holder",
    "expires": "Expires",
    "days_left": "Days",
}


@click.command(
    epilog="""\b
Examples:
  cloudcard ra pending
  cloudcard ra pending --json
"""
)
@list_options(PENDING_COLUMNS)
def pending(caller: Caller) -> None:
    """Who has not finished enrolling, since when, and what has to happen next. Those who wait for
    longest come first.
    """
    with caller.service(PeopleServiceStub) as stub:
        pages = listed(stub.ListPending, pb.ListPendingRequest())
        found = [each for page in pages for each in page.pending]
    rows = [_pending(each) for each in found]
    caller.print_rows(rows, PENDING_COLUMNS, "Everybody has finished enrolling.", PENDING_SPARE)


@click.command(
    epilog="""\b
Examples:
  cloudcard ra expiring
  cloudcard ra expiring --days 30 --json
  cloudcard ra expiring --renew --dry-run
"""
)
@click.option(
    "--days",
    type=click.IntRange(0, MOST_DAYS),
    default=DAYS,
    show_default=True,
    help="How far to look ahead.",
)
@click.option("--renew", is_flag=True, help="Renew the cards among them.")
@dry_run_option
@yes_option
@list_options(EXPIRING_COLUMNS)
def expiring(days: int, renew: bool, dry_run: bool, yes: bool, caller: Caller) -> None:
    """Cards, certificates, identities and authorities that end soon or have ended, the first to end
    first. A certificate ends when its key signs no longer. With --renew, each of the cards is
    renewed as by `card renew`.
    """
    if dry_run and not renew:
        raise click.UsageError("--dry-run goes with --renew: the list changes nothing")
    with caller.service(PeopleServiceStub) as stub:
        found = list(_ending(stub, days))
    if renew:
        _renew(found, dry_run=dry_run, yes=yes, caller=caller)
        return
    now = datetime.now(UTC)
    rows = [_expiring(each, now) for each in found]
    nothing = f"Nothing ends within {days} days."
    caller.print_rows(rows, EXPIRING_COLUMNS, nothing, ("about", "days_left"))


def _ending(stub: PeopleServiceStub, days: int) -> Iterator[pb.Expiring]:
    """All that ends, page by page."""
    after = ""
    while True:
        request = pb.ListExpiringRequest(days=days, page_size=LARGEST_PAGE, after=after)
        found = [each for page in listed(stub.ListExpiring, request) for each in page.expiring]
        yield from found
        if len(found) < LARGEST_PAGE:
            return
        after = found[-1].place


def _renew(found: Sequence[pb.Expiring], *, dry_run: bool, yes: bool, caller: Caller) -> None:
    ending = renewing.cards_of(found)
    if ending and not dry_run:
        cards = counted(len(ending), "card gets", "cards get")
        consequence = f"{cards} new keys; the old ones are destroyed, but for those that decrypt."
        confirm(consequence, yes=yes)
    with caller.service(CardServiceStub) as stub:
        rows = renewing.renew_all(stub, ending, dry_run=dry_run)
    nothing = "No card ends so soon."
    caller.print_rows(rows, renewing.COLUMNS, nothing, ("expires", "holder"))


def _pending(message: pb.Pending) -> Row:
    user, progress = message.user, message.progress
    return {
        "id": user.id,
        "uuid12": user.uuid12,
        "name": user.display_name,
        "email": user.email,
        "stage": progress.stage,
        "since": when(progress.since),
        "until": when(progress.until) if progress.HasField("until") else None,
        "card": progress.card_serial or None,
        "card_profile": message.card_profile,
        "reminded": when(message.remind_time) if message.HasField("remind_time") else None,
        "undelivered": message.undelivered,
        "cause": message.cause or None,
        "next": next_step(user, progress, message.cause),
    }


def _expiring(message: pb.Expiring, now: datetime) -> Row:
    return {
        "sort": message.sort,
        "name": message.name,
        "about": message.about,
        "holder": message.holder,
        "expires": expiry(message.expire_time, timedelta(0)),
        "days_left": (message.expire_time.ToDatetime(UTC) - now).days,
    }
