"""What the card asks of its applications (ISO/IEC 7816-4, 8.2.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, Self, TypeAlias

from card_os import tlv
from card_os.apdu import Command
from card_os.explanation import Explanation
from card_os.keys import Exchange
from card_os.secrets import Secrets
from card_os.secure_messaging import SecureMessaging

Random: TypeAlias = Callable[[int], bytes]  # so many random bytes

FILE_CONTROL_INFORMATION, DF_NAME = 0x6F, 0x84  # ISO/IEC 7816-4, tables 10 and 11


class Selected(Protocol):
    """An application as it is selected on one channel, with a security status of its own;
    `dispatch.Selection` is one for a table of instructions.

    Raises CardError for every status word other than 9000. Thrown away when the channel closes,
    the card is reset or another application is selected.
    """

    def begin(self) -> None:
        """Start a command, to whose beginning `roll_back` goes back."""

    def roll_back(self) -> None:
        """Take back what has happened to the security status since `begin`."""

    def duplicate(self) -> Self:
        """The same for another channel: as selected, with as much verified, and nothing shared.

        Keys of secure messaging stay with the one they were made for.
        """

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """The session keys under which the next command may be protected."""

    def end_secure_messaging(self) -> None:
        """Forget the session keys: a command that claimed to be protected has failed."""

    def check_protection(self, header: Command) -> None:
        """Raise 6882 where secure messaging is not to be had, for any or for this command."""

    def check_class(self, header: Command) -> None:
        """Raise 6E00 for a proprietary class that the application does not have."""

    def check(self, header: Command) -> None:
        """Raise what is wrong with class, instruction or P1-P2; data is not looked at."""

    def can_chain(self, header: Command) -> bool:
        """Whether a command may come in parts; raises 6E00 and 6D00 for what is unknown."""

    def process(self, command: Command, number: int) -> bytes | Exchange:
        """Response data, or the exchange that ends with it.

        `number` counts all commands that the card is sent; the parts of a chain are one.
        """


class Application(ABC):
    """A card application: what all channels share of it."""

    aid: bytes
    """Its full application identifier, of 5 to 16 bytes."""
    secrets: Secrets = Secrets()
    """What traces do not have of it."""

    def template(self) -> bytes:
        """What SELECT returns; unless an application says otherwise, its identifier."""
        return tlv.encode(FILE_CONTROL_INFORMATION, tlv.encode(DF_NAME, self.aid))

    def explain(self, command: Command) -> Explanation:
        """A command in words, its data joined where it came in parts; nothing is known of it."""
        del command
        return Explanation()

    @abstractmethod
    def open(self) -> Selected:
        """Select it on a channel: nothing is verified yet."""
