"""`cloudcard trace show`: a trace decoded for people, in a terminal or as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from card_os.application import Application
from card_os.trace.lines import read_all
from card_os.trace.replay import SeededRandom
from card_os.trace.words import TraceError
from cloudcard_tools import new_files
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.shared.application import application_option, card_factory
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace.explain import entries, page
from cloudcard_tools.trace.explain.data_objects import DataObject
from cloudcard_tools.trace.explain.entries import Entry, Kind
from cloudcard_tools.trace.replay.replaying import opened, texts

MARKS: Mapping[Kind, str] = {
    Kind.COMMAND: "→ ",
    Kind.RESPONSE: "← ",
    Kind.REQUEST: "  ? ",
    Kind.RESULT: "  ! ",
    Kind.POWER: "⏻ ",
    Kind.COMMENT: "# ",
    Kind.SETTING: "@ ",
    Kind.TOTAL: "= ",
}
DIM = frozenset({Kind.COMMENT, Kind.SETTING, Kind.TOTAL})
SLOW_MILLISECONDS = 100.0
LEAST = 1000  # microseconds; shorter times are not shown
INDENT = " " * 13


@click.command(
    "show",
    epilog="""\b
Examples:
  cloudcard trace show login.trace
  cloudcard trace show login.trace --step "log in"
  cloudcard trace show login.trace --html login.html     a page with a timeline
""",
)
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--step", help="Show only this step.")
@click.option(
    "--slow-ms",
    type=click.FloatRange(0),
    default=SLOW_MILLISECONDS,
    show_default=True,
    help="Mark what took this many milliseconds or longer.",
)
@application_option
@click.option("--bytes", "with_bytes", is_flag=True, help="Show all bytes of the APDUs too.")
@click.option(
    "--html",
    type=NEW_FILE,
    help="Write a self-contained HTML page to this new file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def show_command(
    path: Path,
    step: str | None,
    slow_ms: float,
    application: str | None,
    with_bytes: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show a trace in words: commands, keys, objects, status words, data objects, times.

    Exit status: 0 shown, 1 the file is not a trace, 2 wrong usage.
    """
    try:
        chosen = partial(_read, path, step, round(slow_ms * 1000), _applications(application))
        if html is not None:
            with new_files.opened(html) as file:
                file.writelines(page.render(path.name, chosen))
            return
        for each in chosen():
            shown = [json.dumps(document(each))] if as_json else lines(each, with_bytes)
            click.echo("\n".join(shown))
    except TraceError as error:
        raise Failure(f"{path}: {error}") from None


def _applications(name: str | None) -> Sequence[Application]:
    """The applications of the card that MODULE:FACTORY makes. Raises Failure if it makes none."""
    return () if name is None else card_factory(name)(SeededRandom()).applications


def _read(
    path: Path, step: str | None, slow: int, applications: Sequence[Application]
) -> Iterator[Entry]:
    """The entries of a file, or of one step; then times count from the step's beginning."""
    begin: int | None = None
    with opened(path) as file:
        for each in entries.read(read_all(texts(file)), slow, applications):
            if step is None:
                yield each
            elif each.step == step:
                begin = each.at if begin is None else begin
                yield replace(each, at=each.at - begin)
    if step is not None and begin is None:
        raise Failure(f"{path}: no step is named {step!r}")


def lines(entry: Entry, with_bytes: bool) -> Iterator[str]:
    """The lines that a terminal shows for an entry."""
    if entry.kind is Kind.STEP:
        yield ""
        yield click.style(f"== {entry.text}", bold=True)
        return
    text = MARKS[entry.kind] + entry.text
    if entry.kind in DIM:
        text = click.style(text, dim=True)
    elif not entry.fine:
        text = click.style(text, fg="red")
    elif entry.kind in (Kind.REQUEST, Kind.RESULT):
        text = click.style(text, fg="cyan")
    took = f"  +{entries.duration(entry.took)}" if entry.took >= LEAST else ""
    yield f"{entry.number:6} {text}{click.style(took, fg='yellow') if entry.slow else took}" + (
        click.style(f"  slow: {entry.who.value}", fg="yellow", bold=True) if entry.slow else ""
    )
    yield from (f"{INDENT}{each}" for each in entry.details)
    if with_bytes and entry.apdu:
        octets = entry.apdu.hex()
        yield from (f"{INDENT}{octets[at : at + 64]}" for at in range(0, len(octets), 64))


def document(entry: Entry) -> dict[str, object]:
    """An entry as a JSON object."""
    return {
        "number": entry.number,
        "kind": entry.kind.value,
        "step": entry.step,
        "text": entry.text,
        "at": entry.at / entries.SECOND,
        "seconds": entry.took / entries.SECOND,
        "by": entry.who.value,
        "slow": entry.slow,
        "fine": entry.fine,
        "apdu": entry.apdu.hex(),
        "note": entry.note,
        "objects": [_object(each) for each in entry.objects],
    }


def _object(each: DataObject) -> dict[str, object]:
    return {
        "tag": f"{each.tag:02x}",
        "name": each.name,
        "length": len(each.value),
        "meaning": each.meaning,
        "value": "" if each.inside else each.value.hex(),
        "objects": [_object(inside) for inside in each.inside],
    }
