"""`cloudcard trace record`, and replays at a card in a PC/SC reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import click

from card_os.trace.words import TraceError
from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.failure import Failure
from cloudcard_tools.shared.pcsc import Card, PcscError, client
from cloudcard_tools.trace.replay.passcodes import Passcodes, read
from cloudcard_tools.trace.replay.replaying import Outcome

F = TypeVar("F", bound=Callable[..., object])

NOT_TOLD = "not told to the card, which has refused a passcode before"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def passcode_options(function: F) -> F:
    """The files of the passcodes, which no command line should hold."""
    pin = click.option("--pin-file", type=FILE, help="With --reader: file with the card's PIN.")
    puk = click.option("--puk-file", type=FILE, help="With --reader: file with the card's PUK.")
    return pin(puk(function))


@click.command(
    epilog="""\b
Examples:
  cloudcard trace record --reader Yubico --script look.txt --output look.trace

\b
A script has a command a line:
  = select
  00A4040005A000000308
  = log in
  00200080 08 {pin}
"""
)
@click.option("--reader", required=True, help="The PC/SC reader; part of its name does.")
@click.option("--script", type=FILE, required=True, help="What to send.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The trace; it must not be there yet.",
)
@passcode_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def record(
    reader: str,
    script: Path,
    output: Path,
    pin_file: Path | None,
    puk_file: Path | None,
    as_json: bool,
) -> None:
    """Record what a card in a PC/SC reader says to a script.

    `cloudcard reader --record` records the cards of this computer's virtual reader instead, with
    what they ask their key service.

    Each line of the script is a command in hexadecimal digits, `= name of a step`, `# comment` or
    `@ reset`; {pin} and {puk} in a command stand for the passcodes in the files. Passcodes, and
    what a key deciphers, are replaced before anything is written. A script with a wrong line is not
    begun, and one whose passcode the card refuses ends there. Exit status: 0 recorded, 1 not, 2
    wrong usage.
    """
    from cloudcard_tools.trace.record import scripted

    files = {"pin": pin_file, "puk": puk_file}
    commands = 0
    try:
        known = {name: read(path) for name, path in files.items() if path is not None}
        with script.open(encoding="ascii", errors="surrogateescape") as lines:
            commands = sum(
                isinstance(line, scripted.Command) for _, line in scripted.parse(lines, known)
            )
            lines.seek(0)
            with (
                _connected(reader) as (name, card),
                output.open("x", encoding="ascii", newline="\n") as trace,
            ):
                told = scripted.record(scripted.parse(lines, known), card, name)
                trace.writelines(line + "\n" for line in told)
    except FileExistsError:
        raise Failure(f"{output} is there already: name another file, or remove it") from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from None
    except TraceError as error:
        raise Failure(f"{script}: {error}") from None
    if as_json:
        document = {"path": str(output), "reader": name, "commands": commands}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"Recorded: {output}, {commands} commands", err=True)


def replay_at(
    reader: str,
    files: Sequence[Path],
    images: Path | None,
    pin_file: Path | None,
    puk_file: Path | None,
    writes: bool,
    other_card: bool,
) -> list[Outcome]:
    """Replay files, one after the other, at the card in a reader. Raises Failure."""
    from cloudcard_tools.trace.replay import at_reader

    try:
        pin, puk = (None if path is None else read(path) for path in (pin_file, puk_file))
    except TraceError as error:
        raise Failure(str(error)) from None
    # One for all files: what a trace changes stays changed, and what was refused stays wrong.
    terms = at_reader.Terms(Passcodes(pin, puk), writes, other_card, images)
    with _connected(reader) as (_, card):
        return [
            Outcome(path, 0, (), problem=NOT_TOLD)
            if terms.passcodes.refused
            else at_reader.replay(path, card, terms)
            for path in files
        ]


@contextmanager
def _connected(reader: str) -> Iterator[tuple[str, Card]]:
    """The name of the one reader whose name has this in it, and its card. Raises Failure."""
    try:
        with client() as own:
            names = own.readers()
            found = [name for name in names if name == reader] or [
                name for name in names if reader.lower() in name.lower()
            ]
            if len(found) != 1:
                there = ", ".join(found or names) or "there are none"
                problem = "more than one reader" if found else "no reader"
                raise Failure(f"{problem} is called {reader!r}: {there}")
            with own.connect(found[0]) as card, card.alone():
                try:
                    yield found[0], card
                finally:
                    with suppress(PcscError):  # it may have gone
                        card.reset()  # else whoever comes next finds it logged in
    except PcscError as error:
        raise Failure(f"PC/SC: {error}") from None
    except ImportError:
        raise Failure(f"pyscard is not installed: {install('pcsc')}") from None
