"""A journal as a folder that static hosting can serve (C2SP tlog-tiles): tiles of hashes, bundles
of entries, and the newest checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cloud_keystore.audit import notes
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.audit.tree import leaf_hash, root_of
from cloud_keystore.model.errors import InvalidInput
from cloudcard_tools import new_files
from cloudcard_tools.audit.checking import Checked, Finding, check
from cloudcard_tools.audit.lines import End, EntryLine, Header, Line, Note
from cloudcard_tools.shared.failures import Failure

WIDTH = 256  # hashes of a tile, and entries of a bundle
LENGTH_BYTES = 2  # before each entry of a bundle
LONGEST_ENTRY = (1 << 8 * LENGTH_BYTES) - 1
LARGEST_BUNDLE = WIDTH * (LENGTH_BYTES + LONGEST_ENTRY)
ENTRIES = "entries"
CHECKPOINT = "checkpoint"
ANOTHER_TILE = "a tile of hashes is not that of the entries"


def path_of(level: str, number: int, width: int) -> str:
    """Where a tile is ("Merkle Tree")."""
    *groups, last = _groups(number)
    name = "/".join([f"x{each:03}" for each in groups] + [f"{last:03}"])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < WIDTH else "")


def tiles(entries: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The path and contents of each tile and bundle of a tree with these entries. Raises Failure
    for an entry that is too long for this format.
    """
    levels = _Levels()
    for place, entry in enumerate(entries):
        if len(entry) > LONGEST_ENTRY:
            raise Failure(f"entry {place} is longer than {LONGEST_ENTRY} bytes: no tile takes it")
        yield from levels.add(ENTRIES, len(entry).to_bytes(LENGTH_BYTES) + entry)
        yield from levels.add("0", leaf_hash(entry))
    yield from levels.rest()


class _Levels:
    """The last tile of each level, which is not full yet."""

    def __init__(self) -> None:
        self._last: dict[str, list[bytes]] = {}
        self._full: dict[str, int] = {}

    def add(self, level: str, item: bytes) -> Iterator[tuple[str, bytes]]:
        """Add a hash or an entry; what is full then."""
        last = self._last.setdefault(level, [])
        last.append(item)
        if len(last) < WIDTH:
            return
        number = self._full.get(level, 0)
        yield path_of(level, number, WIDTH), b"".join(last)
        self._full[level], self._last[level] = number + 1, []
        if level != ENTRIES:
            yield from self.add(str(int(level) + 1), root_of(last))

    def rest(self) -> Iterator[tuple[str, bytes]]:
        """What is not full."""
        for level, last in self._last.items():
            if last:
                yield path_of(level, self._full.get(level, 0), len(last)), b"".join(last)


def write(folder: Path, lines: Iterable[tuple[int, Line]]) -> Checkpoint:
    """Write the folder of an exported journal, whose last checkpoint covers all of its entries;
    return that. Raises Failure, and OSError.
    """
    header: Header | None = None
    note = b""

    def entries() -> Iterator[bytes]:
        nonlocal header, note
        for _, line in lines:
            match line:
                case Header():
                    header = line
                case EntryLine():
                    yield line.entry
                case Note():
                    note = line.note

    for name, content in tiles(entries()):
        _write(folder / name, content)
    if header is None or not note:
        raise Failure("this is no exported journal with a checkpoint")
    try:
        checkpoint = notes.open_(note, header.public_key)
    except InvalidInput as error:
        raise Failure(str(error)) from None
    if checkpoint.size != header.size:
        raise Failure("the last entries are covered by no checkpoint: export the journal again")
    # Last: whoever sees it finds the tiles that it needs.
    _write(folder / CHECKPOINT, note)
    return checkpoint


def check_folder(
    folder: Path, public_key: bytes, kept: Checkpoint | None, witnessed: datetime | None = None
) -> Checked:
    """Check a folder as `check` checks an export, and each tile. Raises Failure if something is
    missing.
    """
    note = _read(folder / CHECKPOINT, notes.LONGEST_NOTE)
    try:
        checkpoint = notes.open_(note, public_key)
    except InvalidInput as error:
        raise Failure(f"{folder / CHECKPOINT}: {error}") from None
    result = check(
        _lines(folder, checkpoint, note, public_key), public_key, kept, witnessed=witnessed
    )
    for name, content in tiles(_entries(folder, checkpoint.size)):
        if not result.findings and _read(folder / name, LARGEST_BUNDLE) != content:
            result.findings.append(Finding(0, f"{name}: {ANOTHER_TILE}"))
            result.newest = b""
    return result


def _lines(
    folder: Path, checkpoint: Checkpoint, note: bytes, public_key: bytes
) -> Iterator[tuple[int, Line]]:
    """What an export with this checkpoint alone has, with the numbers of its lines."""
    yield 1, Header(checkpoint.origin, public_key, checkpoint.size)
    for place, entry in enumerate(_entries(folder, checkpoint.size)):
        yield place + 2, EntryLine(place, entry)
    yield checkpoint.size + 2, Note(note)
    yield checkpoint.size + 3, End(checkpoint.size, 1)


def _entries(folder: Path, size: int) -> Iterator[bytes]:
    """The entries of the bundles of a tree, in order. Raises Failure."""
    for first in range(0, size, WIDTH):
        width = min(WIDTH, size - first)
        path = folder / path_of(ENTRIES, first // WIDTH, width)
        rest, found = _read(path, LARGEST_BUNDLE), 0
        while rest:
            end = LENGTH_BYTES + int.from_bytes(rest[:LENGTH_BYTES])
            if end > len(rest):
                raise Failure(f"{path} is cut")
            yield rest[LENGTH_BYTES:end]
            rest, found = rest[end:], found + 1
        if found != width:
            raise Failure(f"{path} has {found} entries, not {width}")


def _groups(number: int) -> list[int]:
    """A number in groups of three digits."""
    groups = [number % 1000]
    while number := number // 1000:
        groups.insert(0, number % 1000)
    return groups


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new_files.write(path, content)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}: it is part of the journal") from None
    if len(found) > most:
        raise Failure(f"{path} is larger than any tile")
    return found
