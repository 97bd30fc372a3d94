"""A card with one instruction of its own: it greets whom it is told, and counts the greetings.

Put it into the virtual reader with `cloudcard reader --application hello_card:new_card`.
"""

from __future__ import annotations

from dataclasses import dataclass

from card_os import (
    SW,
    Application,
    Card,
    CardError,
    Command,
    Explanation,
    Random,
    Selection,
    Table,
    atr,
    row,
)

AID = bytes.fromhex("F048454C4C4F")  # F0: not registered with anybody; then HELLO in ASCII
GREET = 0x10


@dataclass
class Greeter:
    """What one channel remembers until the card is reset."""

    greeted: int = 0


@dataclass(frozen=True)
class Greet:
    """GREET: the data is a name."""

    name: str

    @classmethod
    def parse(cls, command: Command) -> Greet:
        """Raises 6A86 for P1-P2, 6A80 for what is no name."""
        if (command.p1, command.p2) != (0x00, 0x00):
            raise CardError(SW.INCORRECT_P1P2, "GREET has no parameters")
        if not command.data or not command.data.isascii():
            raise CardError(SW.WRONG_DATA, "a name has ASCII characters")
        return cls(command.data.decode("ascii"))


def greet(greeter: Greeter, command: Greet) -> bytes:
    """The response data."""
    greeter.greeted += 1
    return f"Hello, {command.name}! You are number {greeter.greeted}.".encode("ascii")


TABLE: Table[Greeter] = Table(
    interindustry={}, proprietary={0x80: {GREET: row(Greet.parse, greet)}}
)


class Hello(Application):
    """The application: its name, what a channel begins with, and how traces explain it."""

    aid = AID

    def open(self) -> Selection[Greeter]:
        """Select it on a channel."""
        return Selection(TABLE, Greeter())

    def explain(self, command: Command) -> Explanation:
        """A command in words."""
        if command.ins != GREET:
            return Explanation()
        return Explanation("GREET", subject=in_words(command.data), received=in_words)


def in_words(data: bytes) -> str:
    """Text of any bytes."""
    return data.decode("ascii", "replace")


def new_card(random: Random) -> Card:
    """A card with this application alone; it needs no random bytes."""
    del random
    return Card([Hello()], atr.generic())
