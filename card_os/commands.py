"""The commands that the card performs itself, whatever application is selected
(ISO/IEC 7816-4, 11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TypeAlias

from card_os.apdu import Command
from card_os.status import SW, CardError

BY_NAME = 0x04
BY_FILE = (0x00, 0x01, 0x02, 0x03, 0x08, 0x09)  # by file identifier or path
NEXT, NO_RESPONSE = 0x02, 0x0C  # P2 of SELECT
FURTHEST_CHANNEL = 19  # the last one that a class byte can name


@unique
class Ins(IntEnum):
    """Instructions of the card itself; all others belong to its applications."""

    MANAGE_CHANNEL = 0x70
    SELECT = 0xA4
    GET_RESPONSE = 0xC0


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT by AID."""

    aid: bytes  # or its first bytes
    next: bool  # select the next occurrence instead of the first
    answers: bool  # return the application's template

    @classmethod
    def parse(cls, command: Command) -> Select:
        """Raises 6A82 for a file, because the card has none, and 6A86 for other wrong P1-P2."""
        if command.p1 in BY_FILE:
            raise CardError(SW.NOT_FOUND, "there are no files")
        if command.p1 != BY_NAME or command.p2 & ~(NEXT | NO_RESPONSE):
            raise CardError(SW.INCORRECT_P1P2)
        if command.p2 & NO_RESPONSE not in (0x00, NO_RESPONSE):
            raise CardError(SW.INCORRECT_P1P2)
        return cls(command.data, bool(command.p2 & NEXT), not command.p2 & NO_RESPONSE)


@dataclass(frozen=True, slots=True)
class GetResponse:
    """GET RESPONSE: the next part of a long response."""

    @classmethod
    def parse(cls, command: Command) -> GetResponse:
        """Raises 6A86 for wrong P1-P2, and 6700 if there is data or no Le."""
        if (command.p1, command.p2) != (0x00, 0x00):
            raise CardError(SW.INCORRECT_P1P2)
        if command.data or not command.ne:
            raise CardError(SW.WRONG_LENGTH)
        return cls()


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """MANAGE CHANNEL: open the channel with this number; None lets the card choose."""

    number: int | None


@dataclass(frozen=True, slots=True)
class CloseChannel:
    """MANAGE CHANNEL: close the channel with this number; None means the command's own channel."""

    number: int | None


def manage_channel(command: Command) -> OpenChannel | CloseChannel:
    """MANAGE CHANNEL (ISO/IEC 7816-4, 11.1.2).

    Raises 6A86 for wrong P1-P2, and 6700 if there is data, or no Le for the number that the card
    returns.
    """
    if command.p1 not in (0x00, 0x80) or command.p2 > FURTHEST_CHANNEL:
        raise CardError(SW.INCORRECT_P1P2)
    opens = command.p1 == 0x00
    number = command.p2 or None
    if command.data or (opens and number is None and not command.ne):
        raise CardError(SW.WRONG_LENGTH)
    return OpenChannel(number) if opens else CloseChannel(number)


CardCommand: TypeAlias = Select | GetResponse | OpenChannel | CloseChannel

PARSERS: Mapping[int, Callable[[Command], CardCommand]] = {
    Ins.MANAGE_CHANNEL: manage_channel,
    Ins.SELECT: Select.parse,
    Ins.GET_RESPONSE: GetResponse.parse,
}
