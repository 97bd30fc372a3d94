"""`cloudcard trace minimise`: makes a failing trace as short as possible."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

import click

from card_os.trace.lines import HEADER, write
from card_os.trace.words import TraceError
from cloudcard_tools import new_files
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace.minimise.minimising import Minimised, minimise
from cloudcard_tools.trace.replay import cards


@click.command(
    "minimise",
    epilog="""\b
Examples:
  cloudcard trace minimise login.trace -o short.trace
  cloudcard trace minimise long.trace -o short.trace --seconds 10 --json
""",
)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=NEW_FILE,
    help="The new trace.",
)
@click.option(
    "--cards",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of card images. Default: the folder `cards` beside the trace.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=60, show_default=True, help="Time limit."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def minimise_command(
    path: Path, output: Path, folder: Path | None, seconds: float, as_json: bool
) -> None:
    """Shorten a failing trace to the part that still fails in the same way.

    The same way means a difference in the same instruction, between the same status words or key
    requests. Exit status: 0 written, 1 nothing differs or the trace cannot be read, 2 wrong usage.
    """
    end = monotonic() + seconds
    try:
        made = minimise(path, folder, lambda: monotonic() >= end)
        _save(made, output)
    except TraceError as error:
        raise Failure(f"{path}: {error}") from None
    except OSError as error:
        raise Failure(f"{error.filename or path}: {error.strerror}") from None
    click.echo(json.dumps(_document(made), indent=2) if as_json else _text(made, output))


def _save(made: Minimised, output: Path) -> None:
    text = "".join(f"{write(line)}\n" for line in made.lines)
    with new_files.opened(output) as file:
        file.write(f"{HEADER}\n{text}")
        cards.save(made.image, output.parent)


def _text(made: Minimised, output: Path) -> str:
    before, after = made.commands
    unfinished = "" if made.complete else " Time was up: it could become shorter."
    instruction, expected, actual = made.kind
    return (
        f"{output}: {after} of {before} commands, {len(made.lines)} of {made.lines_before} lines; "
        f"instruction {instruction}, expected {expected}, actual {actual}.{unfinished}"
    )


def _document(made: Minimised) -> dict[str, object]:
    before, after = made.commands
    instruction, expected, actual = made.kind
    return {
        "commands_before": before,
        "commands": after,
        "lines_before": made.lines_before,
        "lines": len(made.lines),
        "instruction": instruction,
        "expected": expected,
        "actual": actual,
        "complete": made.complete,
    }
