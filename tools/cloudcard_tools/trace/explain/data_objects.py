"""The data objects of an APDU as a tree with names, and the tree as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from card_os import tlv
from card_os.explanation import NONE, Part, Parts

MOST_OCTETS = 24  # of a value that a line shows
MOST_OBJECTS = 200  # of one APDU; a hostile one could have many thousands
DEEPEST = 8
UNKNOWN = Part("")


@dataclass(frozen=True, slots=True)
class DataObject:
    """A data object in words."""

    tag: int
    name: str  # empty if the standard has no name for it here
    value: bytes
    meaning: str  # of the value; empty if it is unknown
    inside: tuple[DataObject, ...]

    @property
    def title(self) -> str:
        """Tag, name and length."""
        name = f" {self.name}" if self.name else ""
        return f"{self.tag:02X}{name}, {count(len(self.value))}"


def decode(data: bytes, parts: Parts = NONE) -> tuple[DataObject, ...]:
    """At most MOST_OBJECTS data objects of an APDU; none if the data is not a sequence of them."""
    return _decode(data, parts, 0, [MOST_OBJECTS])


def rows(objects: Sequence[DataObject], depth: int = 0) -> Iterator[tuple[int, DataObject]]:
    """All data objects with their depth, each followed by those inside it."""
    for each in objects:
        yield depth, each
        yield from rows(each.inside, depth + 1)


def row(each: DataObject) -> str:
    """A data object in one line, without those inside it."""
    shown = "" if each.inside or not each.value else f" {octets(each.value)}"
    meaning = f" ({each.meaning})" if each.meaning else ""
    return f"{each.title}{shown}{meaning}"


def octets(value: bytes, most: int = MOST_OCTETS) -> str:
    """Bytes in hexadecimal; long values are cut."""
    return value[:most].hex().upper() + ("…" if len(value) > most else "")


def count(size: int) -> str:
    """A number of bytes, in words."""
    return f"{size:,} byte{'s' * (size != 1)}"


def _decode(data: bytes, parts: Parts, depth: int, left: list[int]) -> tuple[DataObject, ...]:
    found = []
    try:
        for tag, value in tlv.decode(data):
            if not left[0]:
                break
            left[0] -= 1
            # PIV's tags do not say whether they are constructed.
            part = parts.get(tag, UNKNOWN)
            meaning = part.meaning(value)
            inside: tuple[DataObject, ...] = ()
            nests = bool(part.inside) or (part is UNKNOWN and _constructed(tag))
            if nests and depth < DEEPEST:
                inside = _decode(value, part.inside, depth + 1, left)
            found.append(DataObject(tag, part.name, value, meaning, inside))
    except tlv.TlvError:
        return ()
    return tuple(found)


def _constructed(tag: int) -> bool:
    return bool(tlv.encode_tag(tag)[0] & 0x20)
