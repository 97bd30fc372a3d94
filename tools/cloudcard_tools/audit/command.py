"""The commands of auditors."""

from __future__ import annotations

import base64
import binascii
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from cloud_keystore.audit import notes
from cloud_keystore.audit.cosignatures import Witness, cosigned
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import SUBJECTS, decode, identifiers
from cloudcard.audit.v1 import audit_pb2 as pb
from cloudcard_tools import new_files
from cloudcard_tools.audit import lines, pack
from cloudcard_tools.audit import tiles as tiling
from cloudcard_tools.audit.checking import check
from cloudcard_tools.audit.collecting import collect
from cloudcard_tools.audit.filters import Filters, filter_options
from cloudcard_tools.audit.lines import End, EntryLine, Header, Note
from cloudcard_tools.audit.pack_checking import check_pack
from cloudcard_tools.audit.reporting import report
from cloudcard_tools.audit.service import Journal
from cloudcard_tools.audit.witnesses import cosign as cosign_by
from cloudcard_tools.new_files import NEW_FILE, NEW_FOLDER
from cloudcard_tools.shared import enrolling, output
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option

ROLE = "auditor"
FOUND_SOMETHING = 1  # exit code of `verify`
KEY_BYTES = 32
COLUMNS = {
    "index": "#",
    "time": "TIME",
    "kind": "WHAT",
    "actor": "WHO",
    "subjects": "ABOUT",
    "details": "DETAILS",
}
SUBJECT_WORDS = {
    "card_id": "card",
    "user_id": "user",
    "workstation_id": "workstation",
    "device_id": "device",
    "operation_id": "operation",
    "key_id": "key",
}

auditor_options = caller_options(ROLE)


@click.group(
    epilog="""\b
Examples:
  cloudcard audit enrol --token-file auditor.token
  cloudcard audit key
  cloudcard audit show --card 1500000000000017 --since 2026-11-01
  cloudcard audit show --user ada@example.org
  cloudcard audit show --kind operation.denied --json
  cloudcard audit export journal.jsonl
  cloudcard audit verify journal.jsonl --journal-key journal.key \\
      --since-checkpoint october.checkpoint --keep november.checkpoint
  cloudcard audit tiles journal.jsonl journal.tiles
  cloudcard audit cosign november.checkpoint --witness https://witness.example.org KEY
  cloudcard audit pack evidence.zip --card 1500000000000017
"""
)
def audit() -> None:
    """The journal: what happened, with proofs that nobody has changed it."""


@audit.command()
@enrolling.token_argument
@enrolling.token_file_option
@enrolling.identity_option(ROLE)
def enrol(token: str | None, token_file: Path | None, folder: Path | None) -> None:
    """Enrol an auditor on this computer, with a one-time TOKEN (`cloudcard ra auditor add`)."""
    enrolling.enrol(token, token_file, folder, ROLE)


@audit.command()
@auditor_options
def key(caller: Caller) -> None:
    """Show which journal this is, and its key. Keep the key, and compare it with other
    auditors'.
    """
    with caller.service(Journal) as service:
        head = service.head()
    facts: output.Row = {
        "origin": head.origin,
        "journal_key": base64.b64encode(head.public_key).decode(),
        "size": head.checkpoint.size,
        "checkpoint": head.note.decode(),
    }
    labels = {"origin": "Journal", "journal_key": "Key", "size": "Entries"}
    caller.print_facts(facts, labels)


@audit.command()
@filter_options
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@auditor_options
def show(filters: Filters, limit: int, caller: Caller) -> None:
    """Show entries, the newest first, with today's names beside the identifiers."""
    with caller.service(Journal) as service:
        found = list(service.search(filters.query(service.find), limit))
    row = _row if caller.as_json else _in_words
    rows = [row(each, service.names) for each in found]
    caller.print_rows(rows, COLUMNS, "No entry matches.")


