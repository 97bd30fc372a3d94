"""What happened, in words: of some days, about somebody or something, or of one sort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.audit.reading import MOST_ENTRIES, Reading, Told
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.finding import Findable, Sort
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage.journal import Place, Query
from cloud_keystore.web.ra.files import csv_file
from cloud_keystore.web.ra.views import JOURNAL, Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

EVIDENCE = f"{JOURNAL}/evidence"
DAY = timedelta(days=1)
LARGEST_ID = 1 << 63
FILE_COLUMNS = ("time", "event", "person")
PAGE = 100  # entries
MOST_IN_FILE = 20  # answers of the keystore
MOST_FOUND = 20  # of which one is chosen
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
# What somebody can mean, in the order in which it is looked for.
SORTS = (Sort.USER, Sort.CARD, Sort.WORKSTATION, Sort.OPERATION)


class Sorts(NamedTuple):
    """Kinds of entries that are read together: those whose names begin so."""

    text: str
    begins: frozenset[str]

    @property
    def kinds(self) -> tuple[str, ...]:
        """These kinds."""
        return tuple(each.value for each in Kind if each.value.partition(".")[0] in self.begins)


# Each beginning is in one of them.
WHAT: Mapping[str, Sorts] = MappingProxyType(
    {
        "": Sorts("Everything", frozenset()),
        "cards": Sorts(
            "Cards and passcodes",
            frozenset(
                (
                    *("card", "certificate", "key", "passcode", "unlock", "unlock-code"),
                    *("renewal", "management-key", "secure-messaging", "objects", "issuer"),
                    *("request",),
                )
            ),
        ),
        "uses": Sorts(
            "Uses of cards", frozenset(("operation", "seat", "session", "sign-in", "ticket"))
        ),
        "people": Sorts(
            "People",
            frozenset(
                (
                    *("user", "users", "membership", "name", "address", "address-code"),
                    *("address-link", "phone", "phone-code", "short-code", "directory-entry"),
                    *("windows-account", "enrolment", "notification", "notifications"),
                    *("feedback", "survey", "surveys"),
                )
            ),
        ),
        "devices": Sorts(
            "Phones and workstations",
            frozenset(("identity", "bell", "app-pin", "app-pin-code", "device-code", "alert")),
        ),
        "log-ins": Sorts(
            "Log-ins",
            frozenset(
                (
                    *("visit", "log_in_passkey", "log-in-code", "log-in-factor", "portal-passkey"),
                    *("factor-code", "assent", "portal-password", "reset-code"),
                    *("security-questions", "security-answers"),
                )
            ),
        ),
        "rules": Sorts(
            "Organisations, roles and rules",
            frozenset(
                (
                    *("organisation", "email-domain", "policy", "profile", "role", "right"),
                    *("operator", "administrator", "group", "directory", "account-directory"),
                    *("four-eyes", "client", "webhook"),
                )
            ),
        ),
        "keystore": Sorts(
            "The keystore",
            frozenset(
                (
                    *("keystore", "journal", "sealing-key", "authority", "external-list"),
                    *("est-server", "records"),
                )
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, as it is in the address of the page."""

    day: datetime
    until: datetime
    """The last day."""
    about: str
    what: str
    before: Place | None = field(default=None)

    @classmethod
    def of(cls, request: Request, now: datetime) -> Asked:
        """What the address says. Raises InvalidInput."""
        said = request.query_params
        day = _day(said.get("day") or f"{now:%Y-%m-%d}")
        until, what = _day(said.get("until") or f"{day:%Y-%m-%d}"), said.get("what", "")
        if until < day:
            raise InvalidInput("the last day is before the first: change one of them")
        if what not in WHAT:
            raise InvalidInput("what is one of the choices: open the page again")
        return cls(day, until, said.get("about", "").strip(), what, _place(said.get("before", "")))

    @property
    def query(self) -> Query:
        """The entries, about whatever it is."""
        return Query(kinds=WHAT[self.what].kinds, since=self.day, until=self.until + DAY)

    def address(self, page: str = JOURNAL) -> str:
        """The address."""
        said = {
            "day": f"{self.day:%Y-%m-%d}",
            "until": f"{self.until:%Y-%m-%d}" if self.until != self.day else "",
            "about": self.about,
            "what": self.what,
            "before": f"{self.before[0].isoformat()} {self.before[1]}" if self.before else "",
        }
        return f"{page}?{urlencode({name: value for name, value in said.items() if value})}"


