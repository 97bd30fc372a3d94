"""Printing for people and for programs with one call; `--json` decides which."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import click
from rich.console import Console
from rich.text import Text

from cloud_keystore.model.finding import unaccented
from cloudcard_tools.shared.tables import Column, print_table

if TYPE_CHECKING:
    from rich.progress import Progress

SHORTEST_LINE = 40
HANGING = "    "

SOON = timedelta(days=30)  # what expires sooner is marked

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value] | None"
Row: TypeAlias = Mapping[str, Value]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def print_json(value: Value) -> None:
    """Print one JSON document on standard output; where that is not UTF-8, with escapes alone."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    click.echo(json.dumps(value, indent=2, ensure_ascii=encoding != "utf8"))


def print_rows(
    rows: Sequence[Row],
    columns: Mapping[str, str],
    nothing: str,
    *,
    as_json: bool,
    spare: Sequence[str] = (),
) -> None:
    """Print a list: `columns` maps keys to headings; `nothing` is printed if the list is empty.
    Columns of `spare` are left out, the first of them first, if a terminal is too narrow for all.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        click.echo(nothing)
        return
    shown = [
        Column(
            heading,
            right=all(_is_number(row[key]) for row in rows),
            spare=spare.index(key) if key in spare else None,
        )
        for key, heading in columns.items()
    ]
    print_table(shown, [[_cell(row[key]) for key in columns] for row in rows])


def in_order(rows: Sequence[Row], sort: str) -> Sequence[Row]:
    """Rows in the order of a column, after a minus from the last to the first; what is the same in
    it stays as it is. Empty: as they are.
    """
    column = sort.removeprefix("-")
    if not column:
        return rows
    return sorted(rows, key=lambda row: _rank(row[column]), reverse=sort.startswith("-"))


def print_facts(facts: Row, labels: Mapping[str, str], *, as_json: bool) -> None:
    """Print one thing: `labels` maps keys to labels for people; keys without one are only in JSON.

    A terminal gets long lines folded between words. Words are never broken, so that a token can be
    copied from any terminal.
    """
    if as_json:
        print_json(facts)
        return
    indent = max(len(label) for label in labels.values()) + 2
    for key, label in labels.items():
        text = ("\n" + " " * indent).join(folded(_text(facts[key]), indent))
        click.echo(click.style(label.ljust(indent), bold=True) + text)


class Expiry(str):
    """When something expires, as a time of ISO 8601. People see a warning beside it."""

    __slots__ = ("warning",)

    warning: str  # empty as long as the time is far


def expiry(moment: datetime, now: datetime, soon: timedelta = SOON) -> Expiry:
    """When something expires, with a warning if less time is left than `soon`."""
    text = Expiry(iso_time(moment))
    left = moment - now
    text.warning = ""
    if left <= timedelta(0):
        text.warning = "EXPIRED"
    elif left < soon:
        days = left.days
        text.warning = "in less than a day" if not days else f"in {days} day{'s'[: days > 1]}"
    return text


def progress() -> Progress:
    """A bar on standard error while something is done; only a terminal gets it."""
    from rich.progress import Progress  # late, because it takes 20 ms

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def counted(number: int, one: str, several: str) -> str:
    """A number with its noun: 1 entry, 2 entries."""
    return f"{number} {one if number == 1 else several}"


def iso_time(moment: datetime) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def folded(text: str, indent: int) -> list[str]:
    """The lines of a value, which begin at a column of the terminal."""
    lines = text.split("\n")
    if not sys.stdout.isatty():
        return lines
    room = max(Console().width - indent, SHORTEST_LINE)
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line,
            room,
            subsequent_indent=HANGING,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
        or [""]
    ]


def _is_number(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Remarked(str):
    """A text beside which people see another one."""

    __slots__ = ("remark",)

    remark: str


def remarked(text: str, remark: str) -> Remarked:
    """A text with a remark for people, which can be empty."""
    made = Remarked(text)
    made.remark = remark
    return made


class Ordered(str):
    """A text with an order of its own: that of another text."""

    __slots__ = ("order",)

    order: str


def ordered(text: str, order: str) -> Ordered:
    """A text that is sorted as another one."""
    made = Ordered(text)
    made.order = order
    return made


def _rank(value: Value) -> tuple[int, int, str]:
    """What is empty comes first, then numbers, then texts, whatever their case and accents."""
    if isinstance(value, int):
        return 1, value, ""
    if isinstance(value, Ordered):
        return (2, 0, value.order) if value else (0, 0, "")
    text = unaccented(value if isinstance(value, str) else _text(value))
    return (2, 0, text) if value else (0, 0, "")


def _cell(value: Value) -> str | Text:
    urgent = isinstance(value, Expiry) and value.warning
    return Text(_text(value), "yellow") if urgent else _text(value)


def _text(value: Value) -> str:
    match value:
        case Expiry() if value.warning:
            return f"{value} ({value.warning})"
        case Remarked() if value.remark:
            return f"{value} ({value.remark})"
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case str() | int():
            return str(value)
        case Mapping():
            return "  ".join(_text(each) for each in value.values())
        case _:
            return "\n".join(_text(each) for each in value) or "-"
