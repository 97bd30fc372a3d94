"""Evidence packs: entries with their proofs in one zip, for people and programs."""

from __future__ import annotations

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

from cloud_keystore.audit.packs import files
from cloud_keystore.audit.packs.files import ENTRIES, MANIFEST, NAMES, README
from cloud_keystore.audit.packs.files import FORMULA as FORMULA
from cloud_keystore.audit.packs.files import NOTE as NOTE
from cloud_keystore.audit.packs.files import TABLE as TABLE
from cloudcard_tools.audit.lines import EntryLine, Header, Line, read
from cloudcard_tools.audit.service import Head
from cloudcard_tools.shared.failures import Failure

MADE = (TABLE, NOTE, README)  # of the entries and their checkpoint, and of nothing else
FILES = {ENTRIES, NAMES, MANIFEST, *MADE}
OLD_FILES = FILES - {NAMES}  # of before: names were a column of the table
LARGEST_FILE = 1 << 30  # of a pack, unpacked
NO_NAMES: Mapping[str, str] = MappingProxyType({})


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
    with path.open("wb") as file:
        for part in files.packed(header, head.note, len(entries), lambda: entries, names):
            file.write(part)


def made_of(header: Header, note: bytes, entries: Sequence[EntryLine]) -> Mapping[str, bytes]:
    """The files for people that are made of the entries and their checkpoint alone."""
    made = b"".join(files.table(entries))
    return {TABLE: made, NOTE: note, README: files.readme(header, len(entries))}


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
