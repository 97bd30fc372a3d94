"""An auditor's evidence pack: entries with their proofs in one zip, for people and programs."""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import IO

from cloud_keystore.model.journal import decode, identifiers
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note, write
from cloudcard_tools.audit.service import Head
from cloudcard_tools.shared.failures import Failure

ENTRIES, TABLE, NOTE, README, MANIFEST = (
    "entries.jsonl",
    "entries.csv",
    "checkpoint.txt",
    "README.txt",
    "manifest.json",
)
FILES = {ENTRIES, TABLE, NOTE, README, MANIFEST}
LARGEST_FILE = 1 << 30  # of a pack, unpacked
NO_NAMES: Mapping[str, str] = MappingProxyType({})
# A spreadsheet would run a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# The time of every file, so that equal packs have equal bytes.
WHEN = (1980, 1, 1, 0, 0, 0)
COLUMNS = (
    "index", "time", "kind", "actor", "card", "user", "workstation", "device", "operation", "key",
    "details", "evidence_sha256", "names_when_packed",
)  # fmt: skip
WORDS = """\
Evidence pack of the journal {origin}
with {entries} of its {size} entries.

entries.jsonl   the entries, each with its proof that it is in the journal of the checkpoint
entries.csv     the same for spreadsheets, with the names that the keystore gave when this pack was
                made; these names are no evidence
checkpoint.txt  the checkpoint, signed by the journal's key (C2SP signed note)
manifest.json   SHA-256 of each file

To check it without the keystore, with the journal's key from somewhere you trust:

    cloudcard audit verify --journal-key {key} PACK.zip

Documents and passcodes are not in a journal. What was signed can be recognised by its SHA-256.
"""


def pack(
    path: Path, head: Head, entries: Sequence[EntryLine], names: Mapping[str, str] = NO_NAMES
) -> None:
    """Write a pack of entries that have their proofs; the table tells what their identifiers stand
    for now. Raises OSError if the file cannot be written.
    """
    size = head.checkpoint.size
    header = Header(head.origin, head.public_key, size)
    lines: list[Line] = [header, Note(head.note), *entries, End(len(entries), 1)]
    words = WORDS.format(
        origin=head.origin,
        entries=len(entries),
        size=size,
        key=base64.b64encode(head.public_key).decode(),
    )
    files = {
        ENTRIES: "".join(write(line) for line in lines).encode(),
        TABLE: _table(entries, names).encode(),
        NOTE: head.note,
        README: words.encode(),
    }
    hashes = {name: sha256(value).hexdigest() for name, value in sorted(files.items())}
    files[MANIFEST] = json.dumps(hashes, indent=2).encode() + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, WHEN), value, zipfile.ZIP_DEFLATED)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The entries of a pack. Raises Failure unless its files are those of its manifest."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) != sorted(FILES):
                raise Failure(f"{path} has other files than an evidence pack")
            if any(archive.getinfo(name).file_size > LARGEST_FILE for name in names):
                raise Failure(f"{path} is larger than any evidence pack")
            _check_manifest(archive, path)
            with archive.open(ENTRIES) as file:
                yield file
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise Failure(f"{path} is not an evidence pack, or was cut: {error}") from None


def _check_manifest(archive: zipfile.ZipFile, path: Path) -> None:
    try:
        said = json.loads(archive.read(MANIFEST))
    except ValueError:
        said = None
    for name in sorted(FILES - {MANIFEST}):
        digest = sha256()
        with archive.open(name) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        if not isinstance(said, dict) or said.get(name) != digest.hexdigest():
            raise Failure(f"{name} in {path} does not match the manifest: it was changed")


def _table(entries: Iterable[EntryLine], names: Mapping[str, str]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for each in entries:
        entry = decode(each.entry)
        details = "; ".join(f"{name}={value}" for name, value in sorted(entry.details.items()))
        evidence = "; ".join(
            f"{name}={sha256(value).hexdigest()}" for name, value in sorted(entry.evidence.items())
        )
        called = "; ".join(f"{each}={names[each]}" for each in identifiers(entry) if each in names)
        row = (
            each.index, entry.time.isoformat(), entry.kind.value, entry.actor, entry.card_id,
            entry.user_id, entry.workstation_id, entry.device_id, entry.operation_id,
            entry.key_id, details, evidence, called,
        )  # fmt: skip
        table.writerow(_safe(cell) for cell in row)
    return text.getvalue()


def _safe(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
