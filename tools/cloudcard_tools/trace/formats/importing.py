"""`cloudcard trace import`: traces from what other programs have logged."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import click

from card_os.piv import image_file
from card_os.piv.image import CardImage
from card_os.trace.lines import HEADER, Comment, Image, Line, Received, Sent, write
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option, print_json
from cloudcard_tools.trace.formats import pcap, reading, text
from cloudcard_tools.trace.formats.reading import ABOUT, JSON, LOGS, PCAP
from cloudcard_tools.trace.formats.secrets import Redacted
from cloudcard_tools.trace.formats.written import INPUT, kept
from cloudcard_tools.trace.replay import cards

MOST_NOTES = 5  # shown of what was left out


@click.command(
    "import",
    epilog="""\b
Examples:
  cloudcard trace import pcscd.log -o login.trace           the format is detected
  cloudcard trace import --from opensc debug.log -o login.trace --card cards/5b0f….json

\b
Formats:
"""
    + "\n".join(f"  {name:17}{about}" for name, about in ABOUT.items()),
)
@click.argument("path", metavar="FILE", type=INPUT)
@click.option("--from", "form", type=click.Choice(list(ABOUT)), help="Default: detected.")
@click.option("-o", "--output", required=True, type=NEW_FILE, help="The trace to write.")
@click.option("--card", type=INPUT, help="Image of the card, for replays without a reader.")
@json_option
def import_command(
    path: Path, form: str | None, output: Path, card: Path | None, as_json: bool
) -> None:
    """Make a trace from what another program has logged.

    Passcodes and keys are replaced before anything is written. Such a trace has no key requests: it
    replays with --reader, and without a reader as far as no key is used, if --card was given.

    Exit status: 0 written, 1 nothing was read, or it cannot be read; 2 wrong usage.
    """
    form = form or _guess(path)
    image = None if card is None else _image(card)
    redacted, told = Redacted(recorded=form == JSON), Told()
    with kept(output) as draft:
        draft.write(f"{HEADER}\n")
        if form != JSON:
            draft.write(f"{write(Comment(f'imported from {form}'))}\n")
        if image is not None:
            draft.write(f"{write(Image(cards.save(image, output.parent)))}\n")
        for line in redacted.lines(_foreign(path, form)):
            told.add(line, notes=form in LOGS)
            draft.write(f"{write(line)}\n")
        if not told.commands:
            raise Failure(f"{path}: no command was found in it. {_wanted(form)}")
    _tell(output, form, told, redacted.replaced, has_card=card is not None, as_json=as_json)


@dataclass(slots=True)
class Told:
    """What an imported trace has."""

    commands: int = 0
    responses: int = 0
    notes: list[str] = field(default_factory=list)  # what was left out, and why

    def add(self, line: Line, *, notes: bool) -> None:
        """Count a line. With `notes`, a comment is one."""
        self.commands += isinstance(line, Sent)
        self.responses += isinstance(line, Received)
        if notes and isinstance(line, Comment):
            self.notes.append(line.text)


def _tell(
    output: Path, form: str, told: Told, replaced: int, *, has_card: bool, as_json: bool
) -> None:
    """Say what was read, what was replaced, and what to do with the trace."""
    name = shlex.quote(str(output))
    hint = [f"cloudcard trace show {name}", f"cloudcard trace replay {name}"]
    if not has_card:
        hint[1] += " --reader NAME"
    if as_json:
        print_json(
            {
                "path": str(output),
                "format": form,
                "commands": told.commands,
                "responses": told.responses,
                "secrets": replaced,
                "left_out": told.notes,
                "next": hint,
            }
        )
        return
    click.echo(
        f"{output}: {_count(told.commands, 'command')} from {form}, "
        f"{_count(replaced, 'secret')} replaced."
    )
    if unanswered := told.commands - told.responses:
        click.echo(f"{_count(unanswered, 'command')} without a response.")
    for note in told.notes[:MOST_NOTES]:
        click.echo(f"Note: {note}.")
    if len(told.notes) > MOST_NOTES:
        click.echo(f"Note: and {len(told.notes) - MOST_NOTES} more, as comments in the trace.")
    more = (
        "" if has_card else ", or import it again with --card IMAGE to replay it without a reader"
    )
    click.echo(f"Next: {hint[0]}\n      {hint[1]}{more}")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' * (number != 1)}"


def _foreign(path: Path, form: str) -> Iterator[Line]:
    if form == PCAP:
        with path.open("rb") as packets:
            yield from pcap.read(packets)
    else:
        with text.opened(path) as file:
            yield from reading.read(text.raw_lines(file), form)


def _guess(path: Path) -> str:
    """The format of a file. Raises Failure if it is none that is known."""
    try:
        with path.open("rb") as file:
            beginning = file.read(4)
        if pcap.is_capture(beginning):
            return PCAP
        with text.opened(path) as lines:
            form = reading.guess(text.raw_lines(lines))
            lines.seek(0)
            is_blank = not any(each.strip() for each in islice(text.raw_lines(lines), 1000))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    if form is not None:
        return form
    if is_blank:
        raise Failure(f"{path} is empty: there is nothing to import")
    raise Failure(f"{path}: not recognised; these formats are, and --from names one:\n{_formats()}")


def _formats() -> str:
    return "\n".join(f"  {name:17}{about}" for name, about in ABOUT.items())


def _wanted(form: str) -> str:
    return f"{form} is {ABOUT[form]}; --from names another format"


def _image(path: Path) -> CardImage:
    """The image of a card. Raises Failure."""
    try:
        return image_file.decode(path.read_bytes())
    except ValueError as error:
        raise Failure(f"{path} is not the image of a card: {error}") from None
