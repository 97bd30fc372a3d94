"""`cloudcard trace replay`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from card_os.trace.lines import Line, Received, write
from card_os.trace.replay import Difference
from cloudcard_tools.trace import words
from cloudcard_tools.trace.replaying import Outcome, replay

SUFFIX = ".trace"


@click.group(
    epilog="""\b
Examples:
  cloudcard reader --card 1000 --record login.trace
  cloudcard trace replay login.trace
  cloudcard trace replay tests/traces --json
"""
)
def trace() -> None:
    """Record what a card was told, and replay it exactly."""


@trace.command("replay")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--cards",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of card images; else the folder `cards` beside each trace.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def replay_command(
    context: click.Context, paths: tuple[Path, ...], cards: Path | None, as_json: bool
) -> None:
    """Tell the card the traces once more, and compare every answer.

    PATHS are traces, or folders of them. Exit status: 0 all the same, 1 something differs or
    cannot be read, 2 wrong usage.
    """
    outcomes = [replay(path, cards) for path in _files(paths)]
    if as_json:
        click.echo(json.dumps([_document(each) for each in outcomes], indent=2))
    else:
        for each in outcomes:
            click.echo("\n".join(report(each)))
        click.echo(_summary(outcomes))
    if not outcomes or not all(each.passed for each in outcomes):
        context.exit(1)


def report(outcome: Outcome) -> Iterator[str]:
    """What people read of one file: the first difference, decoded."""
    if outcome.passed:
        yield f"same     {outcome.path} ({outcome.commands} commands)"
        return
    if outcome.problem:
        yield f"unusable {outcome.path}: {outcome.problem}"
    if not outcome.differences:
        return
    first = outcome.differences[0]
    step = f", step {outcome.step!r}" if outcome.step else ""
    yield f"differs  {outcome.path}, line {first.number}{step}"
    yield f"  command   {words.command(first.command)}"
    yield from _side("expected", first.expected)
    yield from _side("actual", first.actual)
    if len(outcome.differences) > 1:
        yield f"  and {len(outcome.differences) - 1} more after it"


def _side(name: str, line: Line | None) -> Iterator[str]:
    match line:
        case None:
            yield f"  {name:9} nothing"
        case Received(apdu):
            yield f"  {name:9} {words.status(apdu)}, {len(apdu) - 2} bytes of data"
            tree = list(words.tree(apdu[:-2]))
            yield from (f"            {each}" for each in tree)
            if not tree and len(apdu) > 2:
                yield f"            {words.octets(apdu[:-2])}"
        case _:
            yield f"  {name:9} {write(line)}"


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob(f"*{SUFFIX}"))
        else:
            yield path


def _summary(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return f"No traces found: their files end in {SUFFIX}."
    same = sum(each.passed for each in outcomes)
    commands = sum(each.commands for each in outcomes)
    return f"{same} of {len(outcomes)} traces the same, {commands} commands."


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "path": str(outcome.path),
        "passed": outcome.passed,
        "commands": outcome.commands,
        "problem": outcome.problem,
        "step": outcome.step,
        "differences": [_difference(each) for each in outcome.differences],
    }


def _difference(difference: Difference) -> dict[str, object]:
    return {
        "line": difference.number,
        "command": difference.command.hex(),
        "expected": None if difference.expected is None else write(difference.expected),
        "actual": None if difference.actual is None else write(difference.actual),
    }
