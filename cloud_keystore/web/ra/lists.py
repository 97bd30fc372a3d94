"""Lists as tables and as files: what is looked for, order and page are in the address of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import order
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.finding import LONGEST_TEXT, as_written
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.files import csv_file
from cloud_keystore.web.ra.views import MenuItem, Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

PAGE = 50  # lines on one
LONGEST_NUMBER = 6  # digits of a page


class Cell(NamedTuple):
    """What a line says in one column."""

    text: str
    address: str = ""  # of the page about it
    colour: str = ""  # of a state
    written: str = ""  # in files; empty: the text
    key: str = ""  # by which its column is sorted; empty: what is written


class Link(NamedTuple):
    """Something that can be done, on a page of its own. `about` is what people hear besides."""

    text: str
    address: str
    about: str = ""


class Line(NamedTuple):
    """One thing in a list, and what can be done about it."""

    cells: Sequence[Cell]
    links: Sequence[Link] = ()

    @property
    def written(self) -> Sequence[str]:
        """Its cells as files have them."""
        return [cell.written or cell.text for cell in self.cells]


class Choice(NamedTuple):
    """What a list can be limited to, by the values in its address. The first one is usual; without
    any, a value is typed.
    """

    name: str
    label: str
    choices: Mapping[str, str]
    usual: str = ""  # of what is typed


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, before what an address asks of it."""

    title: str
    columns: Mapping[str, str]  # names in addresses, and what people read
    lines: Sequence[Line]
    nothing: str  # is said if there is none
    said: Sequence[str] = ()
    links: Sequence[Link] = ()
    choices: Sequence[Choice] = ()
    sort: str = ""  # as usual; empty: by the first column


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks of a list."""

    path: str
    usual: str
    q: str = ""
    sort: str = ""
    page: int = 1
    chosen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, request: Request, listing: Listing) -> Asked:
        """What the address of a request asks; raises InvalidInput."""
        said, usual = request.query_params, listing.sort or next(iter(listing.columns))
        # In the form in which names are kept, and in which the keystore looks for it.
        text = text_field("text", said.get("q", ""), LONGEST_TEXT, required=False)
        number = said.get("page", "1")
        if not (number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER):
            raise InvalidInput("page is no number: give one such as 2")
        chosen = {each.name: chosen_of(request, each) for each in listing.choices}
        return cls(path, usual, text, said.get("sort", usual), max(1, int(number)), chosen)

    def but(self, path: str = "", **changes: str) -> str:
        """The address that asks for something else, from the first page on."""
        said = {**self.chosen, "q": self.q, "sort": self.sort, **changes}
        left = {name: each for name, each in said.items() if each and (name, each) != self._usual}
        at = path or self.path
        return f"{at}?{urlencode(left)}" if left else at

    @property
    def _usual(self) -> tuple[str, str]:
        return ("sort", self.usual)

    def found(self, listing: Listing) -> Sequence[Line]:
        """The lines that are asked for, in their order; raises InvalidInput."""
        by = order(self.sort, listing.columns, self.usual)
        at, text = list(listing.columns).index(by.column), as_written(self.q).casefold()
        kept = [
            each
            for each in listing.lines
            if not text or any(text in cell.text.casefold() for cell in each.cells)
        ]
        return sorted(kept, key=lambda each: _key(each.cells[at]), reverse=by.descending)


def _key(cell: Cell) -> tuple[str, str]:
    return (cell.key or cell.written or cell.text.casefold(), cell.text)


@dataclass(frozen=True, slots=True)
class ListPage:
    """The page of a list at a path, and its file. `make` is given the request for what it
    chooses.
    """

    views: Views
    path: str
    make: Callable[[Request], Listing]
    section: Sequence[MenuItem] = ()  # the pages beside it

    def rows(self) -> tuple[Row, ...]:
        """Page and file."""
        return (Row("GET", self.path, self.show), Row("GET", f"{self.path}.csv", self.export))

    def show(self, request: Request) -> Response:
        """The page that an address asks for."""
        listing = self.make(request)
        asked = Asked.of(self.path, request, listing)
        found = asked.found(listing)
        last = max(1, -(-len(found) // PAGE))
        number = min(asked.page, last)
        return self.views.page(
            "list",
            section=self.section,
            path=self.path,
            listing=listing,
            asked=replace(asked, page=number),
            heads=_heads(asked, listing),
            lines=found[(number - 1) * PAGE : number * PAGE],
            total=len(found),
            last=last,
            before=asked.but(page=str(number - 1)) if number > 1 else "",
            after=asked.but(page=str(number + 1)) if number < last else "",
            file=asked.but(f"{self.path}.csv"),
            done=words.SAID.get(current().opened("done", request.query_params.get("done", "")), ""),
        )

    def export(self, request: Request) -> Response:
        """All that the page shows for the same address, in the same order, as CSV."""
        listing = self.make(request)
        found = Asked.of(self.path, request, listing).found(listing)
        name = self.path.rpartition("/")[2]
        lines = (each.written for each in found)
        return csv_file(name, list(listing.columns.values()), lines)


class Head(NamedTuple):
    """The head of a column, its order now ("ascending", "descending" or "none"), and what turns
    that round.
    """

    name: str
    text: str
    order: str
    address: str


def _heads(asked: Asked, listing: Listing) -> list[Head]:
    made = []
    for name, text in listing.columns.items():
        now = {name: "ascending", f"-{name}": "descending"}.get(asked.sort, "none")
        turned = f"-{name}" if now == "ascending" else name
        made.append(Head(name, text, now, asked.but(sort=turned)))
    return made


def chosen_of(request: Request, choice: Choice) -> str:
    """What an address chooses; raises InvalidInput for what cannot be chosen."""
    value = request.query_params.get(choice.name, next(iter(choice.choices), choice.usual))
    if choice.choices and value not in choice.choices:
        raise InvalidInput(f"{choice.name} is none of those that can be chosen: open the list anew")
    return value


def time_cell(time: datetime | None) -> Cell:
    """A time, which files have as programs read it."""
    return Cell(words.when(time), written="" if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}")


def number_cell(number: int) -> Cell:
    """A number, by which a column is sorted as numbers are."""
    return Cell(str(number), key=f"{number:020}")
