"""Data objects in a command's data: what is none is an error of the command."""

from __future__ import annotations

from collections.abc import Mapping

from card_os import tlv
from card_os.status import SW, CardError


def parse(data: bytes, sw: SW = SW.WRONG_DATA) -> list[tuple[int, bytes]]:
    """Tags and values, in order. Raises `sw`, which is 6A80 unless told otherwise."""
    try:
        return list(tlv.decode(data))
    except tlv.TlvError as error:
        raise CardError(sw, "these are no data objects") from error


def parse_unique(data: bytes) -> Mapping[int, bytes]:
    """Values by tag. Raises 6A80, also where a tag comes twice."""
    pairs = parse(data)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CardError(SW.WRONG_DATA, "a tag comes twice")
    return found


def parse_one(tag: int, data: bytes) -> bytes:
    """The value of the data object `tag`, which has to be all of the data. Raises 6A80."""
    match parse(data):
        case [(found, value)] if found == tag:
            return value
    raise CardError(SW.WRONG_DATA, f"not one data object {tag:X}")
