"""What has to be looked after: what ends soon, and e-mail that was lost; and lists as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.expiring import Expiring
from cloud_keystore.cards.reports import Reports
from cloud_keystore.mail.notifications import NotificationListing, Notifications
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import LARGEST_PAGE, Page
from cloud_keystore.people.listing import UserListing
from cloud_keystore.people.people import People
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.files import csv_file
from cloud_keystore.web.ra.people import PEOPLE, Asked, shown_state
from cloud_keystore.web.ra.views import EXPIRING, MAIL, Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

DAYS = 90
PAGE = 50
SORTS: Mapping[str, str] = MappingProxyType(
    {
        "card": "Card",
        "certificate": "Key that signs",
        "authority": "Authority",
        "device": "Device",
        "workstation": "Workstation",
        "operator": "Operator",
        "auditor": "Auditor",
        "client": "API client",
    }
)
FILE_COLUMNS = ("name", "uuid12", "email", "phone", "state", "cards", "card type", "devices")


class Ending(NamedTuple):
    """Something that ends, and where there is more about it."""

    sort: str
    found: Expiring
    address: str


@dataclass(frozen=True, slots=True)
class ReportPages:
    """Shows what has to be looked after."""

    views: Views
    reports: Reports
    notifications: Notifications
    people: People

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", EXPIRING, self.show_expiring),
            Row("GET", MAIL, self.show_mail),
            Row("POST", MAIL, self.retry),
            Row("GET", f"{PEOPLE}.csv", self.export),
        )

    def show_expiring(self, request: Request) -> Response:
        """What ends within some days, or has ended; the first to end first."""
        said, actor = request.query_params, current().visitor.actor
        days = said.get("days", str(DAYS))
        if not (days.isascii() and days.isdigit() and len(days) <= len("3650")):
            raise InvalidInput("days is no number: give one such as 90")
        page = Page(PAGE + 1, said.get("after", ""))
        found = self.reports.expiring(int(days), page, actor=actor)
        more = {"days": days, "after": str(found[PAGE - 1].place)} if len(found) > PAGE else {}
        return self.views.page(
            "expiring",
            days=days,
            endings=[_ending(each) for each in found[:PAGE]],
            more=f"{EXPIRING}?{urlencode(more)}" if more else "",
        )

    def show_mail(self, request: Request) -> Response:
        """What was not delivered, oldest first."""
        actor, after = current().visitor.actor, request.query_params.get("after", "")
        found = self.notifications.list_all("", Page(PAGE + 1, after), failed=True, actor=actor)
        more = {"after": found[PAGE - 1].notification.id} if len(found) > PAGE else {}
        return self.views.page(
            "mail",
            letters=[(each, _subject(each)) for each in found[:PAGE]],
            retried=request.query_params.get("done", "") == "retried",
            more=f"{MAIL}?{urlencode(more)}" if more else "",
        )

    def retry(self, _request: Request) -> Response:
        """Try again what has failed for a person."""
        if not given("user_id"):
            raise InvalidInput("user_id is missing: open the page again")
        self.notifications.retry(given("user_id"), actor=current().visitor.actor)
        return see(f"{MAIL}?done=retried")

    def export(self, request: Request) -> Response:
        """Everybody whom the list shows for this address, in the same order, as CSV."""
        return csv_file("people", FILE_COLUMNS, map(_cells, self._everybody(Asked.of(request))))

    def _everybody(self, asked: Asked) -> Iterator[UserListing]:
        """All pages of a list."""
        after, actor = "", current().visitor.actor
        while True:
            page = Page(LARGEST_PAGE, after)
            found = self.people.list_users(page, asked.wanted, actor=actor)
            yield from found
            if len(found) < LARGEST_PAGE:
                return
            after = found[-1].user.id


def _cells(listing: UserListing) -> tuple[str, ...]:
    """Somebody as a row of a file."""
    user, state = listing.user, words.USER_STATES[shown_state(listing)].lower()
    return (
        *(user.display_name, user.uuid12 or "", user.email, user.phone, state),
        " ".join(listing.card_serials),
        words.card_type(user.profile),
        str(listing.device_count),
    )


def _ending(found: Expiring) -> Ending:
    address = f"{PEOPLE}?{urlencode({'q': found.card_serial})}" if found.card_serial else ""
    return Ending(SORTS.get(found.sort, found.sort), found, address)


def _subject(listing: NotificationListing) -> str:
    return listing.notification.template.value.replace("-", " ").capitalize()
