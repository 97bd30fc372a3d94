"""A card with one instruction of its own: it greets a person by name, and counts the greetings.

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

AID = bytes.fromhex("F048454C4C4F")  # F0 means unregistered; then HELLO in ASCII
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
        """Raises 6A86 for wrong P1-P2, and 6A80 if the data is not a name."""
        if (command.p1, command.p2) != (0x00, 0x00):
            raise CardError(SW.INCORRECT_P1P2, "GREET has no parameters")
        if not command.data or not command.data.isascii():
            raise CardError(SW.WRONG_DATA, "a name has ASCII characters")
        return cls(command.data.decode("ascii"))


def greet(greeter: Greeter, command: Greet) -> bytes:
    """Count a greeting, and return it as the response data."""
    greeter.greeted += 1
    return f"Hello, {command.name}! You are number {greeter.greeted}.".encode("ascii")


TABLE: Table[Greeter] = Table(
    interindustry={}, proprietary={0x80: {GREET: row(Greet.parse, greet)}}
)


class Hello(Application):
    """The application: its AID, the state with which a channel starts, and an explanation."""

    aid = AID

    def open(self) -> Selection[Greeter]:
        """Select the application on a channel."""
        return Selection(TABLE, Greeter())

    def explain(self, command: Command) -> Explanation:
        """A command in words."""
        if command.ins != GREET:
            return Explanation()
        return Explanation("GREET", subject=in_words(command.data), received=in_words)


def in_words(data: bytes) -> str:
    """The bytes as text; those that are not ASCII are replaced."""
    return data.decode("ascii", "replace")


def new_card(random: Random) -> Card:
    """A card with only this application; it needs no random bytes."""
    del random
    return Card([Hello()], atr.generic())
