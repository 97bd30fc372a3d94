"""Contents of the data objects, for issuing cards (SP 800-73-5 part 1, 3 and appendix A).

Each function returns a value for `CardImage.objects`, and raises ValueError if an argument does not
fit its field.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from card_os.piv.names import (
    AID,
    CONTAINER_ID,
    RETIRED,
    CapabilityTag,
    CertificateTag,
    KeyHistoryTag,
)
from card_os.piv.sizes import GUID_BYTES
from card_os.tlv import encode

# Agency code 9999, and 9 or 0 in all other fields: the card is not from a federal agency, and
# clients identify it by its GUID (part 1, 3.1.2).
NON_FEDERAL_FASC_N = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")

DATA_MODEL = 0x10  # part 1, appendix A
GRAMMAR_VERSION = 0x21
GSC_RID = bytes.fromhex("A000000116")
MANUFACTURER = 0xFF  # none registered
NOTHING_SAID = tuple(tag for tag in CapabilityTag if tag >= CapabilityTag.ACCESS_RULES)
VIRTUAL_MACHINE_CARD = 0x02  # card type (GSC-IS 2.1, 6.3)
CARD_ID_BYTES = 14
FASC_N_BYTES = 25

# PIN usage policies (part 1, table 1)
PIN_ONLY = bytes((0x40, 0x00))
GLOBAL_PIN_TOO = bytes((0x60, 0x10))  # the application's PIN is the primary one
LARGEST_GROUP = 16  # data groups of a security object
UNCOMPRESSED, GZIP = 0x00, 0x01  # CertInfo
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

ERROR_DETECTION_CODE = encode(CertificateTag.ERROR_DETECTION)  # always empty


def chuid_covered(guid: bytes, expiry: str, fasc_n: bytes = NON_FEDERAL_FASC_N) -> bytes:
    """The bytes that the issuer's signature in the CHUID covers: all elements but the signature."""
    return _chuid_head(guid, expiry, fasc_n) + ERROR_DETECTION_CODE


def chuid(
    guid: bytes, expiry: str, signature: bytes = b"", fasc_n: bytes = NON_FEDERAL_FASC_N
) -> bytes:
    """The card holder unique identifier.

    `guid` is the card's UUID, `expiry` YYYYMMDD, `signature` a detached CMS SignedData or empty.
    """
    return _chuid_head(guid, expiry, fasc_n) + encode(0x3E, signature) + ERROR_DETECTION_CODE


def ccc(guid: bytes) -> bytes:
    """The card capability container: a card identifier, made from the GUID, and the data model."""
    header = GSC_RID + bytes((MANUFACTURER, VIRTUAL_MACHINE_CARD))
    return (
        encode(
            CapabilityTag.CARD_IDENTIFIER, header, _sized(guid, GUID_BYTES, "GUID")[:CARD_ID_BYTES]
        )
        + encode(CapabilityTag.CONTAINER_VERSION, bytes((GRAMMAR_VERSION,)))
        + encode(CapabilityTag.GRAMMAR_VERSION, bytes((GRAMMAR_VERSION,)))
        + encode(CapabilityTag.APPLICATIONS)
        + encode(CapabilityTag.PKCS15, b"\0")
        + encode(CapabilityTag.DATA_MODEL, bytes((DATA_MODEL,)))
        + b"".join(encode(tag) for tag in NOTHING_SAID)
        + ERROR_DETECTION_CODE
    )


def discovery(*, global_pin: bool = False) -> bytes:
    """The discovery object of a card that accepts the PIV application's PIN and, if `global_pin`,
    the global PIN too.
    """
    return encode(0x4F, AID) + encode(0x5F2F, GLOBAL_PIN_TOO if global_pin else PIN_ONLY)


