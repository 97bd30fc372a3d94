"""APDUs in words: instructions, keys, objects, status words, data objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from card_os import tlv
from card_os.apdu import Command
from card_os.piv.names import (
    AID,
    RETIRED,
    Algorithm,
    Cipher,
    CipherSuite,
    Extension,
    Ins,
    KeyRef,
    ObjectTag,
)
from card_os.status import SW, CardError

SELECT, GET_RESPONSE, MANAGE_CHANNEL = 0xA4, 0xC0, 0x70
INSTRUCTIONS: Mapping[int, str] = {
    **{int(each): each.name.replace("_", " ") for each in Ins},
    **{int(each): each.name.replace("_", " ") for each in Extension},
    SELECT: "SELECT",
    GET_RESPONSE: "GET RESPONSE",
    MANAGE_CHANNEL: "MANAGE CHANNEL",
    0xCA: "GET DATA (of one tag)",
}
STATUS_WORDS: Mapping[int, str] = {int(each): each.name.lower().replace("_", " ") for each in SW}
ALGORITHMS: Mapping[int, str] = {
    int(each): each.name.replace("_", "-")
    for names in (Algorithm, Cipher, CipherSuite)
    for each in names
}
KEYS: Mapping[int, str] = {
    **{int(each): each.name.lower().replace("_", " ") for each in KeyRef},
    int(KeyRef.PIN): "PIN",
    int(KeyRef.PUK): "PUK",
    int(KeyRef.GLOBAL_PIN): "global PIN",
    **{key_ref: f"retired key {number}" for number, key_ref in enumerate(RETIRED, 1)},
}
OBJECTS: Mapping[int, str] = {
    **{int(each): each.name.lower().replace("_", " ") for each in ObjectTag},
    int(ObjectTag.CHUID): "CHUID",
    int(ObjectTag.CCC): "CCC",
}

DISCOVERY, PROPERTIES, CONTENTS, PUBLIC_KEY, AUTHENTICATION = 0x7E, 0x61, 0x53, 0x7F49, 0x7C
PARTS: Mapping[int, Mapping[int, str]] = {  # of data objects, by the one around them
    0: {
        0x5C: "tag list",
        CONTENTS: "contents",
        AUTHENTICATION: "dynamic authentication",
        PROPERTIES: "application properties",
        PUBLIC_KEY: "public key",
        0x87: "cryptogram",
        0x8E: "checksum",
        0x97: "Le",
        0x99: "status word",
        0xAC: "control reference",
    },
    AUTHENTICATION: {0x80: "witness", 0x81: "challenge", 0x82: "response", 0x85: "point"},
    PROPERTIES: {
        0x4F: "AID",
        0x50: "label",
        0x79: "authority",
        0x5F50: "address",
        0xAC: "algorithms",
    },
    DISCOVERY: {0x4F: "AID", 0x5F2F: "PIN usage policy"},
    PUBLIC_KEY: {0x81: "modulus", 0x82: "exponent", 0x86: "point"},
    CONTENTS: {
        0x30: "FASC-N",
        0x34: "GUID",
        0x35: "expires",
        0x3E: "signature",
        0x70: "certificate",
        0x71: "certificate info",
        0xF0: "card identifier",
        0xFE: "error detection",
    },
    0xAC: {0x80: "algorithm"},
}
NESTING = frozenset({CONTENTS})  # primitive by their tag, and yet of data objects
CERTIFICATE = 0x70  # inside 53
MOST_OCTETS = 24  # of a value that is shown
DEEPEST = 8


def command(apdu: bytes) -> str:
    """A command in one line."""
    try:
        parsed = Command.parse(apdu)
    except CardError:
        return f"{instruction(apdu)}, lengths wrong: {octets(apdu)}"
    chained = " (a part)" if parsed.is_chained else ""
    about = f" ({said})" if (said := subject(parsed)) else ""
    data = f" data {octets(parsed.data)}" if parsed.data else ""
    return f"{instruction(apdu)}{chained} P1-P2 {parsed.p1:02X}{parsed.p2:02X}{about}{data}"


def instruction(apdu: bytes) -> str:
    """Name of a command's instruction."""
    if len(apdu) < 2:
        return "no command"
    return INSTRUCTIONS.get(apdu[1], f"instruction {apdu[1]:02X}")


def subject(parsed: Command) -> str:
    """What a command is about: a key, an object, an application; empty where nobody can tell."""
    if parsed.is_secured:
        return "under secure messaging"
    tell = SUBJECTS.get(parsed.ins)
    return tell(parsed) if tell else ""


