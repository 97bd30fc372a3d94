"""`cloudcard ra import`: adds the people of a CSV file, who have all been checked before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path

import click

from cloud_keystore.model.sheets import cells, reading
from cloud_keystore.model.sheets.candidates import COLUMNS, Candidate
from cloud_keystore.model.sheets.reading import (
    ENCODINGS,
    MOST_BYTES,
    REFUSED_BECAUSE,
    Sheet,
    SheetRow,
    SheetUnusable,
)
from cloudcard.registry.v1 import importing_pb2 as pb
from cloudcard.registry.v1.importing_pb2_grpc import ImportServiceStub
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.ra.registry import operator_options, token_facts
from cloudcard_tools.ra.sheets import writing
from cloudcard_tools.shared import output
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row, counted

PORTION = 100  # people in one call
SECONDS = 60.0  # for a portion: other writers can be before it
SAMPLE = "sample.csv"
FAULT_COLUMNS = {
    "row": "Row",
    "column": "Column",
    "value": "Value",
    "reason": "Reason",
    "fix": "What to do",
}
LABELS = {"rows": "Rows", "added": "Added", "there": "There before", "refused": "Refused"}
CHECKED_LABELS = {
    "rows": "Rows",
    "would_be_added": "Would be added",
    "there": "There before",
    "refused": "Refused",
}
TOKEN_HEADERS = ("name", "email", "uuid12", "token", "token_expires")


class SheetRefused(Failure):
    """The file as a whole cannot be read."""

    reason = "FILE_UNUSABLE"


@dataclass(slots=True)
class Findings:
    """What is known of a file's rows: why some are refused, and who is there."""

    faults: dict[int, list[pb.Fault]] = field(default_factory=dict)  # by number of row
    added: int = 0
    there: int = 0

    def refused(self, row: SheetRow) -> bool:
        return row.number in self.faults


@click.command(
    "import",
    epilog="""\b
Examples:
  cloudcard ra import --sample > people.csv
  cloudcard ra import people.csv --dry-run
  cloudcard ra import people.csv --rejected rejected.csv --tokens tokens.csv
  cloudcard ra import people.csv --map email="Work address" --encoding cp1252
""",
)
@click.argument(
    "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False
)
@click.option("--dry-run", is_flag=True, help="Check all rows, and change nothing.")
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="COLUMN=HEADER",
    help=f"The header of a column: {', '.join(COLUMNS)}. Repeatable.",
)
@click.option(
    "--rejected",
    type=NEW_FILE,
    help="Import the good rows all the same, and write the others to this file, to be corrected.",
)
@click.option(
    "--tokens", type=NEW_FILE, help="Write the tokens for the people's phones to this file."
)
@click.option(
    "--encoding", type=click.Choice(ENCODINGS), help="How the file is written, if it is not seen."
)
@click.option("--sample", is_flag=True, help="Print a sample file, and do nothing else.")
@operator_options
def import_people(  # one argument for each option
    file: Path | None,
    dry_run: bool,
    mapped: Sequence[str],
    rejected: Path | None,
    tokens: Path | None,
    encoding: str | None,
    sample: bool,
    caller: Caller,
) -> None:
    """Add the people of FILE, a CSV file with a header for each column: name and email, and
    perhaps organisation, phone, upn, sid and profile.

    All rows are checked before anybody is added; if one is refused, nobody is, unless --rejected
    says where to write it. Who is there already stays as is, so an import that was interrupted is
    just repeated. The command ends with 1 if a row was refused.
    """
    if sample:
        text = files(__package__).joinpath(SAMPLE).read_text(encoding="utf-8")
        click.echo(text, nl=False)
        return
    if file is None:
        raise click.UsageError("name the FILE; --sample prints one to begin with")
    sheet = _read(file, _mapping(mapped), encoding)
    if sheet.ignored and not caller.as_json:
        click.echo(f"Ignored: {', '.join(sheet.ignored)}.", err=True)
    with caller.service(ImportServiceStub) as stub:
        found = _checked(sheet, stub)
        done = not dry_run and (rejected is not None or not found.faults)
        if done:
            _import(sheet, found, stub, tokens)
    if found.faults and rejected is not None:
        _write_rejected(rejected, sheet, found)
    _tell(sheet, found, caller, rejected if found.faults else None, done=done)
    if found.faults:
        click.get_current_context().exit(1)


def _read(file: Path, mapping: Mapping[str, str], encoding: str | None) -> Sheet:
    with file.open("rb") as opened:
        raw = opened.read(MOST_BYTES + 1)
    try:
        return reading.read(raw, mapping, encoding)
    except SheetUnusable as error:
        instead = f", or say {error.option}" if error.option else ""
        raise SheetRefused(f"{file}: {error}{instead}") from None


def _mapping(said: Sequence[str]) -> Mapping[str, str]:
    pairs = [each.partition("=") for each in said]
    if not all(column and header for column, _, header in pairs):
        raise click.UsageError('--map needs a column and a header, such as email="Work address"')
    return {column.strip().lower(): header for column, _, header in pairs}


