"""Printing for people and for programs with one call; `--json` decides which."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import click
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 400

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value] | None"
Row: TypeAlias = Mapping[str, Value]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def print_json(value: Value) -> None:
    """Print one JSON document on standard output; where that is not UTF-8, with escapes alone."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    click.echo(json.dumps(value, indent=2, ensure_ascii=encoding != "utf8"))


def print_rows(
    rows: Sequence[Row], columns: Mapping[str, str], nothing: str, *, as_json: bool
) -> None:
    """Print a list: `columns` maps keys to headings; `nothing` is printed if the list is empty."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        click.echo(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*(_text(row[key]) for key in columns))
    # A pipe gets whole values; a terminal has a width of its own.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table, crop=False)


def print_facts(facts: Row, labels: Mapping[str, str], *, as_json: bool) -> None:
    """Print one thing: `labels` maps keys to labels for people; keys without one are only in JSON.

    Values are never wrapped, so that a token can be copied from any terminal.
    """
    if as_json:
        print_json(facts)
        return
    indent = max(len(label) for label in labels.values()) + 2
    for key, label in labels.items():
        text = _text(facts[key]).replace("\n", "\n" + " " * indent)
        click.echo(click.style(label.ljust(indent), bold=True) + text)


def iso_time(moment: datetime) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: Value) -> str:
    match value:
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