def key(key_ref: int) -> str:
    """A key reference with its name."""
    name = KEYS.get(key_ref)
    return f"{key_ref:02X} {name}" if name else f"{key_ref:02X}"


def algorithm(identifier: int) -> str:
    """Name of an algorithm."""
    return ALGORITHMS.get(identifier, f"algorithm {identifier:02X}")


def status(apdu: bytes) -> str:
    """A response's status word in words."""
    sw = int.from_bytes(apdu[-2:])
    if sw & 0xFFF0 == 0x63C0:
        return f"{sw:04X} ({sw & 0xF} tries left)"
    if sw >> 8 == 0x61:
        return f"{sw:04X} (more to fetch: {sw & 0xFF or 'at least 256'})"
    return f"{sw:04X} ({STATUS_WORDS.get(sw, 'not one of this card')})"


def tree(
    data: bytes, depth: int = 0, around: int = 0, *, certificates: bool = False
) -> Iterator[str]:
    """Data objects, one a line, those inside others indented; nothing for what is none. On demand
    with the names in certificates.
    """
    try:
        objects = list(tlv.decode(data))
    except tlv.TlvError:
        return
    for tag, value in objects:
        named = around == CONTENTS and tag in PARTS[CONTENTS]  # primitive, whatever their tags say
        nests = (_constructed(tag) or tag in NESTING) and not named and depth < DEEPEST
        inner = list(tree(value, depth + 1, tag, certificates=certificates)) if nests else []
        shown = f" {octets(value)}" if value and not inner else ""
        if certificates and (around, tag) == (CONTENTS, CERTIFICATE):
            shown = f" {certificate(value)}"
        yield f"{'  ' * depth}{_tag(tag, around)}, {len(value)} bytes{shown}"
        yield from inner


def certificate(der: bytes) -> str:
    """Whom a certificate names; its bytes where it is compressed, or none."""
    from cryptography import x509  # as only who looks for names waits for it

    try:
        found = x509.load_der_x509_certificate(der)
        return f"of {found.subject.rfc4514_string()}, by {found.issuer.rfc4514_string()}"
    except ValueError:
        return octets(der)


def octets(value: bytes) -> str:
    """Bytes, long ones cut."""
    more = f"… ({len(value)} bytes)" if len(value) > MOST_OCTETS else ""
    return value[:MOST_OCTETS].hex().upper() + more


def _constructed(tag: int) -> bool:
    return bool(tag.to_bytes((tag.bit_length() + 7) // 8 or 1)[0] & 0x20)


def _tag(tag: int, around: int) -> str:
    name = PARTS.get(around, {}).get(tag) or (OBJECTS.get(tag) if not around else None)
    return f"{tag:02X} {name}" if name else f"{tag:02X}"


def _application(parsed: Command) -> str:
    aid = bytes(AID)
    known = parsed.data and (aid.startswith(parsed.data) or parsed.data.startswith(aid[:9]))
    return "PIV" if known else ""


def _object(parsed: Command) -> str:
    try:
        (tag, value), *_ = tlv.decode(parsed.data)
    except (tlv.TlvError, ValueError):
        return ""
    if tag == 0x5C:
        tag = int.from_bytes(value)
    return OBJECTS.get(tag, f"object {tag:02X}")


def _use(parsed: Command) -> str:
    return f"{key(parsed.p2)}, {algorithm(parsed.p1)}"


def _of_key(parsed: Command) -> str:
    return key(parsed.p2)


SUBJECTS: Mapping[int, Callable[[Command], str]] = {
    SELECT: _application,
    MANAGE_CHANNEL: lambda parsed: "close" if parsed.p1 else "open",
    Ins.VERIFY: lambda parsed: key(parsed.p2) + (", log out" if parsed.p1 == 0xFF else ""),
    Ins.CHANGE_REFERENCE_DATA: _of_key,
    Ins.RESET_RETRY_COUNTER: _of_key,
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR: _of_key,
    Ins.GENERAL_AUTHENTICATE: _use,
    Ins.GET_DATA: _object,
    Ins.PUT_DATA: _object,
    Extension.GET_METADATA: _of_key,
    Extension.IMPORT_KEY: _use,
    Extension.ATTEST: lambda parsed: key(parsed.p1),
    Extension.MOVE_KEY: lambda parsed: f"{key(parsed.p2)} to {key(parsed.p1)}",
}