@dataclass(frozen=True, slots=True)
class JournalPages:
    """Reads the journal."""

    views: Views
    reading: Reading
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (Row("GET", JOURNAL, self.show), Row("GET", f"{JOURNAL}.csv", self.export))

    def show(self, request: Request) -> Response:
        """What happened, the newest first; or whom a text can mean."""
        now = self.clock()
        asked = Asked.of(request, now)
        found = meant(self.reading, asked.about)
        told = self._told(asked, found, PAGE) if len(found) <= 1 else Told(())
        days = asked.until - asked.day + DAY
        earlier = replace(asked, day=asked.day - days, until=asked.until - days, before=None)
        later = replace(asked, day=asked.day + days, until=asked.until + days, before=None)
        return self.views.page(
            "journal",
            asked=asked,
            what={name: each.text for name, each in WHAT.items()},
            found=[(each, replace(asked, about=each.id).address()) for _, each in found],
            everything=replace(asked, about="", before=None).address(),
            events=told.sentences,
            older=replace(asked, before=told.older).address() if told.older else "",
            file=replace(asked, before=None).address(f"{JOURNAL}.csv"),
            evidence=replace(asked, before=None).address(EVIDENCE),
            path=JOURNAL,
            before=earlier.address(),
            after=later.address() if later.day <= now else "",
        )

    def export(self, request: Request) -> Response:
        """The same as a file: the newest, up to a bound."""
        asked = Asked.of(request, self.clock())
        return csv_file("journal", FILE_COLUMNS, self._lines(asked))

    def _lines(self, asked: Asked) -> Iterator[tuple[str, str, str]]:
        found = one(meant(self.reading, asked.about))
        for _ in range(MOST_IN_FILE):
            told = self._told(asked, found, MOST_ENTRIES)
            for each in told.sentences:
                yield each.time.isoformat(timespec="seconds"), each.text, each.person
            if told.older is None:
                return
            asked = replace(asked, before=told.older)

    def _told(self, asked: Asked, found: list[tuple[Sort, Findable]], most: int) -> Told:
        query, serial = conditions(asked, found)
        return self.reading.sentences(current().visitor, query, serial, asked.before, most)


def meant(reading: Reading, about: str) -> list[tuple[Sort, Findable]]:
    """What a text means: people first, whose cards have their names. Raises InvalidInput."""
    if not about:
        return []
    for sort in SORTS:
        if found := reading.find(current().visitor, sort, about):
            return [(sort, each) for each in found[:MOST_FOUND]]
    raise InvalidInput(f"no person, card, operation or workstation is found by “{about}”")


def one(found: list[tuple[Sort, Findable]]) -> list[tuple[Sort, Findable]]:
    """What was found, if it is one thing at most. Raises InvalidInput."""
    if len(found) > 1:
        raise InvalidInput("about names several: choose one of them on the page first")
    return found


def conditions(asked: Asked, found: list[tuple[Sort, Findable]]) -> tuple[Query, str]:
    """The conditions on entries, and the serial number of the card that they are about."""
    query, serial = asked.query, ""
    for sort, thing in found:
        match sort:
            case Sort.USER:
                query = replace(query, user_id=thing.id)
            case Sort.WORKSTATION:
                query = replace(query, workstation_id=thing.id)
            case Sort.OPERATION:
                query = replace(query, operation_id=thing.id)
            case _:
                serial = thing.id
    return query, serial


def _day(text: str) -> datetime:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        found = None
    if found is None or not FIRST <= found <= LAST:
        raise InvalidInput("day is none: write it as 2026-11-30")
    return found


def _place(text: str) -> Place | None:
    """The place of an entry, as the address of older ones has it. Raises InvalidInput."""
    if not text:
        return None
    time, _, number = text.partition(" ")
    wrong = InvalidInput("before is no place in the journal: open the page again")
    try:
        found = datetime.fromisoformat(time), int(number)
    except ValueError:
        raise wrong from None
    if found[0].tzinfo is None or not 0 <= found[1] < LARGEST_ID:
        raise wrong
    return found
