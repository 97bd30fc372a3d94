"""The files of a pack, made from its entries in portions: nothing holds them all."""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from cloud_keystore.audit.packs.lines import End, EntryLine, Header, Note, write
from cloud_keystore.model.journal import decode, identifiers
from cloud_keystore.model.sheets.cells import guarded

ENTRIES, TABLE, NAMES, NOTE, README, MANIFEST = (
    "entries.jsonl",
    "entries.csv",
    "names.csv",
    "checkpoint.txt",
    "README.txt",
    "manifest.json",
)
# A spreadsheet would run a cell of entries.csv that begins with one of these. They stay as they
# were: whoever checks a pack makes the table anew, and those of before have to be the same.
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

Entries = Callable[[], Iterable[EntryLine]]  # each time all of them, in order


def packed(
    header: Header, note: bytes, number: int, entries: Entries, names: Mapping[str, str]
) -> Iterator[bytes]:
    """A pack of so many entries that have their proofs, part by part. `names` is read at last, and
    can grow until then.
    """
    found: set[str] = set()
    files: Mapping[str, Iterable[bytes]] = {
        README: (readme(header, number),),
        NOTE: (note,),
        TABLE: table(_noting(entries(), found)),
        ENTRIES: _lines(header, note, number, entries()),
        NAMES: _called(found, names),
    }
    hashes: dict[str, str] = {}
    out = _Parts()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, parts in files.items():
            digest = sha256()
            with archive.open(_info(name), "w") as file:
                for part in parts:
                    digest.update(part)
                    file.write(part)
                    yield out.taken()
            hashes[name] = digest.hexdigest()
        manifest = json.dumps(dict(sorted(hashes.items())), indent=2).encode() + b"\n"
        archive.writestr(_info(MANIFEST), manifest)
    yield out.taken()


def readme(header: Header, number: int) -> bytes:
    """What a pack of so many entries is, and how to check it."""
    return WORDS.format(
        origin=header.origin,
        entries=number,
        size=header.size,
        key=base64.b64encode(header.public_key).decode(),
    ).encode()


def table(entries: Iterable[EntryLine]) -> Iterator[bytes]:
    """The entries for spreadsheets, row by row."""
    yield _safe_csv(COLUMNS)
    for each in entries:
        entry = decode(each.entry)
        details = "; ".join(f"{name}={value}" for name, value in sorted(entry.details.items()))
        evidence = "; ".join(
            f"{name}={sha256(value).hexdigest()}" for name, value in sorted(entry.evidence.items())
        )
        yield _safe_csv((
            each.index, entry.time.isoformat(), entry.kind.value, entry.actor, entry.card_id,
            entry.user_id, entry.workstation_id, entry.device_id, entry.operation_id,
            entry.key_id, details, evidence,
        ))  # fmt: skip


def _lines(
    header: Header, note: bytes, number: int, entries: Iterable[EntryLine]
) -> Iterator[bytes]:
    yield write(header).encode()
    yield write(Note(note)).encode()
    for each in entries:
        yield write(each).encode()
    yield write(End(number, 1)).encode()


def _noting(entries: Iterable[EntryLine], found: set[str]) -> Iterator[EntryLine]:
    """The same entries, whose identifiers are kept."""
    for each in entries:
        found.update(identifiers(decode(each.entry)))
        yield each


def _called(found: set[str], names: Mapping[str, str]) -> Iterator[bytes]:
    """The names of identifiers, each once."""
    yield _csv(("identifier", "name"))
    for each in sorted(found):
        if each in names:
            yield _csv((guarded(each), guarded(names[each])))


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, WHEN)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


class _Parts(io.RawIOBase):
    """What was written, until it is taken."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, part: object, /) -> int:
        """Keep a part."""
        raw = bytes(memoryview(part))  # type: ignore[arg-type]
        self._kept.append(raw)
        return len(raw)

    def taken(self) -> bytes:
        """What was written since it was taken last."""
        raw = b"".join(self._kept)
        self._kept.clear()
        return raw


def _safe_csv(row: Sequence[object]) -> bytes:
    return _csv([_safe(cell) for cell in row])


def _csv(row: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().encode()


def _safe(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
