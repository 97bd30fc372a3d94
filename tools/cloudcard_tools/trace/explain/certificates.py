"""Subject, issuer and expiry of a certificate, read from its DER. Signatures are not checked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from card_os import tlv
from cloudcard_tools.trace.explain.values import printable

SEQUENCE, SET, OBJECT_IDENTIFIER, VERSION = 0x30, 0x31, 0x06, 0xA0
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
BMP_STRING, UNIVERSAL_STRING = 0x1E, 0x1C
ENCODINGS = {BMP_STRING: "utf-16-be", UNIVERSAL_STRING: "utf-32-be"}
CENTURY_ENDS = 50  # two-digit years below it are 20xx (RFC 5280, 4.1.2.5.1)
MOST_BYTES = 65_536  # of a decompressed certificate
MOST_ATTRIBUTES = 12  # of a name
GZIP = b"\x1f\x8b"
ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550404"): "SN",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040A"): "O",
    bytes.fromhex("55040B"): "OU",
    bytes.fromhex("55042A"): "GN",
    bytes.fromhex("2A864886F70D010901"): "emailAddress",
    bytes.fromhex("0992268993F22C640101"): "UID",
    bytes.fromhex("0992268993F22C640119"): "DC",
}


def owner(value: bytes) -> str:
    """Subject, issuer and last day of a certificate; empty if the bytes are not a certificate."""
    try:
        der = _plain(value)
        fields = iter(tlv.decode(_inside(_inside(der, SEQUENCE), SEQUENCE)))
        tag, _ = next(fields)
        if tag == VERSION:
            next(fields)  # the serial number
        next(fields)  # the algorithm of the signature
        issuer, validity, subject = (next(fields) for _ in range(3))
        until = _last_day(validity[1])
        names = _name(subject[1]), _name(issuer[1])
    except (tlv.TlvError, StopIteration, ValueError, zlib.error):
        return ""
    signed = "signed by itself" if names[0] == names[1] else f"issued by {names[1] or 'nobody'}"
    return f"{names[0] or 'nobody'}; {signed}; until {until}"


def _plain(value: bytes) -> bytes:
    if not value.startswith(GZIP):
        return value
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(value, MOST_BYTES)


def _inside(der: bytes, tag: int) -> bytes:
    """The value of the first data object. Raises TlvError if it has another tag."""
    for found, value in tlv.decode(der):
        if found == tag:
            return value
        break
    raise tlv.TlvError(f"no data object {tag:02X}")


def _last_day(validity: bytes) -> str:
    _, (tag, value) = tlv.decode(validity)
    digits = value.decode("ascii")
    if tag == UTC_TIME:
        century = "20" if int(digits[:2]) < CENTURY_ENDS else "19"
        digits = century + digits
    elif tag != GENERALIZED_TIME:
        raise tlv.TlvError("no time")
    return printable(f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}")


def _name(value: bytes) -> str:
    attributes: list[str] = []
    for identifier, tag, said in _attributes(value):
        if len(attributes) == MOST_ATTRIBUTES:
            break
        label = ATTRIBUTES.get(identifier, identifier.hex().upper())
        attributes.append(f"{label}={said.decode(ENCODINGS.get(tag, 'utf-8'), 'replace')}")
    return printable(", ".join(attributes))


def _attributes(name: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    for _, together in tlv.decode(name):
        for _, attribute in tlv.decode(together):
            (_, identifier), (tag, said) = tlv.decode(attribute)
            yield identifier, tag, said