@audit.command()
@click.argument("file", type=NEW_FILE)
@auditor_options
def export(file: Path, caller: Caller) -> None:
    """Write the whole journal with its checkpoints to the new FILE, so that it can be verified
    elsewhere.
    """
    with (
        caller.service(Journal) as service,
        output.progress() as progress,
        new_files.opened(file) as out,
    ):
        head = service.head()
        size = head.checkpoint.size
        task = progress.add_task("Exporting", total=size)
        out.write(lines.write(Header(head.origin, head.public_key, size)))
        checkpoints, written = service.checkpoints(size), 0
        note = next(checkpoints, None)
        for entry in service.entries(size):
            out.write(lines.write(EntryLine(entry.index, entry.entry)))
            while note is not None and int(note.split(b"\n")[1]) == entry.index + 1:
                out.write(lines.write(Note(note)))
                written += 1
                note = next(checkpoints, None)
            progress.advance(task)
        out.write(lines.write(End(size, written)))
    facts: output.Row = {"file": str(file), "entries": size, "checkpoints": written}
    labels = {"file": "Exported to", "entries": "Entries", "checkpoints": "Checkpoints"}
    caller.print_facts(facts, labels)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("folder", type=NEW_FOLDER)
@json_option
def tiles(file: Path, folder: Path, as_json: bool) -> None:
    """Write the exported journal FILE to the empty FOLDER as tiles, which static hosting can serve
    (C2SP tlog-tiles).
    """
    with file.open("rb") as exported:
        written = tiling.write(folder, lines.read(exported))
    facts: output.Row = {"folder": str(folder), "entries": written.size}
    output.print_facts(facts, {"folder": "Written to", "entries": "Entries"}, as_json=as_json)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--journal-key",
    metavar="KEY",
    help="The journal's key from a source that you trust: base64, or a file that holds it.",
)
@click.option(
    "--since-checkpoint",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A checkpoint that you kept: the history up to it must be the same.",
)
@click.option(
    "--witness",
    "witness_keys",
    multiple=True,
    metavar="KEY",
    help="A witness that must have cosigned that checkpoint (NAME+ID+KEY); repeatable.",
)
@click.option(
    "--keep",
    type=NEW_FILE,
    help="Where to write the newest checkpoint, if nothing is wrong.",
)
@json_option
def verify(
    file: Path,
    journal_key: str | None,
    since_checkpoint: Path | None,
    witness_keys: tuple[str, ...],
    keep: Path | None,
    as_json: bool,
) -> None:
    """Check an exported journal, its folder of tiles, or an evidence pack, without the keystore.

    Exit code 0: nothing is wrong; 1: something is; 2: the command was wrong.
    """
    public_key = None if journal_key is None else _key(journal_key)
    kept = None if since_checkpoint is None else _kept(since_checkpoint, public_key)
    witnessed = _witnessed(since_checkpoint, [_witness(each) for each in witness_keys])
    if file.is_dir():
        if public_key is None:
            raise click.UsageError("tiles do not have the journal's key: give --journal-key")
        result = tiling.check_folder(file, public_key, kept, witnessed)
    elif zipfile.is_zipfile(file):
        with pack.opened(file) as found:
            result = check_pack(found, public_key, kept)
    else:
        with file.open("rb") as entries:
            result = check(lines.read(entries), public_key, kept, witnessed=witnessed)
    if keep is not None and result.newest:
        with new_files.opened(keep) as out:
            out.write(result.newest.decode())
    report(result, pinned=public_key is not None, as_json=as_json)
    if result.findings:
        raise SystemExit(FOUND_SOMETHING)


@audit.command()
@click.argument("file", type=NEW_FILE)
@click.option(
    "--witness",
    "asked",
    nargs=2,
    multiple=True,
    required=True,
    metavar="URL KEY",
    help="Where a witness is, and its verifier key (NAME+ID+KEY); repeatable.",
)
@auditor_options
def cosign(file: Path, asked: tuple[tuple[str, str], ...], caller: Caller) -> None:
    """Have witnesses cosign the newest checkpoint, and write it to FILE.

    Witnesses are others who remember how far the journal had grown. They cosign only what begins
    with all that they have seen before (C2SP tlog-witness).
    """
    witnesses = [(url, _witness(key)) for url, key in asked]
    with caller.service(Journal) as service:
        head = service.head()
        note = head.note
        for url, witness in witnesses:
            prove = service.consistency
            note += cosign_by(head.note, head.checkpoint, url, witness, prove)
    with new_files.opened(file) as out:
        out.write(note.decode())
    facts: output.Row = {
        "file": str(file),
        "entries": head.checkpoint.size,
        "witnesses": [witness.name for _, witness in witnesses],
    }
    labels = {"file": "Written to", "entries": "Entries", "witnesses": "Cosigned by"}
    caller.print_facts(facts, labels)


