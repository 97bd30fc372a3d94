"""Evidence packs: entries with their proofs in one zip, for people and programs."""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from cloud_keystore.model.journal import decode, identifiers
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note, read, write
from cloudcard_tools.audit.service import Head
from cloudcard_tools.shared.failures import Failure

ENTRIES, TABLE, NAMES, NOTE, README, MANIFEST = (
    "entries.jsonl",
    "entries.csv",
    "names.csv",
    "checkpoint.txt",
    "README.txt",
    "manifest.json",
)
MADE = (TABLE, NOTE, README)  # of the entries and their checkpoint, and of nothing else
FILES = {ENTRIES, NAMES, MANIFEST, *MADE}
OLD_FILES = FILES - {NAMES}  # of before: names were a column of the table
LARGEST_FILE = 1 << 30  # of a pack, unpacked
NO_NAMES: Mapping[str, str] = MappingProxyType({})
# A spreadsheet would run a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# The time of every file, so that equal packs have equal bytes.
WHEN = (1980, 1, 1, 0, 0, 0)
COLUMNS = (
    "index", "time", "kind", "actor", "card", "user", "workstation", "device", "operation", "key",
    "details", "evidence_sha256",
)  # fmt: skip
WORDS = """\
Evidence pack of the journal {origin}
with {entries} of its {size} entries.

entries.jsonl   the entries, each with its proof that it is in the journal of the checkpoint
entries.csv     the same for spreadsheets
names.csv       what the keystore called the identifiers when this pack was made: no evidence
checkpoint.txt  the checkpoint, signed by the journal's key (C2SP signed note)
manifest.json   SHA-256 of each file

To check it without the keystore, with the journal's key from somewhere you trust:

    cloudcard audit verify --journal-key {key} PACK.zip

Documents and passcodes are not in a journal. What was signed can be recognised by its SHA-256.
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """A pack whose files are those of its manifest."""

    lines: Iterable[tuple[int, Line]]
    files: Mapping[str, bytes]  # those for people
    is_old: bool


def pack(
    path: Path, head: Head, entries: Sequence[EntryLine], names: Mapping[str, str] = NO_NAMES
) -> None:
    """Write a pack of entries that have their proofs, and what their identifiers stand for now.
    Raises OSError if the file cannot be written.
    """
    header = Header(head.origin, head.public_key, head.checkpoint.size)
    lines: list[Line] = [header, Note(head.note), *entries, End(len(entries), 1)]
    files = {
        ENTRIES: "".join(write(line) for line in lines).encode(),
        NAMES: _csv([("identifier", "name"), *_called(entries, names)]),
        **made_of(header, head.note, entries),
    }
    hashes = {name: sha256(value).hexdigest() for name, value in sorted(files.items())}
    files[MANIFEST] = json.dumps(hashes, indent=2).encode() + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, WHEN), value, zipfile.ZIP_DEFLATED)


def made_of(header: Header, note: bytes, entries: Sequence[EntryLine]) -> Mapping[str, bytes]:
    """The files for people that are made of the entries and their checkpoint alone."""
    words = WORDS.format(
        origin=header.origin,
        entries=len(entries),
        size=header.size,
        key=base64.b64encode(header.public_key).decode(),
    )
    return {TABLE: _table(entries), NOTE: note, README: words.encode()}


def same_table(old: bytes, made: bytes) -> bool:
    """Whether a table of before, whose last column has names, says the same otherwise."""
    try:
        rows = list(csv.reader(io.StringIO(old.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error):
        return False
    wanted = list(csv.reader(io.StringIO(made.decode(), newline="")))
    return [row[:-1] for row in rows] == wanted


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a pack. Raises Failure unless its files are those of its manifest."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) not in (sorted(FILES), sorted(OLD_FILES)):
                raise Failure(f"{path} has other files than an evidence pack")
            if any(archive.getinfo(name).file_size > LARGEST_FILE for name in names):
                raise Failure(f"{path} is larger than any evidence pack")
            _check_manifest(archive, path)
            with archive.open(ENTRIES) as file:
                made = {name: archive.read(name) for name in MADE}
                yield Opened(read(file), made, NAMES not in names)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise Failure(f"{path} is not an evidence pack, or was cut: {error}") from None


def _check_manifest(archive: zipfile.ZipFile, path: Path) -> None:
    try:
        said = json.loads(archive.read(MANIFEST))
    except ValueError:
        said = None
    for name in sorted(set(archive.namelist()) - {MANIFEST}):
        digest = sha256()
        with archive.open(name) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        if not isinstance(said, dict) or said.get(name) != digest.hexdigest():
            raise Failure(f"{name} in {path} does not match the manifest: it was changed")


def _table(entries: Iterable[EntryLine]) -> bytes:
    rows: list[Sequence[object]] = [COLUMNS]
    for each in entries:
        entry = decode(each.entry)
        details = "; ".join(f"{name}={value}" for name, value in sorted(entry.details.items()))
        evidence = "; ".join(
            f"{name}={sha256(value).hexdigest()}" for name, value in sorted(entry.evidence.items())
        )
        rows.append((
            each.index, entry.time.isoformat(), entry.kind.value, entry.actor, entry.card_id,
            entry.user_id, entry.workstation_id, entry.device_id, entry.operation_id,
            entry.key_id, details, evidence,
        ))  # fmt: skip
    return _csv(rows)


def _called(entries: Iterable[EntryLine], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """The names of the identifiers in some entries, each once."""
    found = {each for line in entries for each in identifiers(decode(line.entry)) if each in names}
    return [(each, names[each]) for each in sorted(found)]


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        table.writerow(_safe(cell) for cell in row)
    return text.getvalue().encode()


def _safe(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
