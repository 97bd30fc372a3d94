"""The card: one APDU in, one APDU out, and a single place where it may wait."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from card_os.apdu import Command, channel_of, check_class, is_secured
from card_os.application import Application
from card_os.chaining import Chain, Rest
from card_os.channels import Channel, Channels
from card_os.commands import PARSERS, CardCommand, CloseChannel, GetResponse, OpenChannel, Select
from card_os.keys import Exchange, KeyRequest, KeyResult, KeyService, drive
from card_os.secrets import Secrets
from card_os.secure_messaging import SecureMessaging
from card_os.status import SW, CardError

Parser: TypeAlias = Callable[[Command], CardCommand]

_OK = SW.OK.to_bytes(2)


class Card:
    """A card with its applications, the first of which is selected after a reset.

    Not thread-safe: the thread of its slot owns it. One exchange is open at a time.
    """

    def __init__(self, applications: Sequence[Application], atr: bytes) -> None:
        self.atr = atr
        self.applications = tuple(applications)
        self.fault: Exception | None = None  # the bug behind a 6F00, until the next command
        self.last_error = ""
        """Why the last command ended with another status word than 9000; empty where nobody says.
        What has failed under secure messaging is not told."""
        self._exchange: Exchange | None = None
        self._channels = Channels(applications)
        self._number = 0  # of the command

    def power_on(self) -> None:
        """Do as a reset does: readers send either or both."""
        self.reset()

    def reset(self) -> None:
        """Close an open exchange and all channels, and with them lose every security status."""
        self._close_exchange()
        self._channels.reset()
        self._number = 0

    def secure_messaging(self, apdu: bytes) -> SecureMessaging | None:
        """The session keys under which this command, which has not come yet, may be protected."""
        try:
            return self._channels[channel_of(apdu)].selection.secure_messaging
        except CardError:
            return None

    def secrets(self, header: Command) -> Secrets:
        """What is secret in a command that has not come yet: what the selected application says,
        or any of them where that one does not have the instruction. It was meant for another.
        """
        return self._channels.secrets(header)

    def transmit(self, apdu: bytes, keys: KeyService) -> bytes:
        """Answer one APDU, waiting for `keys` where it needs them."""
        return drive(self.exchange(apdu), keys.perform)

    def exchange(self, apdu: bytes) -> Exchange:
        """Answer one APDU, pausing at each key request.

        To close it at the pause is how a reader hangs up. An exchange still open is closed.
        """
        self._close_exchange()
        self._exchange = self._answer(apdu)
        return self._exchange

    def _close_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def _answer(self, apdu: bytes) -> Exchange:
        """The one place where status words are made, and where an error ends."""
        self._number += 1
        self.fault, self.last_error = None, ""
        try:
            channel = self._channels[channel_of(apdu)]
        except CardError as error:
            # No application is selected there that could have a proprietary class.
            sw = SW.CLA_NOT_SUPPORTED if Command.header(apdu).is_proprietary else error.sw
            return self._failed(CardError(sw, error.why))
        chain, channel.chain = channel.chain, None  # all but the next part abort the chain,
        rest, channel.rest = channel.rest, None  # and drop what has not been fetched
        selection = channel.selection
        selection.begin()
        try:
            command, parse = _parse(channel, apdu)
            if chain is not None and not chain.continues_with(command):
                chain = None
            if chain is not None and chain.number == self._number - 1:
                self._number -= 1  # the parts of a chain are one command, if they come in a row
            if command.is_chained:
                channel.chain = self._with_part(chain, channel, command, parse)
                return _OK
            if chain is not None:
                command = chain.end(command)
            rest = yield from self._perform(channel, command, parse, rest)
        except CardError as error:
            if is_secured(apdu):
                selection.end_secure_messaging()
            return self._failed(error)
        except Exception as bug:
            selection.roll_back()
            self.fault = bug
            return SW.UNKNOWN.to_bytes(2)
        response, channel.rest = rest.cut(command.ne)
        return response

    def _failed(self, error: CardError) -> bytes:
        self.last_error = error.why
        return error.sw.to_bytes(2)

    def _with_part(
        self, chain: Chain | None, channel: Channel, part: Command, parse: Parser | None
    ) -> Chain:
        """The chain with one more part, which may be its first."""
        if chain is None:
            if parse is not None or not channel.selection.can_chain(part):
                raise CardError(SW.CHAINING_NOT_SUPPORTED, "not for this instruction")
            channel.selection.check(part)
            chain = Chain(part)
        chain.add(part)
        chain.number = self._number
        return chain

    def _perform(
        self, channel: Channel, command: Command, parse: Parser | None, rest: Rest | None
    ) -> Generator[KeyRequest, KeyResult, Rest]:
        """What a whole command returns, which is the card's own if it has a parser. `rest` has not
        been fetched of the response before.
        """
        if parse is None:
            outcome = channel.selection.process(command, self._number)
            return Rest(outcome if isinstance(outcome, bytes) else (yield from outcome))
        match parse(command):
            case GetResponse():
                if rest is None:
                    raise CardError(SW.CONDITIONS_NOT_SATISFIED, "nothing to fetch")
                return rest
            case Select() as select:
                return Rest(self._channels.select(channel, select))
            case OpenChannel() as opening:
                return Rest(self._channels.open(command.channel, opening))
            case CloseChannel() as closing:
                self._channels.close(command.channel, closing)
                return Rest(b"")


def _parse(channel: Channel, apdu: bytes) -> tuple[Command, Parser | None]:
    """The command of an APDU, and its parser if it is one of the card's own.

    What is wrong with its class, instruction and P1-P2 comes before what is wrong with lengths.
    """
    header = Command.header(apdu)
    check_class(header.cla)
    parse = None
    if header.is_proprietary:
        channel.selection.check_class(header)
    else:
        parse = PARSERS.get(header.ins)
    if header.is_secured:
        if parse is not None:
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "not for this instruction")
        channel.selection.check_protection(header)
    try:
        return Command.parse(apdu), parse
    except CardError:
        if parse is None:
            channel.selection.check(header)
        else:
            parse(header)
        raise