@audit.command("pack")
@click.argument("file", type=NEW_FILE)
@filter_options
@auditor_options
def pack_command(file: Path, filters: Filters, caller: Caller) -> None:
    """Write an evidence pack: the entries that match and those on which they rest, with proofs, in
    one zip file.
    """
    with caller.service(Journal) as service:
        head = service.head()
        found = collect(service, filters.query(service.find), head.checkpoint.size)
        proofs = service.proofs(head.checkpoint.size, [each.index for each in found])
        entries = [
            EntryLine(each.index, each.entry, proof)
            for each, proof in zip(found, proofs, strict=True)
        ]
    with new_files.draft(file) as draft:
        pack.pack(draft, head, entries, service.names)
    facts: output.Row = {"file": str(file), "entries": len(entries)}
    caller.print_facts(facts, {"file": "Packed into", "entries": "Entries"})


def _row(kept: pb.Entry, names: Mapping[str, str]) -> output.Row:
    entry = decode(kept.entry)
    subjects = {name: getattr(entry, name) for name in SUBJECTS}
    return {
        "id": kept.id,
        "index": kept.index if kept.HasField("index") else None,
        "time": entry.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "kind": entry.kind.value,
        "actor": str(entry.actor),
        **subjects,
        "trace_id": entry.trace_id,
        "details": dict(entry.details),
        "evidence": {
            name: base64.b64encode(value).decode() for name, value in entry.evidence.items()
        },
        "names": {each: names[each] for each in identifiers(entry) if each in names},
    }


def _in_words(kept: pb.Entry, names: Mapping[str, str]) -> output.Row:
    entry = decode(kept.entry)

    def named(word: str, identifier: str) -> str:
        name = names.get(identifier)
        return f"{word} {name} ({identifier})" if name else f"{word} {identifier}"

    actor = entry.actor
    subjects = ((word, getattr(entry, field)) for field, word in SUBJECT_WORDS.items())
    return {
        "index": kept.index if kept.HasField("index") else None,
        "time": output.iso_time(entry.time),
        "kind": entry.kind.value,
        "actor": named(actor.kind, actor.id) if actor.id else str(actor),
        # The actor is told already.
        "subjects": [named(word, each) for word, each in subjects if each and each != actor.id],
        "details": [
            f"{name}={value}" + (f" ({names[str(value)]})" if str(value) in names else "")
            for name, value in entry.details.items()
        ],
    }


def _key(text: str) -> bytes:
    """A public key from the command line or a file."""
    with suppress(OSError):
        text = Path(text).read_text()
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        found = b""
    if len(found) != KEY_BYTES:
        raise click.UsageError("--journal-key is not an Ed25519 key: see `cloudcard audit key`")
    return found


def _kept(path: Path, public_key: bytes | None) -> Checkpoint:
    if public_key is None:
        raise click.UsageError("--since-checkpoint needs --journal-key, the key that signed it")
    try:
        return notes.open_(path.read_bytes(), public_key)
    except InvalidInput as error:
        raise Failure(f"{path}: {error}") from None


def _witness(verifier_key: str) -> Witness:
    try:
        return Witness.parse(verifier_key)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None


def _witnessed(path: Path | None, witnesses: Sequence[Witness]) -> datetime | None:
    """When the first of the witnesses saw the kept checkpoint, which all have cosigned."""
    if not witnesses:
        return None
    if path is None:
        raise click.UsageError("--witness needs --since-checkpoint, which the witness has cosigned")
    try:
        return min(cosigned(path.read_bytes(), each) for each in witnesses)
    except InvalidInput as error:
        raise Failure(f"{path}: {error}") from None
