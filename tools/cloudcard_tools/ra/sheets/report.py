"""`cloudcard ra report`: how many cards there are, and who may do what where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.sheets.reading import DELIMITERS
from cloudcard.registry.v1 import cards_pb2, organisations_pb2, roles_pb2
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard.registry.v1.roles_pb2_grpc import RoleServiceStub
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.ra.registry import CARD_STATE, card_filters, list_options, when
from cloudcard_tools.ra.sheets import writing
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Row, in_order

CARD_COLUMNS = {
    "organisation": "Organisation",
    "profile": "Card type",
    "series": "Series",
    "state": "State",
    "cards": "Cards",
}
ACCESS_COLUMNS = {
    "who": "Who",
    "identity_state": "State",
    "role": "Role",
    "organisation": "Organisation",
    "from": "From",
    "until": "Until",
    "granted_by": "Granted by",
}
ACCESS_SPARE = ("granted_by", "from", "until", "identity_state")
WRITTEN = {"file": "File", "rows": "Rows"}

file_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--output", "-o", "file", type=NEW_FILE, help="A new CSV file, instead of a table."
)


@click.group(
    epilog="""\b
Examples:
  cloudcard ra report cards
  cloudcard ra report cards --serial-prefix 150 --state active --json
  cloudcard ra report access --as-of 2026-06-30 -o access.csv
"""
)
def report() -> None:
    """How many cards there are, and who may do what where."""


@report.command("cards")
@file_option
@list_options(CARD_COLUMNS)
@card_filters
def report_cards(chosen: cards_pb2.CardFilter, file: Path | None, caller: Caller) -> None:
    """Count cards by organisation, type and state."""
    request = cards_pb2.CountCardsRequest(filter=chosen)
    with caller.service(
        lambda channel: (CardServiceStub(channel), OrganisationServiceStub(channel))
    ) as (cards, organisations):
        counts = cards.CountCards(request).counts
        pages = listed(
            organisations.ListOrganisations, organisations_pb2.ListOrganisationsRequest()
        )
        names = {each.id: each.name for page in pages for each in page.organisations}
    rows = [_count(each, names) for each in counts]
    _print(rows, CARD_COLUMNS, "No cards.", (), file, caller)


@report.command("access")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="What was in force then: a day of UTC, from its beginning, or a time.  [default: now]",
)
@file_option
@list_options(ACCESS_COLUMNS)
def report_access(as_of: datetime | None, file: Path | None, caller: Caller) -> None:
    """Show who had which role where. What was granted or removed later is not in it; the state is
    that of today.
    """
    request = roles_pb2.ListAssignmentsRequest()
    request.as_of.FromDatetime(datetime.now(UTC) if as_of is None else as_of)
    with caller.service(RoleServiceStub) as stub:
        pages = listed(stub.ListAssignments, request)
        rows = [_access(each) for page in pages for each in page.assignments]
    _print(rows, ACCESS_COLUMNS, "Nobody had any role.", ACCESS_SPARE, file, caller)


def _print(
    rows: Sequence[Row],
    columns: Mapping[str, str],
    nothing: str,
    spare: Sequence[str],
    file: Path | None,
    caller: Caller,
) -> None:
    if file is None:
        caller.print_rows(rows, columns, nothing, spare)
        return
    with writing.whole(
        file, DELIMITERS["comma"], [each.lower() for each in columns.values()]
    ) as to:
        for row in in_order(rows, caller.sort):
            to.add("" if row[each] is None else str(row[each]) for each in columns)
    caller.print_facts({"file": str(file), "rows": len(rows)}, WRITTEN)


def _count(message: cards_pb2.CardCount, names: Mapping[str, str]) -> Row:
    profile = PROFILES.get(message.profile)
    return {
        "organisation": names.get(message.organisation_id, message.organisation_id),
        "profile": message.profile,
        "series": None if profile is None else profile.series,
        "state": CARD_STATE[message.state],
        "cards": message.cards,
    }


def _access(message: roles_pb2.Assignment) -> Row:
    return {
        "who": message.display_name,
        "identity_state": message.identity_state,
        "role": message.role,
        "organisation": message.organisation_name,
        "from": when(message.from_time),
        "until": when(message.until_time) if message.HasField("until_time") else None,
        "granted_by": message.granted_by,
    }
