"""`cloudcard trace replay`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from card_os.application import Application
from card_os.trace.lines import write
from card_os.trace.replay import Difference, SeededRandom
from card_os.trace.words import TraceError
from cloudcard_tools import new_files
from cloudcard_tools.new_files import Output, require_report
from cloudcard_tools.shared.application import application_option, card_factory
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import counted
from cloudcard_tools.trace.in_reader import connected, passcode_options
from cloudcard_tools.trace.replay.passcodes import Passcodes, read
from cloudcard_tools.trace.replay.replaying import SUFFIX, Outcome, bless, replay
from cloudcard_tools.trace.replay.report import report

NOT_TOLD = "not sent to the card, which has refused a passcode before"
XML = b"<?xml"  # as JUnit's files begin
MANY = 20  # files; from this number on, a progress bar is shown


@click.command(
    "replay",
    epilog="""\b
Examples:
  cloudcard trace replay login.trace
  cloudcard trace replay tests/traces --jobs 4 --junit traces.xml
  cloudcard trace replay tests/traces --bless       accept the card's present answers
  cloudcard trace replay hello.trace --application hello_card:new_card
  cloudcard trace replay login.trace --reader Yubico --other-card --pin-file pin.txt
""",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--cards",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of card images. Default: the folder `cards` beside each trace.",
)
@application_option
@click.option(
    "--bless", "blesses", is_flag=True, help="Show what differs, then write it to the traces."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="How many processes replay in parallel.",
)
@click.option(
    "--junit",
    "junit_path",
    type=Output(partial(require_report, XML)),
    help="Also write JUnit XML to this file; one of a run before is replaced.",
)
@click.option("--reader", help="Use the card in this PC/SC reader; a part of its name is enough.")
@passcode_options
@click.option(
    "--writes",
    is_flag=True,
    help="With --reader: also send what changes the card, and wrong passcodes, which cost tries.",
)
@click.option(
    "--other-card",
    is_flag=True,
    help="With --reader: the card is not the recorded one; its data objects can differ.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def replay_command(
    context: click.Context,
    paths: tuple[Path, ...],
    cards: Path | None,
    application: str | None,
    blesses: bool,
    jobs: int,
    junit_path: Path | None,
    reader: str | None,
    pin_file: Path | None,
    puk_file: Path | None,
    writes: bool,
    other_card: bool,
    as_json: bool,
) -> None:
    """Send the commands of traces to the card again, and compare every response.

    PATHS are traces, or folders of them. The card runs in this process, is made from the image that
    a trace names, and has to answer byte for byte the same. With --reader it is a real card: then
    signatures are verified, and random numbers and tries left can differ.

    Exit status: 0 no difference, 1 something differs or cannot be read, 2 wrong usage.
    """
    files = list(_files(paths))
    if reader is None:
        if pin_file or puk_file or writes or other_card:
            raise click.UsageError("--pin-file, --puk-file, --writes, --other-card need --reader")
        outcomes = _replay_all(files, cards, application, jobs)
    else:
        if blesses or jobs > 1 or application is not None:
            raise click.UsageError("--reader goes with none of --bless, --jobs and --application")
        outcomes = _replay_at(reader, files, cards, pin_file, puk_file, writes, other_card)
    if blesses:
        _require_usable(outcomes)
    applications = _applications(application, outcomes)
    if as_json:
        click.echo(json.dumps([_document(each) for each in outcomes], indent=2))
    else:
        for each in outcomes:
            click.echo("\n".join(report(each, applications)))
        click.echo(_summary(outcomes))
    if junit_path is not None:
        from cloudcard_tools.trace.replay import junit

        with new_files.report(junit_path, XML) as file:
            file.write(junit.text(outcomes, applications))
    if blesses:
        _bless(outcomes, cards, application)
    elif not outcomes or not all(each.passed for each in outcomes):
        context.exit(1)


def _applications(name: str | None, outcomes: Sequence[Outcome]) -> Sequence[Application]:
    """The applications of the user's own card, which words differences; none for a PIV card."""
    if name is None or all(each.passed for each in outcomes):
        return ()
    return card_factory(name)(SeededRandom()).applications


def _replay_all(
    files: Sequence[Path], cards: Path | None, application: str | None, jobs: int
) -> list[Outcome]:
    """Replay the files in order."""
    one = partial(replay, folder=cards, application=application)
    if jobs == 1 or len(files) < 2:
        return list(_with_bar(map(one, files), len(files)))
    # Imported late, because it takes 20 ms.
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(min(jobs, len(files))) as pool:
        return list(_with_bar(pool.map(one, files), len(files)))


def _replay_at(
    reader: str,
    files: Sequence[Path],
    images: Path | None,
    pin_file: Path | None,
    puk_file: Path | None,
    writes: bool,
    other_card: bool,
) -> list[Outcome]:
    """Replay files one after the other with the card in a reader. Raises Failure if it is
    missing.
    """
    from cloudcard_tools.trace.replay import at_reader

    try:
        pin, puk = (None if path is None else read(path) for path in (pin_file, puk_file))
    except TraceError as error:
        raise Failure(str(error)) from None
    # Shared by all files: what one trace changes stays changed, and a refused passcode stays wrong.
    terms = at_reader.Terms(Passcodes(pin, puk), writes, other_card, images)
    with connected(reader) as (_, card):
        return [
            Outcome(path, 0, (), problem=NOT_TOLD)
            if terms.passcodes.refused
            else at_reader.replay(path, card, terms)
            for path in files
        ]


def _with_bar(outcomes: Iterable[Outcome], count: int) -> Iterator[Outcome]:
    """The outcomes. A terminal shows a progress bar if there are many files."""
    if count < MANY or not sys.stderr.isatty():
        yield from outcomes
        return
    with click.progressbar(outcomes, count, "Replaying", file=sys.stderr) as bar:
        yield from bar


def _require_usable(outcomes: Sequence[Outcome]) -> None:
    """Raise Failure if a trace cannot be replayed."""
    unusable = [each for each in outcomes if each.problem]
    if unusable:
        raise Failure(f"nothing was written: {unusable[0].path}: {unusable[0].problem}")


def _bless(outcomes: Sequence[Outcome], cards: Path | None, application: str | None) -> None:
    """Write the card's present answers into the traces that differ."""
    changed = [each for each in outcomes if not each.passed]
    for each in changed:
        bless(each.path, cards, application)
    click.echo(f"{len(changed)} traces written anew.", err=True)


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
    left_out = sum(each.left_out for each in outcomes)
    unverified = sum(each.unverified for each in outcomes)
    more = f" {left_out} that a card in a reader is not told were left out." if left_out else ""
    if unverified:
        more += f" {unverified} signatures without a known public key were not verified."
    told = counted(commands, "command", "commands")
    return f"{same} of {len(outcomes)} traces the same, {told}.{more}"


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "path": str(outcome.path),
        "passed": outcome.passed,
        "commands": outcome.commands,
        "left_out": outcome.left_out,
        "unverified": outcome.unverified,
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
