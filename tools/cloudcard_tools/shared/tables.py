"""Tables for people. Nothing in them is ever cut, however narrow the terminal is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = 2  # blanks between columns
# A UUID has 36 characters. A word up to this length stays in one piece, so that it can be copied.
WHOLE_WORD = 40
READABLE = 16  # a column of longer texts is not made narrower
MORE = "A wider terminal, a pipe or --json has them."
BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. If a terminal is too narrow for all, the spare ones are left out, and named: those
    with the smallest number first.
    """

    heading: str
    right: bool = False
    spare: int | None = None


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print a table on standard output. A terminal gets texts folded; a pipe gets a line a row."""
    console = Console()
    # A plain string is no markup: a name can hold brackets.
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    if not sys.stdout.isatty():
        cells = [[Text(", ").join(cell.split("\n")) for cell in row] for row in cells]
        _print(console, columns, cells, _natural(columns, cells))
        return
    shown = list(range(len(columns)))
    while (widths := _fitting(columns, cells, shown, console.width)) is None:
        spare = [(number, at) for at in shown if (number := columns[at].spare) is not None]
        if not spare:
            _print_stacked(console, columns, cells)
            return
        shown.remove(min(spare)[1])
    some = [[row[at] for at in shown] for row in cells]
    _print(console, [columns[at] for at in shown], some, widths)
    left_out = [each.heading for at, each in enumerate(columns) if at not in shown]
    if left_out:
        console.print(Text(f"\nLeft out: {', '.join(left_out)}. {MORE}"))


def _natural(columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> list[int]:
    """The widths of the columns if nothing is folded."""
    return [
        max(cell_len(column.heading), *(_widest(row[at].plain.split("\n")) for row in cells), 0)
        for at, column in enumerate(columns)
    ]


def _fitting(
    columns: Sequence[Column], cells: Sequence[Sequence[Text]], shown: Sequence[int], width: int
) -> list[int] | None:
    """The widths with which some columns fit into a terminal; None if they cannot."""
    natural = _natural(columns, cells)
    widths = [natural[at] for at in shown]
    least = [
        max(
            cell_len(columns[at].heading),
            min(natural[at], READABLE),
            *(_unbreakable(row[at].plain) for row in cells),
        )
        for at in shown
    ]
    room = width - GAP * (len(shown) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        # The widest of those that can give becomes narrower.
        able = [at for at in range(len(widths)) if widths[at] > least[at]]
        widths[max(able, key=lambda at: widths[at])] -= 1
    return widths


def _unbreakable(text: str) -> int:
    """The width that a text needs so that none of its words is broken. Words of wide scripts, and
    very long ones, can be broken anywhere.
    """
    spaced = "".join(f" {char} " if cell_len(char) > 1 else char for char in text)
    return _widest(word[:WHOLE_WORD] for word in BLANK.split(spaced))


def _widest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _print(
    console: Console,
    columns: Sequence[Column],
    cells: Sequence[Sequence[Text]],
    widths: Sequence[int],
) -> None:
    headings = [Text(column.heading, style="bold") for column in columns]
    for row in (headings, *cells):
        folded = [
            list(cell.wrap(console, max(width, 1), overflow="fold"))
            for cell, width in zip(row, widths, strict=True)
        ]
        for number in range(max(map(len, folded))):
            line = Text()
            for column, width, parts in zip(columns, widths, folded, strict=True):
                part = parts[number] if number < len(parts) else Text()
                part.rstrip()
                room = " " * (width - part.cell_len)
                line.append_text(Text.assemble(room, part) if column.right else part + Text(room))
                line.append(" " * GAP)
            line.rstrip()
            console.print(line, soft_wrap=True)


def _print_stacked(
    console: Console, columns: Sequence[Column], cells: Sequence[Sequence[Text]]
) -> None:
    """Print each row as a paragraph, a line for each column."""
    indent = max(cell_len(column.heading) for column in columns) + GAP
    for number, row in enumerate(cells):
        if number:
            click.echo()
        for column, cell in zip(columns, row, strict=True):
            room = max(console.width - indent, _unbreakable(cell.plain), 1)
            lines = cell.wrap(console, room, overflow="fold") or [Text()]
            blank = " " * (indent - cell_len(column.heading))
            label = Text.assemble((column.heading, "bold"), blank)
            for line in lines:
                whole = label + line
                whole.rstrip()
                console.print(whole, soft_wrap=True)
                label = Text(" " * indent)
