"""What has to be looked after: e-mail that was lost; and the list of people as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.mail.notifications import NotificationListing, Notifications
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import LARGEST_PAGE, Page
from cloud_keystore.people.listing import UserListing
from cloud_keystore.people.people import People
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.files import csv_file
from cloud_keystore.web.ra.people import PEOPLE, Asked, shown_state
from cloud_keystore.web.ra.views import MAIL, Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

PAGE = 50
FILE_COLUMNS = ("name", "uuid12", "email", "phone", "state", "cards", "card type", "devices")


@dataclass(frozen=True, slots=True)
class ReportPages:
    """Shows what has to be looked after."""

    views: Views
    notifications: Notifications
    people: People

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", MAIL, self.show_mail),
            Row("POST", MAIL, self.retry),
            Row("GET", f"{PEOPLE}.csv", self.export),
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


def _subject(listing: NotificationListing) -> str:
    return listing.notification.template.value.replace("-", " ").capitalize()
