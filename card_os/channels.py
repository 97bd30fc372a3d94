"""Logical channels: several programs at one card, each with a security status of its own
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
SHORTEST_AID, LONGEST_AID = 5, 16  # ISO/IEC 7816-4, 8.2.1.2; also of a part that selects


@dataclass(slots=True)
class Channel:
    """What is selected on a channel, and what is half sent or half fetched there."""

    application: Application
    selection: Selected
    chain: Chain | None = None
    rest: Rest | None = None


class Channels:
    """The channels of one card, which are made when they are opened.

    After a reset only the basic one is open, with the first application selected on it.
    """

    def __init__(self, applications: Sequence[Application]) -> None:
        if not applications:
            raise ValueError("a card has at least one application")
        for application in applications:
            if not SHORTEST_AID <= len(application.aid) <= LONGEST_AID:
                raise ValueError(f"AID {application.aid.hex().upper()} has not 5 to 16 bytes")
        self._applications = tuple(applications)
        self._channels: list[Channel | None] = []
        self.reset()

    def reset(self) -> None:
        """Close all but the basic channel, which begins anew."""
        self._channels = [self._new(), *[None] * (CHANNELS - 1)]

    def __getitem__(self, number: int) -> Channel:
        """An open channel. Raises 6881."""
        channel = self._channels[number]
        if channel is None:
            raise CardError(SW.CHANNEL_NOT_SUPPORTED, "channel is not open")
        return channel

    def select(self, channel: Channel, command: Select) -> bytes:
        """SELECT by AID (ISO/IEC 7816-4, 11.2.2), or by its first bytes.

        A whole AID comes before one that only begins so. An application selected again keeps its
        security status; an unknown AID, which raises 6A82, changes nothing.
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
        """Open a channel; returns its number where the card has chosen it.

        From the basic channel, it begins as the card does after a reset. From another, it begins as
        that one is now. Raises 6A81 when all are open, 6881 for a number beyond the last channel,
        and 6A86 for one that is open.
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
        """Close a channel, and forget what was verified on it.

        Raises 6A86 for the basic channel, 6881 for a number beyond the last, and 6200, which is a
        warning, for one that is not open.
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
        """Of the application that a command goes to; of all where that one does not have it."""
        channel = self._channels[header.channel]
        if channel is None or not _knows(channel.selection, header):
            return AllSecrets([each.secrets for each in self._applications])
        return channel.application.secrets

    def _new(self) -> Channel:
        return Channel(self._applications[0], self._applications[0].open())


def _knows(selection: Selected, header: Command) -> bool:
    """Whether a selected application has an instruction, be it with other parameters."""
    try:
        selection.check(header)
    except CardError as error:
        return error.sw not in (SW.CLA_NOT_SUPPORTED, SW.INS_NOT_SUPPORTED)
    return True


def _named(aid: bytes, applications: Sequence[Application]) -> Application:
    """The application of an AID, else the first whose AID begins so. Raises 6A82."""
    for application in applications:
        if application.aid == aid:
            return application
    for application in applications:
        if len(aid) >= SHORTEST_AID and application.aid.startswith(aid):
            return application
    raise CardError(SW.NOT_FOUND, "no application has this AID")
