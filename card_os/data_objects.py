"""Data objects in the data of a command; malformed ones raise a CardError."""

from __future__ import annotations

from collections.abc import Mapping

from card_os import tlv
from card_os.status import SW, CardError


def parse(data: bytes, sw: SW = SW.WRONG_DATA) -> list[tuple[int, bytes]]:
    """Tags and values, in order. Raises `sw` if the data is not BER-TLV."""
    try:
        return list(tlv.decode(data))
    except tlv.TlvError as error:
        raise CardError(sw, "these are no data objects") from error


def parse_unique(data: bytes) -> Mapping[int, bytes]:
    """Values by tag. Raises 6A80 if the data is not BER-TLV or a tag occurs twice."""
    pairs = parse(data)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CardError(SW.WRONG_DATA, "a tag comes twice")
    return found


def parse_one(tag: int, data: bytes) -> bytes:
    """The value of the data object `tag`. Raises 6A80 unless the data is this one object."""
    match parse(data):
        case [(found, value)] if found == tag:
            return value
    raise CardError(SW.WRONG_DATA, f"not one data object {tag:X}")
