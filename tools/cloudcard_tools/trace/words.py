"""APDUs in words: instructions, status words, data objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from card_os import tlv
from card_os.apdu import Command
from card_os.piv.names import Extension, Ins, ObjectTag
from card_os.status import SW, CardError

INSTRUCTIONS: Mapping[int, str] = {
    **{int(each): each.name.replace("_", " ") for each in Ins},
    **{int(each): each.name.replace("_", " ") for each in Extension},
    0xA4: "SELECT",
    0xC0: "GET RESPONSE",
    0x70: "MANAGE CHANNEL",
}
STATUS_WORDS: Mapping[int, str] = {int(each): each.name.lower().replace("_", " ") for each in SW}
MOST_OCTETS = 24  # of a value that is shown


def command(apdu: bytes) -> str:
    """A command in one line."""
    try:
        parsed = Command.parse(apdu)
    except CardError:
        return f"{instruction(apdu)}, lengths wrong: {octets(apdu)}"
    chained = " (a part)" if parsed.is_chained else ""
    data = f" data {octets(parsed.data)}" if parsed.data else ""
    return f"{instruction(apdu)}{chained} P1-P2 {parsed.p1:02X}{parsed.p2:02X}{data}"


def instruction(apdu: bytes) -> str:
    """Name of a command's instruction."""
    if len(apdu) < 2:
        return "no command"
    return INSTRUCTIONS.get(apdu[1], f"instruction {apdu[1]:02X}")


def status(apdu: bytes) -> str:
    """A response's status word in words."""
    sw = int.from_bytes(apdu[-2:])
    if sw & 0xFFF0 == 0x63C0:
        return f"{sw:04X} ({sw & 0xF} tries left)"
    if sw >> 8 == 0x61:
        return f"{sw:04X} (more to fetch: {sw & 0xFF or 'at least 256'})"
    return f"{sw:04X} ({STATUS_WORDS.get(sw, 'not one of this card')})"


def tree(data: bytes, depth: int = 0) -> Iterator[str]:
    """Data objects, one a line, those inside others indented; nothing for what is none."""
    try:
        objects = list(tlv.decode(data))
    except tlv.TlvError:
        return
    for tag, value in objects:
        inner = list(tree(value, depth + 1)) if _constructed(tag) else []
        shown = "" if inner else f" {octets(value)}"
        yield f"{'  ' * depth}{_tag(tag)}, {len(value)} bytes{shown}"
        yield from inner


def octets(value: bytes) -> str:
    """Bytes, long ones cut."""
    more = f"… ({len(value)} bytes)" if len(value) > MOST_OCTETS else ""
    return value[:MOST_OCTETS].hex().upper() + more


def _constructed(tag: int) -> bool:
    return bool(tag.to_bytes((tag.bit_length() + 7) // 8 or 1)[0] & 0x20)


def _tag(tag: int) -> str:
    for known in ObjectTag:
        if known == tag:
            return f"{tag:02X} {known.name.lower().replace('_', ' ')}"
    return f"{tag:02X}"
