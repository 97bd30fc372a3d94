"""BER-TLV as ISO/IEC 7816-4 (5.2.2) and PIV use it: definite lengths only."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST_TAG_FIELD = 3  # ISO/IEC 7816-4, 5.2.2.1
LONGEST_LENGTH_FIELD = 5  # 84 and four bytes (ISO/IEC 7816-4, table 2)


class TlvError(ValueError):
    """The bytes are not BER-TLV."""


def encode(tag: int, *values: bytes) -> bytes:
    """Encode one data object whose value is the concatenation of `values`."""
    value = b"".join(values)
    return encode_tag(tag) + _length(len(value)) + value


def encode_tag(tag: int) -> bytes:
    """The tag field of `tag`; the number is the tag's bytes, big-endian: 0x5FC102 is 5F C1 02."""
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1)


def decode(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the data objects of `data` as (tag, value).

    Raises TlvError at the first malformed data object.
    """
    at = 0
    while at < len(data):
        tag, at = _read_tag(data, at)
        size, at = _read_length(data, at)
        end = at + size
        if end > len(data):
            raise TlvError(f"tag {tag:X}: {size} bytes announced, {len(data) - at} left")
        yield tag, data[at:end]
        at = end


def decode_one(tag: int, data: bytes) -> bytes:
    """The value of the data object `tag`. Raises TlvError unless `data` is this one object."""
    objects = list(decode(data))
    if len(objects) != 1 or objects[0][0] != tag:
        raise TlvError(f"not one data object {tag:X}")
    return objects[0][1]


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    field = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((0x80 | len(field),)) + field


def _read_tag(data: bytes, at: int) -> tuple[int, int]:
    start = at
    at += 1
    if data[start] & 0x1F == 0x1F:  # all ones: the tag number follows, bit 8 says "more"
        while at < len(data) and data[at] & 0x80:
            at += 1
        at += 1
    if at > len(data):
        raise TlvError("tag is cut short")
    if at - start > LONGEST_TAG_FIELD:
        raise TlvError("tag is too long")
    return int.from_bytes(data[start:at]), at


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise TlvError("length is missing")
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    end = at + (first & 0x7F)
    if first == 0x80 or first >= 0x80 + LONGEST_LENGTH_FIELD or end > len(data):
        raise TlvError("length is malformed")
    return int.from_bytes(data[at:end]), end
