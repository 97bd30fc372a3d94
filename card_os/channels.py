"""Logical channels: several programs use one card, each with a security status of its own
(ISO/IEC 7816-4, 5.4.1 and 11.1.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from card_os.apdu import Command
from card_os.application import Application, Selected
from card_os.chaining import Chain, Rest
from card_os.commands import CloseChannel, OpenChannel, Select
from card_os.secrets import AllSecrets, Secrets
from card_os.status import SW, CardError

BASIC = 0  # the channel that is always open
CHANNELS = 4  # as the ATR's card capabilities say
SHORTEST_AID, LONGEST_AID = 5, 16  # ISO/IEC 7816-4, 8.2.1.2; a partial AID has at least 5 bytes too


@dataclass(slots=True)
class Channel:
    """One open channel: its selected application, an unfinished chain and an unfetched response."""

    application: Application
    selection: Selected
    chain: Chain | None = None
    rest: Rest | None = None


class Channels:
    """The channels of one card.

    After a reset only the basic channel is open, and the first application is selected on it.
    """

    def __init__(self, applications: Sequence[Application]) -> None:
        if not applications:
            raise ValueError("a card needs at least one application")
        for application in applications:
            if not SHORTEST_AID <= len(application.aid) <= LONGEST_AID:
                raise ValueError(f"AID {application.aid.hex().upper()} must have 5 to 16 bytes")
        self._applications = tuple(applications)
        self._channels: list[Channel | None] = []
        self.reset()

    def reset(self) -> None:
        """Close all channels but the basic one, which starts anew."""
        self._channels = [self._new(), *[None] * (CHANNELS - 1)]

    def __getitem__(self, number: int) -> Channel:
        """An open channel. Raises 6881 if the channel is not open."""
        channel = self._channels[number]
        if channel is None:
            raise CardError(SW.CHANNEL_NOT_SUPPORTED, "channel is not open")
        return channel

    def select(self, channel: Channel, command: Select) -> bytes:
        """SELECT by AID (ISO/IEC 7816-4, 11.2.2), or by its first bytes.

        An exact match takes precedence over a partial one. An application that is selected again
        keeps its security status. Raises 6A82 for an unknown AID, which changes nothing.
        """
        applications = self._applications
        if command.next:
            applications = applications[applications.index(channel.application) + 1 :]
        application = _named(command.aid, applications)
        template = application.template()
        if application is not channel.application:
            channel.application, channel.selection = application, application.open()
        return template if command.answers else b""

    def open(self, origin: int, command: OpenChannel) -> bytes:
        """Open a channel; return its number if the card has chosen it.

        A channel opened from the basic channel starts as the card does after a reset; one opened
        from another channel starts as a copy of that channel. Raises 6A81 if all channels are open,
        6881 for a number beyond the last channel, and 6A86 for a channel that is open already.
        """
        number = command.number
        if number is None:
            if None not in self._channels:
                raise CardError(SW.FUNCTION_NOT_SUPPORTED, "all channels are open")
            number = self._channels.index(None)
        elif number >= CHANNELS:
            raise CardError(SW.CHANNEL_NOT_SUPPORTED)
        elif self._channels[number] is not None:
            raise CardError(SW.INCORRECT_P1P2, "channel is open")
        if origin == BASIC:
            self._channels[number] = self._new()
        else:
            from_here = self[origin]
            self._channels[number] = Channel(from_here.application, from_here.selection.duplicate())
        return b"" if command.number is not None else bytes((number,))

    def close(self, origin: int, command: CloseChannel) -> None:
        """Close a channel; its security status is lost.

        Raises 6A86 for the basic channel, 6881 for a number beyond the last channel, and the
        warning 6200 for a channel that is not open.
        """
        number = origin if command.number is None else command.number
        if number == BASIC:
            raise CardError(SW.INCORRECT_P1P2, "the basic channel cannot be closed")
        if number >= CHANNELS:
            raise CardError(SW.CHANNEL_NOT_SUPPORTED)
        if self._channels[number] is None:
            raise CardError(SW.ALREADY_CLOSED)
        self._channels[number] = None

    def secrets(self, header: Command) -> Secrets:
        """The secrets of the application that receives the command; those of all applications if it
        does not have the instruction.
        """
        channel = self._channels[header.channel]
        if channel is None or not _knows(channel.selection, header):
            return AllSecrets([each.secrets for each in self._applications])
        return channel.application.secrets

    def _new(self) -> Channel:
        return Channel(self._applications[0], self._applications[0].open())


def _knows(selection: Selected, header: Command) -> bool:
    """Whether a selected application has an instruction, even if P1-P2 are wrong."""
    try:
        selection.check(header)
    except CardError as error:
        return error.sw not in (SW.CLA_NOT_SUPPORTED, SW.INS_NOT_SUPPORTED)
    return True


def _named(aid: bytes, applications: Sequence[Application]) -> Application:
    """The application with this AID, or else the first whose AID begins with it.

    Raises 6A82 if there is none.
    """
    for application in applications:
        if application.aid == aid:
            return application
    for application in applications:
        if len(aid) >= SHORTEST_AID and application.aid.startswith(aid):
            return application
    raise CardError(SW.NOT_FOUND, "no application has this AID")
