"""What the card asks of its applications (ISO/IEC 7816-4, 8.2.1)."""

from __future__ import annotations

from typing import Protocol

from card_os.apdu import Command
from card_os.keys import Exchange
from card_os.secure_messaging import SecureMessaging


class Selection(Protocol):
    """An application as it is selected on one channel, with a security status of its own.

    Raises CardError for every status word other than 9000. Thrown away when the channel closes,
    the card is reset or another application is selected.
    """

    def begin(self) -> None:
        """Start a command, to whose beginning `roll_back` goes back."""

    def roll_back(self) -> None:
        """Take back what has happened to the security status since `begin`."""

    def duplicate(self) -> Selection:
        """The same for another channel: as selected, with as much verified, and nothing shared.

        Keys of secure messaging stay with the one they were made for.
        """

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """The session under which the next command may be protected."""

    def end_secure_messaging(self) -> None:
        """Forget the session keys: a command that claimed to be protected has failed."""

    def check_protection(self, header: Command) -> None:
        """Raise 6882 where secure messaging is not to be had, for any or for this command."""

    def check(self, header: Command) -> None:
        """Raise what is wrong with an instruction or its P1-P2; data is not looked at."""

    def can_chain(self, ins: int) -> bool:
        """Whether a command may come in parts; raises 6D00 for an unknown instruction."""

    def process(self, command: Command, number: int) -> bytes | Exchange:
        """Response data, or the exchange that ends with it.

        `number` counts all commands that the card is sent; the parts of a chain are one.
        """


class Application(Protocol):
    """A card application: what all channels share of it."""

    @property
    def aid(self) -> bytes:
        """Its full application identifier."""

    def template(self) -> bytes:
        """What SELECT returns."""

    def open(self) -> Selection:
        """Select it on a channel: nothing is verified yet."""