def _checked(sheet: Sheet, stub: ImportServiceStub) -> Findings:
    """Check all rows, and change nothing."""
    found = Findings(
        {
            number: [pb.Fault(column=f.column, reason=f.reason, fix=f.fix) for f in faults]
            for number, faults in sheet.faults().items()
        }
    )
    good = [row for row in sheet.rows if not found.refused(row)]
    for rows, response in _portions("Checking", sheet, good, stub, dry_run=True):
        for row, user in zip(rows, response.users, strict=True):
            if user.outcome == pb.IMPORT_OUTCOME_REFUSED:
                found.faults[row.number] = list(user.faults)
            found.added += user.outcome == pb.IMPORT_OUTCOME_ADDED
            found.there += user.outcome == pb.IMPORT_OUTCOME_THERE
    return found


def _import(sheet: Sheet, found: Findings, stub: ImportServiceStub, tokens: Path | None) -> None:
    """Add the people of the good rows. Raises Failure if one of them is refused meanwhile."""
    good = [row for row in sheet.rows if not found.refused(row)]
    found.added = found.there = 0
    new = (
        nullcontext() if tokens is None else writing.growing(tokens, sheet.delimiter, TOKEN_HEADERS)
    )
    with new as kept:
        for rows, response in _portions("Importing", sheet, good, stub, dry_run=False):
            for row, user in zip(rows, response.users, strict=True):
                if user.outcome == pb.IMPORT_OUTCOME_REFUSED:
                    raise Failure(
                        f"row {row.number} was good and is not any more: {user.faults[0].reason}. "
                        "Those in rows before are added: correct it, and give the command again"
                    )
            for row, user in zip(rows, response.users, strict=True):
                is_new = user.outcome == pb.IMPORT_OUTCOME_ADDED
                found.added += is_new
                found.there += not is_new
                if kept is not None and is_new:
                    said, token = sheet.candidate(row), token_facts(user.device_token)
                    kept.add((said.name, said.email, user.uuid12, *map(str, token.values())))
            if kept is not None:
                kept.flush()


def _portions(
    what: str, sheet: Sheet, rows: Sequence[SheetRow], stub: ImportServiceStub, *, dry_run: bool
) -> Iterator[tuple[Sequence[SheetRow], pb.ImportUsersResponse]]:
    """The answers of the keystore about some rows, portion by portion, with a bar meanwhile."""
    waiting = iter(rows)
    with output.progress() as progress:
        task = progress.add_task(what, total=len(rows))
        while some := list(islice(waiting, PORTION)):
            said = [_message(sheet.candidate(row)) for row in some]
            request = pb.ImportUsersRequest(candidates=said, dry_run=dry_run)
            yield some, stub.ImportUsers(request, timeout=SECONDS)
            progress.advance(task, len(some))


def _message(candidate: Candidate) -> pb.Candidate:
    # What no field can hold is refused there, with its column; half a character cannot be sent.
    return pb.Candidate(
        **{
            column: getattr(candidate, column).encode("utf-8", "replace").decode()
            for column in COLUMNS
        }
    )


def _write_rejected(path: Path, sheet: Sheet, found: Findings) -> None:
    """Write the refused rows with their faults, so that they can be corrected and imported."""
    headers = [*_without_reasons(sheet)(sheet.headers), REFUSED_BECAUSE]
    with writing.whole(path, sheet.delimiter, headers) as new:
        for row in sheet.rows:
            if found.refused(row):
                why = "; ".join(f"{each.reason}: {each.fix}" for each in found.faults[row.number])
                new.add([*map(cells.plain, _without_reasons(sheet)(row.cells)), why])


def _without_reasons(sheet: Sheet) -> Callable[[Sequence[str]], list[str]]:
    """Cells without the one that says why the row was refused before."""
    former = [place for place, each in enumerate(sheet.headers) if each == REFUSED_BECAUSE]
    return lambda row: [each for place, each in enumerate(row) if place not in former]


def _tell(
    sheet: Sheet, found: Findings, caller: Caller, rejected: Path | None, *, done: bool
) -> None:
    faults = list(_faults(sheet, found))
    facts = {
        "rows": len(sheet.rows),
        "added": found.added if done else 0,
        "would_be_added": None if done else found.added,
        "there": found.there,
        "refused": len(found.faults),
        "faults": faults,
        "ignored": sheet.ignored,
        "rejected": None if rejected is None else str(rejected),
    }
    if not caller.as_json and faults:
        caller.print_rows(faults, FAULT_COLUMNS, "", ("value",))
        click.echo()
    labels = LABELS if done else CHECKED_LABELS
    caller.print_facts(facts, labels | ({"rejected": "Refused rows"} if rejected else {}))
    if not done and not caller.as_json:
        click.echo(_next(found), err=True)


def _next(found: Findings) -> str:
    if not found.faults:
        return "Nothing was changed: give the command without --dry-run."
    refused = counted(len(found.faults), "row", "rows")
    return f"Nothing was changed: correct the {refused}, or import the others with --rejected FILE."


def _faults(sheet: Sheet, found: Findings) -> Iterator[Row]:
    for row in sheet.rows:
        said = sheet.candidate(row)
        for each in found.faults.get(row.number, ()):
            yield {
                "row": row.number,
                "column": each.column or None,
                "value": getattr(said, each.column) if each.column else None,
                "reason": each.reason,
                "fix": each.fix,
            }
