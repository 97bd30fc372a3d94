"""The page of what ends soon, or has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from types import MappingProxyType
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.expiring import Expiring, Place
from cloud_keystore.cards.reports import Reports
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import LARGEST_PAGE, Page
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.files import csv_stream
from cloud_keystore.web.ra.lists import Asked, Cell, Choice, Line, Listing, ListPage, chosen_of
from cloud_keystore.web.ra.people import PEOPLE
from cloud_keystore.web.ra.views import EXPIRING, Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

PORTION = 50  # things that are looked up for one page
MOST_SORTED = 10_000  # lines of a file in another order than that of the ends
SAID = f"A CSV file in another order than that of the ends has the first {MOST_SORTED:,} to end."
DAYS = Choice("days", "Days to look ahead", {}, "90")
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
WHAT = Choice("what", "What", {"": "Everything", **SORTS})
COLUMNS = {"what": "What", "name": "Name", "holder": "Of", "ends": "Ends"}


@dataclass(frozen=True, slots=True)
class EndingPages:
    """Lists what ends."""

    views: Views
    reports: Reports
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its page and the file."""
        page, _ = ListPage(self.views, EXPIRING, self.listing).rows()
        return (page, Row("GET", f"{EXPIRING}.csv", self.export))

    def listing(self, request: Request) -> Listing:
        """What ends within some days, of one sort or of all: a portion of it, the first to end. A
        text is looked for in all.
        """
        after = self._after(request)
        portions = {"": "The first to end", **({after: "What ends after those"} if after else {})}
        found = self._portion(request, current().visitor.actor, PORTION + 1, after)
        if len(found) > PORTION:
            portions[str(found[PORTION - 1].place)] = "What ends after these"
        parts = [Choice("after", "Part", portions)] if len(portions) > 1 else []
        return _listing(request, found[:PORTION], parts)

    def export(self, request: Request) -> Response:
        """All of it, sent in the order of the ends while it is read. Another order is not known
        before all is: a file in it has the first to end, up to a bound.
        """
        nothing, found = _listing(request, ()), self._all(request, current().visitor.actor)
        if Asked.of(EXPIRING, request, nothing).sort not in ("", nothing.sort):
            listing = _listing(request, list(islice(found, MOST_SORTED)))
            return ListPage(self.views, EXPIRING, lambda _: listing).export(request)
        # What is wrong with the address is said before anything is sent.
        first = list(islice(found, 1))
        lines = (_line(each).written for each in chain(first, found))
        return csv_stream("expiring", list(COLUMNS.values()), lines)

    def _after(self, request: Request) -> str:
        """After which place the portion begins: none, if that is not within the days any more, as
        when fewer are chosen. Raises InvalidInput.
        """
        after = request.query_params.get("after", "")
        end = self.clock() + timedelta(days=_days(request))
        return after if after and Place.parse(after).end < end else ""

    def _all(self, request: Request, actor: Actor) -> Iterator[Expiring]:
        after = ""
        while some := self._portion(request, actor, LARGEST_PAGE, after):
            yield from some
            after = str(some[-1].place)

    def _portion(self, request: Request, actor: Actor, size: int, after: str) -> list[Expiring]:
        """The next ones; raises InvalidInput."""
        return self.reports.expiring(
            _days(request),
            Page(size, after),
            chosen_of(request, WHAT),
            request.query_params.get("q", ""),
            actor=actor,
        )


def _listing(request: Request, found: Sequence[Expiring], parts: Sequence[Choice] = ()) -> Listing:
    """Some of what ends; raises InvalidInput."""
    days, what = _days(request), chosen_of(request, WHAT)
    nothing = "Nothing" if not what else f"No {SORTS[what].lower()}"
    return Listing(
        "Ending soon",
        COLUMNS,
        [_line(each) for each in found],
        f"{nothing} ends within {days} days.",
        said=(SAID,),
        choices=(DAYS, WHAT, *parts),
        sort="ends",
    )


def _days(request: Request) -> int:
    """How far to look; raises InvalidInput."""
    days = chosen_of(request, DAYS)
    if not (days.isascii() and days.isdigit() and len(days) <= len("3650")):
        raise InvalidInput("days is no number: give one such as 90")
    return int(days)


def _line(found: Expiring) -> Line:
    name, end = found.name, found.expire_time
    if found.card_serial and found.card_serial != name:
        name = f"{found.card_serial}, key {name}"
    address = f"{PEOPLE}?{urlencode({'q': found.card_serial})}" if found.card_serial else ""
    written = f"{end:%Y-%m-%dT%H:%M:%SZ}"
    return Line(
        (
            Cell(SORTS.get(found.sort, found.sort)),
            Cell(name, address),
            Cell(found.holder),
            Cell(words.day(end), written=written),
        )
    )
