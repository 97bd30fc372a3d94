"""`cloudcard ra export`: people and cards as CSV files, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click
import grpc

from cloud_keystore.model.people import Stage
from cloud_keystore.model.sheets.candidates import COLUMNS
from cloud_keystore.model.sheets.reading import DELIMITERS
from cloudcard.registry.v1 import cards_pb2, organisations_pb2
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.ra.cards import card_row
from cloudcard_tools.ra.people import STATES
from cloudcard_tools.ra.progress import next_step
from cloudcard_tools.ra.registry import card_filters, operator_options, when
from cloudcard_tools.ra.sheets import writing
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed

Item = TypeVar("Item")
Stub = TypeVar("Stub")

PAGE = 500
USER_HEADERS = (*COLUMNS, "uuid12", "state", "phones", "cards", "created")
PENDING_HEADERS = (
    *(*COLUMNS, "uuid12", "waits for", "since", "token expires", "last reminder"),
    *("undelivered", "card", "card type", "next step"),
)
CARD_HEADERS = (
    *("serial", "holder", "holder id", "state", "passcode", "profile"),
    *("organisation", "issued", "expires"),
)
LABELS = {"file": "File", "rows": "Rows"}

file_options: Sequence[Callable[..., Callable[..., None]]] = (
    click.option("--output", "-o", "file", type=NEW_FILE, required=True, help="The new file."),
    click.option(
        "--delimiter",
        type=click.Choice(list(DELIMITERS)),
        default="comma",
        show_default=True,
        help="What is between cells.",
    ),
)


def _into_a_file(command: Callable[..., None]) -> Callable[..., None]:
    for option in file_options:
        command = option(command)
    return command


@click.group(
    epilog="""\b
Examples:
  cloudcard ra export users -o people.csv
  cloudcard ra export users --search byron --state enrolled -o byron.csv
  cloudcard ra export pending -o pending.csv
  cloudcard ra export cards --serial-prefix 150 --delimiter semicolon -o cards.csv
"""
)
def export() -> None:
    """Write people and cards to CSV files, which are readable by nobody else."""


@export.command("users")
@click.option("--search", default="", help="Only whom `user find` finds by this.")
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only people of this state. Repeatable; by default all who have not left.",
)
@_into_a_file
@operator_options
def export_users(
    search: str, states: Sequence[str], file: Path, delimiter: str, caller: Caller
) -> None:
    """Write people to a file that can be imported again."""
    wanted = states or STATES[:2]
    with caller.service(_with_organisations(PeopleServiceStub)) as (stub, of):
        names = _organisations(of)
        rows = (_user(each, names) for each in _users(stub, search, wanted))
        _write(caller, file, delimiter, USER_HEADERS, rows)


@export.command("pending")
@click.option(
    "--stage",
    "stages",
    type=click.Choice([each.value for each in Stage if each not in (Stage.ENROLLED, Stage.CLOSED)]),
    multiple=True,
    help="Only people who wait for this. Repeatable.",
)
@_into_a_file
@operator_options
def export_pending(stages: Sequence[str], file: Path, delimiter: str, caller: Caller) -> None:
    """Write who has not finished enrolling, and what has to happen next."""
    with caller.service(_with_organisations(PeopleServiceStub)) as (stub, of):
        names = _organisations(of)
        found = _pending(stub)
        rows = (
            _pending_row(each, names)
            for each in found
            if each.progress.stage in (stages or tuple(Stage))
        )
        _write(caller, file, delimiter, PENDING_HEADERS, rows)


@export.command("cards")
@_into_a_file
@operator_options
@card_filters
def export_cards(chosen: cards_pb2.CardFilter, file: Path, delimiter: str, caller: Caller) -> None:
    """Write cards, from those issued to those revoked."""
    with caller.service(_with_organisations(CardServiceStub)) as (stub, of):
        names = _organisations(of)
        rows = (_card(each, names) for each in _cards(stub, chosen))
        _write(caller, file, delimiter, CARD_HEADERS, rows)


def _with_organisations(
    stub: Callable[[grpc.Channel], Stub],
) -> Callable[[grpc.Channel], tuple[Stub, OrganisationServiceStub]]:
    """Both services over one connection."""
    return lambda channel: (stub(channel), OrganisationServiceStub(channel))


def _write(
    caller: Caller,
    file: Path,
    delimiter: str,
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> None:
    count = 0
    with writing.whole(file, DELIMITERS[delimiter], headers) as sheet:
        for row in rows:
            sheet.add(row)
            count += 1
    caller.print_facts({"file": str(file), "rows": count}, LABELS)


def _users(stub: PeopleServiceStub, text: str, states: Sequence[str]) -> Iterator[pb.User]:
    def page(after: str) -> list[pb.User]:
        request = pb.ListUsersRequest(page_size=PAGE, after=after, text=text, states=states)
        return [each for part in listed(stub.ListUsers, request) for each in part.users]

    return _paged(page, lambda user: user.id)


def _pending(stub: PeopleServiceStub) -> Iterator[pb.Pending]:
    def page(after: str) -> list[pb.Pending]:
        request = pb.ListPendingRequest(page_size=PAGE, after=after)
        return [each for part in listed(stub.ListPending, request) for each in part.pending]

    return _paged(page, lambda pending: pending.user.id)


def _cards(stub: CardServiceStub, chosen: cards_pb2.CardFilter) -> Iterator[cards_pb2.Card]:
    def page(after: str) -> list[cards_pb2.Card]:
        request = cards_pb2.ListCardsRequest(page_size=PAGE, after=after, filter=chosen)
        return [each for part in listed(stub.ListCards, request) for each in part.cards]

    return _paged(page, lambda card: card.serial)


def _paged(page: Callable[[str], Sequence[Item]], key: Callable[[Item], str]) -> Iterator[Item]:
    """What is on the pages, of which no more than one is in memory."""
    after = ""
    while found := page(after):
        yield from found
        after = key(found[-1])


def _organisations(stub: OrganisationServiceStub) -> Mapping[str, str]:
    """Names of organisations by identifier."""
    pages = listed(stub.ListOrganisations, organisations_pb2.ListOrganisationsRequest())
    return {each.id: each.name for page in pages for each in page.organisations}


def _person(user: pb.User, names: Mapping[str, str]) -> tuple[str, ...]:
    """The columns of a person that are imported again, and the UUID."""
    organisation = names.get(user.organisation_id, user.organisation_id)
    return (
        *(user.display_name, user.email, organisation, user.phone, user.upn, user.sid),
        *(user.profile, user.uuid12),
    )


def _user(user: pb.User, names: Mapping[str, str]) -> tuple[str, ...]:
    serials = " ".join(user.card_serials)
    rest = (user.state, str(user.device_count), serials, when(user.create_time))
    return *_person(user, names), *rest


def _pending_row(pending: pb.Pending, names: Mapping[str, str]) -> tuple[str, ...]:
    progress = pending.progress
    return (
        *_person(pending.user, names),
        progress.stage,
        when(progress.since),
        when(progress.until) if progress.HasField("until") else "",
        when(pending.remind_time) if pending.HasField("remind_time") else "",
        str(pending.undelivered),
        progress.card_serial,
        pending.card_profile,
        next_step(pending.user, progress),
    )


def _card(card: cards_pb2.Card, names: Mapping[str, str]) -> tuple[str, ...]:
    row = card_row(card)
    organisation = names.get(card.organisation_id, card.organisation_id)
    said = ("serial", "user_display_name", "user_id", "state", "passcode", "profile")
    return *(str(row[each]) for each in said), organisation, str(row["issued"]), str(row["expires"])
