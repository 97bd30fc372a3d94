"""The interface between the card and its applications (ISO/IEC 7816-4, 8.2.1)."""

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

Random: TypeAlias = Callable[[int], bytes]  # makes as many random bytes as it is asked for

FILE_CONTROL_INFORMATION, DF_NAME = 0x6F, 0x84  # ISO/IEC 7816-4, tables 10 and 11


class Selected(Protocol):
    """An application as it is selected on one channel, with a security status of its own;
    `dispatch.Selection` implements it for a table of instructions.

    Its methods raise CardError for every status word other than 9000. The card discards it when the
    channel closes, the card is reset or another application is selected.
    """

    def begin(self) -> None:
        """Start a command: save the security status to which `roll_back` returns."""

    def roll_back(self) -> None:
        """Undo every change of the security status since `begin`."""

    def duplicate(self) -> Self:
        """A copy for another channel, with the same security status and nothing shared.

        Session keys are not copied: they stay on the channel for which they were made.
        """

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """The session keys for the next command; None if there are none."""

    @property
    def protected_error(self) -> str:
        """Why the last protected command failed, as its response says inside; else empty."""

    def end_secure_messaging(self) -> None:
        """Forget the session keys, because a command that announced secure messaging has failed."""

    def check_protection(self, header: Command) -> None:
        """Raise 6882 if secure messaging is not available, or not for this command."""

    def check_class(self, header: Command) -> None:
        """Raise 6E00 for a proprietary class that the application does not have."""

    def check(self, header: Command) -> None:
        """Raise an error if class, instruction or P1-P2 is wrong; the data is not examined."""

    def can_chain(self, header: Command) -> bool:
        """Whether a command can come in parts.

        Raises 6E00 for an unknown class and 6D00 for an unknown instruction.
        """

    def process(self, command: Command, number: int) -> bytes | Exchange:
        """Response data, or the exchange that ends with it.

        `number` counts the commands that the card has received; a whole chain counts as one.
        """


class Application(ABC):
    """A card application: the part that all channels share."""

    aid: bytes
    """The full application identifier, 5 to 16 bytes."""
    secrets: Secrets = Secrets()
    """Says which parts of its commands and results must not appear in traces."""

    def template(self) -> bytes:
        """The response data of SELECT; by default the application identifier in a template 6F."""
        return tlv.encode(FILE_CONTROL_INFORMATION, tlv.encode(DF_NAME, self.aid))

    def explain(self, command: Command) -> Explanation:
        """A command in words; the parts of a chain come as one command. By default empty."""
        del command
        return Explanation()

    @abstractmethod
    def open(self) -> Selected:
        """Select the application on a channel; nothing is verified yet."""
