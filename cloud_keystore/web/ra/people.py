"""The list of people: search, states, order and page are all in its address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.reports import Reports
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.people import UserState
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.listing import UserListing, Wanted
from cloud_keystore.people.people import People
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AT
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current

PEOPLE = f"{AT}/people"
PAGE = 50  # people on one
EXPIRED = f"{AT}/unfinished?stage=invitation+expired"
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "name": "Name",
        "uuid12": "UUID",
        "email": "E-mail",
        "state": "State",
        "cards": "Cards",
        "profile": "Card type",
        "devices": "Phones",
        "created": "Added",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for; what is empty excludes nobody."""

    q: str = ""
    state: str = ""
    sort: str = "name"
    after: str = ""  # the last one of the page before
    chosen: str = ""  # "all": whoever is on the page

    @classmethod
    def of(cls, request: Request) -> Asked:
        """What the address of a request asks for."""
        said = request.query_params
        return cls(
            **{name: said[name] for name in (each.name for each in fields(cls)) if name in said}
        )

    @property
    def wanted(self) -> Wanted:
        """The people who are asked for, in their order."""
        return Wanted(self.q, self.sort, states=(self.state,) if self.state else ())

    def but(self, at: str = PEOPLE, **changes: str) -> str:
        """The address that asks for something else, from the first page on."""
        asked = replace(self, **{"after": "", "chosen": "", **changes})
        said = {each.name: getattr(asked, each.name) for each in fields(asked)}
        left = {name: value for name, value in said.items() if value and (name, value) != _USUAL}
        return f"{at}?{urlencode(left)}" if left else at


_USUAL = ("sort", "name")


class Tab(NamedTuple):
    """People of one state, and how many they are."""

    address: str
    text: str
    number: int | None
    is_current: bool


class Column(NamedTuple):
    """A column, its order now ("ascending", "descending" or "none"), and what turns that round."""

    name: str
    text: str
    order: str
    address: str


class ActOnSeveral(Protocol):
    """What can be done about several people at once."""

    @property
    def right(self) -> Right:
        """Without which it is left out."""

    @property
    def button(self) -> str:
        """What it is called."""


class Line(NamedTuple):
    """One person in the list."""

    address: str
    listing: UserListing
    state: str
    card_type: str


@dataclass(frozen=True, slots=True)
class PeoplePages:
    """Shows the people whom an operator sees."""

    views: Views
    people: People
    reports: Reports
    acts: Mapping[str, ActOnSeveral]

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (Row("GET", AT, self.begin), Row("GET", PEOPLE, self.show))

    def begin(self, _request: Request) -> Response:
        """The first page of a visit."""
        return see(PEOPLE)

    def show(self, request: Request) -> Response:
        """The people who are asked for."""
        asked, actor = Asked.of(request), current().visitor.actor
        page = Page(PAGE + 1, asked.after)
        found = self.people.list_users(page, asked.wanted, actor=actor)
        if asked.q and not asked.state and not asked.after and len(found) <= PAGE:
            # All whom the text finds are here, and it is looked for no second time.
            numbers: Mapping[str, int] = Counter(map(shown_state, found))
        else:
            numbers = self.reports.states(asked.q, actor=actor)
        more = asked.but(after=found[PAGE - 1].user.id) if len(found) > PAGE else ""
        may = self.views.visits.held(current().visitor).somewhere
        return self.views.page(
            "people",
            asked=asked,
            tabs=_tabs(asked, numbers),
            columns=_columns(asked),
            lines=[_line(each) for each in found[:PAGE]],
            nobody=not any(numbers.values()) and not asked.q,
            more=more,
            before=self._before(asked),
            first=asked.but() if asked.after else "",
            everybody=PEOPLE,
            file=asked.but(f"{PEOPLE}.csv"),
            may_add=Right.PEOPLE in may,
            acts={name: act for name, act in self.acts.items() if act.right in may},
            choose_all=asked.but(after=asked.after, chosen="all"),
        )

    def _before(self, asked: Asked) -> str:
        """The address of the page before; empty on the first one."""
        if not asked.after:
            return ""
        turned = asked.sort.removeprefix("-") if asked.sort.startswith("-") else f"-{asked.sort}"
        wanted = replace(asked, sort=turned).wanted
        # Backwards from the last one of the page before: its own page, and the one before that.
        page, actor = Page(PAGE, asked.after), current().visitor.actor
        found = self.people.list_users(page, wanted, actor=actor)
        return asked.but(after=found[PAGE - 1].user.id if len(found) == PAGE else "")


def _tabs(asked: Asked, numbers: Mapping[str, int]) -> list[Tab]:
    total = sum(numbers.values())
    every = Tab(asked.but(state=""), "All", total, not asked.state)
    return [
        every,
        *(
            Tab(asked.but(state=state), text, numbers.get(state, 0), asked.state == state)
            for state, text in words.USER_STATES.items()
        ),
        Tab(EXPIRED, "Expired invitations", None, is_current=False),
    ]


def _columns(asked: Asked) -> list[Column]:
    made = []
    for name, text in COLUMNS.items():
        order = {name: "ascending", f"-{name}": "descending"}.get(asked.sort, "none")
        turned = f"-{name}" if order == "ascending" else name
        made.append(Column(name, text, order, asked.but(sort=turned)))
    return made


def _line(listing: UserListing) -> Line:
    user = listing.user
    address, card_type = f"{PEOPLE}/{user.id}", words.card_type(user.profile)
    return Line(address, listing, shown_state(listing), card_type)


def shown_state(listing: UserListing) -> str:
    """The state of a person, as lists show it."""
    if listing.user.state is UserState.CLOSED:
        return "closed"
    return "enrolled" if listing.enrolled else "pending"