def key_history(on_card: int = 0, off_card: int = 0, url: str = "") -> bytes:
    """The key history object: how many retired key management keys have their certificate on the
    card, and how many off the card.

    `url` says where the certificates off the card are; it is required if there are any.
    """
    if not (on_card >= 0 and off_card >= 0 and on_card + off_card <= len(RETIRED)):
        raise ValueError(f"a card has at most {len(RETIRED)} retired keys")
    if bool(off_card) > bool(url) or (url and not on_card and not off_card):
        raise ValueError("certificates off the card need a URL, and a URL needs retired keys")
    return (
        encode(KeyHistoryTag.ON_CARD, bytes((on_card,)))
        + encode(KeyHistoryTag.OFF_CARD, bytes((off_card,)))
        + (encode(KeyHistoryTag.URL, url.encode("ascii")) if url else b"")
        + ERROR_DETECTION_CODE
    )


def printed_information(
    name: str,
    affiliation: str,
    expiry: str,
    serial: str,
    issuer: str,
    organization: tuple[str, str] = ("", ""),
) -> bytes:
    """The text that would be printed on the card; `expiry` is YYYYMMDD.

    The standard requires ASCII: accents are dropped, other characters become "?", and text longer
    than its field is cut, as on a printed card.
    """
    _date(expiry)
    printed_date = f"{expiry[:4]}{MONTHS[int(expiry[4:6]) - 1]}{expiry[6:]}"
    elements = [
        (0x01, name, 125),
        (0x02, affiliation, 20),
        (0x04, printed_date, 9),
        (0x05, serial, 20),
        (0x06, issuer, 15),
        *((tag, line, 20) for tag, line in zip((0x07, 0x08), organization, strict=True) if line),
    ]
    return (
        b"".join(encode(tag, _ascii(text)[:longest]) for tag, text, longest in elements)
        + ERROR_DETECTION_CODE
    )


def certificate(der: bytes, *, gzipped: bool = False) -> bytes:
    """A certificate object; `der` is DER, or DER that is already compressed if `gzipped`."""
    info = GZIP if gzipped else UNCOMPRESSED
    return (
        encode(CertificateTag.CERTIFICATE, der)
        + encode(CertificateTag.INFO, bytes((info,)))
        + ERROR_DETECTION_CODE
    )


def security_object(groups: Mapping[int, int], signed: bytes) -> bytes:
    """The security object: `groups` maps data group numbers, 1 to 16, to tags of data objects.

    `signed` is the CMS SignedData over the hashes of those data groups.
    """
    mapping = b""
    for number, tag in sorted(groups.items()):
        if not 1 <= number <= LARGEST_GROUP or tag not in CONTAINER_ID:
            raise ValueError(f"data group {number} cannot hold data object {tag:X}")
        mapping += bytes((number,)) + CONTAINER_ID[tag].to_bytes(2)
    return encode(0xBA, mapping) + encode(0xBB, signed) + ERROR_DETECTION_CODE


def _chuid_head(guid: bytes, expiry: str, fasc_n: bytes) -> bytes:
    return (
        encode(0x30, _sized(fasc_n, FASC_N_BYTES, "FASC-N"))
        + encode(0x34, _sized(guid, GUID_BYTES, "GUID"))
        + encode(0x35, _date(expiry))
    )


def _sized(value: bytes, size: int, what: str) -> bytes:
    if len(value) != size:
        raise ValueError(f"the {what} has {len(value)} bytes, not {size}")
    return value


def _date(text: str) -> bytes:
    digits = text.encode("ascii", "replace")
    if len(digits) != 8 or not digits.isdigit():
        raise ValueError(f"{text!r} is no date YYYYMMDD")
    if not (1 <= int(digits[4:6]) <= len(MONTHS) and 1 <= int(digits[6:]) <= 31):
        raise ValueError(f"{text!r} is no date YYYYMMDD")
    return digits


def _ascii(text: str) -> bytes:
    plain = (
        char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char)
    )
    return "".join(plain).encode("ascii", "replace")
