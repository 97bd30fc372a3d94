"""Messages of LDAP (RFC 4511): what an operator's command asks, and what it is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TypeAlias

from card_os import tlv
from card_os.tlv import TlvError
from cloud_keystore.model.lookups.filters import Either, Equal, Every, Filter, Not, Present

START_TLS = b"1.3.6.1.4.1.1466.20037"  # RFC 4511, 4.14.1
VERSION = 3
LARGEST_MESSAGE = 256 * 1024  # bytes; more than some entries have
LONGEST_HEADER = 6  # a tag, and a length of up to five bytes
LONGEST_NUMBER = 4  # bytes


class Tag(IntEnum):
    """Tags of messages and of what they hold (RFC 4511, appendix B); one can have two meanings."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    OCTET_STRING = 0x04
    ENUMERATED = 0x0A
    SEQUENCE = 0x30
    SET = 0x31
    UNBIND_REQUEST = 0x42
    BIND_REQUEST = 0x60
    BIND_RESPONSE = 0x61
    SEARCH_REQUEST = 0x63
    SEARCH_RESULT_ENTRY = 0x64
    SEARCH_RESULT_DONE = 0x65
    SEARCH_RESULT_REFERENCE = 0x73
    EXTENDED_REQUEST = 0x77
    EXTENDED_RESPONSE = 0x78
    SIMPLE = 0x80
    REQUEST_NAME = 0x80
    PRESENT = 0x87
    AND = 0xA0
    OR = 0xA1
    NOT = 0xA2
    EQUALITY_MATCH = 0xA3


@unique
class ResultCode(IntEnum):
    """Result codes that mean something to operators (RFC 4511, appendix A)."""

    SUCCESS = 0
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    CONFIDENTIALITY_REQUIRED = 13
    NO_SUCH_OBJECT = 32
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50


WHOLE_SUBTREE, NEVER_DEREF = 2, 0


class NoMessage(ValueError):
    """The bytes are no answer of LDAP."""


@dataclass(frozen=True, slots=True)
class Result:
    """How something ended. What the server says of it in words is left out."""

    tag: Tag
    code: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that was found; its attributes are in lower case, without options."""

    dn: bytes
    attributes: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Reference:
    """Where else something could be, which is not followed."""


Answer: TypeAlias = Result | Entry | Reference


def bind(number: int, name: str, password: str) -> bytes:
    """Ask to be known by a name and password."""
    simple = tlv.encode(Tag.SIMPLE, password.encode())
    return _message(number, tlv.encode(Tag.BIND_REQUEST, _integer(VERSION), _text(name), simple))


def start_tls(number: int) -> bytes:
    """Ask to begin TLS on this connection."""
    return _message(
        number, tlv.encode(Tag.EXTENDED_REQUEST, tlv.encode(Tag.REQUEST_NAME, START_TLS))
    )


def search(
    number: int, base: str, wanted: Filter, attributes: Sequence[str], most: int, seconds: int
) -> bytes:
    """Ask for some attributes of the entries below a base."""
    asked = (
        _text(base),
        tlv.encode(Tag.ENUMERATED, bytes((WHOLE_SUBTREE,))),
        tlv.encode(Tag.ENUMERATED, bytes((NEVER_DEREF,))),
        _integer(most),
        _integer(seconds),
        tlv.encode(Tag.BOOLEAN, b"\0"),
        encode_filter(wanted),
        tlv.encode(Tag.SEQUENCE, *map(_text, attributes)),
    )
    return _message(number, tlv.encode(Tag.SEARCH_REQUEST, *asked))


def unbind(number: int) -> bytes:
    """Say that nothing more is asked."""
    return _message(number, tlv.encode(Tag.UNBIND_REQUEST))


def encode_filter(wanted: Filter) -> bytes:
    """A filter. Its values are counted bytes, so that nothing in them is a part of the filter."""
    match wanted:
        case Equal(attribute, value):
            return tlv.encode(Tag.EQUALITY_MATCH, _text(attribute), _text(value))
        case Present(attribute):
            return tlv.encode(Tag.PRESENT, attribute.encode())
        case Every(parts):
            return tlv.encode(Tag.AND, *map(encode_filter, parts))
        case Either(parts):
            return tlv.encode(Tag.OR, *map(encode_filter, parts))
        case Not(part):
            return tlv.encode(Tag.NOT, encode_filter(part))


def missing(begun: bytes) -> int:
    """How many bytes are missing, at least, of the message that begins so; 0 if it is whole. Raises
    NoMessage.
    """
    if len(begun) < 2:
        return 2 - len(begun)
    if begun[0] != Tag.SEQUENCE:
        raise NoMessage("no message begins so")
    longer = begun[1] & 0x7F if begun[1] & 0x80 else 0
    header = 2 + longer
    if header > LONGEST_HEADER or begun[1] == 0x80:
        raise NoMessage("the length is malformed")
    if len(begun) < header:
        return header - len(begun)
    size = int.from_bytes(begun[2:header]) if longer else begun[1]
    if size > LARGEST_MESSAGE:
        raise NoMessage("the message is too large")
    return header + size - len(begun)


def decode(message: bytes, number: int) -> Answer:
    """The answer to the request of a number. Raises NoMessage."""
    try:
        parts = list(tlv.decode(tlv.decode_one(Tag.SEQUENCE, message)))
        # Controls can follow, none of which was asked for.
        (first, answered), (tag, value) = parts[:2]
        if first != Tag.INTEGER or _number(answered) != number:
            raise NoMessage("this is the answer to something else")
        match tag:
            case Tag.BIND_RESPONSE | Tag.SEARCH_RESULT_DONE | Tag.EXTENDED_RESPONSE:
                (code_tag, code), *_ = tlv.decode(value)
                if code_tag != Tag.ENUMERATED:
                    raise NoMessage("there is no result code")
                return Result(Tag(tag), _number(code))
            case Tag.SEARCH_RESULT_ENTRY:
                return _entry(value)
            case Tag.SEARCH_RESULT_REFERENCE:
                return Reference()
    except (TlvError, ValueError) as error:
        raise NoMessage(str(error)) from None
    raise NoMessage("this is no answer")


def _entry(value: bytes) -> Entry:
    (_, dn), (_, listed) = tlv.decode(value)
    attributes: dict[str, Sequence[bytes]] = {}
    for _, attribute in tlv.decode(listed):
        (_, name), (_, values) = tlv.decode(attribute)
        plain = name.decode("ascii").lower().partition(";")[0]
        attributes[plain] = [each for _, each in tlv.decode(values)]
    return Entry(dn, attributes)


def _message(number: int, asked: bytes) -> bytes:
    return tlv.encode(Tag.SEQUENCE, _integer(number), asked)


def _integer(value: int) -> bytes:
    return tlv.encode(Tag.INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _number(value: bytes) -> int:
    if not 0 < len(value) <= LONGEST_NUMBER:
        raise NoMessage("a number is malformed")
    return int.from_bytes(value, signed=True)


def _text(value: str) -> bytes:
    return tlv.encode(Tag.OCTET_STRING, value.encode())
