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
    """A card with its applications; a reset selects the first one.

    A card is not thread-safe: only the thread of its slot uses it. At most one exchange is open at
    a time.
    """

    def __init__(self, applications: Sequence[Application], atr: bytes) -> None:
        self.atr = atr
        self.applications = tuple(applications)
        self.fault: Exception | None = None  # the bug behind a 6F00, until the next command
        self.last_error = ""
        """Why the last command ended with a status word other than 9000, also one that only its
        protected response tells; empty if the cause is unknown."""
        self._exchange: Exchange | None = None
        self._channels = Channels(applications)
        self._number = 0  # of the command

    def power_on(self) -> None:
        """Do the same as `reset`: a reader sends either of them or both."""
        self.reset()

    def reset(self) -> None:
        """Close an open exchange and all channels; every security status is lost."""
        self._close_exchange()
        self._channels.reset()
        self._number = 0

    def secure_messaging(self, apdu: bytes) -> SecureMessaging | None:
        """The session keys for this command, which the card has not received yet; None if there
        are none.
        """
        try:
            return self._channels[channel_of(apdu)].selection.secure_messaging
        except CardError:
            return None

    def secrets(self, header: Command) -> Secrets:
        """What is secret in a command that the card has not received yet.

        The selected application decides. If it does not have the instruction, the command was meant
        for another application, and the rules of all applications apply.
        """
        return self._channels.secrets(header)

    def transmit(self, apdu: bytes, keys: KeyService) -> bytes:
        """Answer one APDU; wait for `keys` if the command needs them."""
        return drive(self.exchange(apdu), keys.perform)

    def exchange(self, apdu: bytes) -> Exchange:
        """Answer one APDU, pausing at each key request.

        The caller closes the exchange at a pause if the reader hangs up. An exchange that is still
        open is closed first.
        """
        self._close_exchange()
        self._exchange = self._answer(apdu)
        return self._exchange

    def _close_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def _answer(self, apdu: bytes) -> Exchange:
        """Turn every outcome into a status word; no error leaves this method."""
        self._number += 1
        self.fault, self.last_error = None, ""
        try:
            channel = self._channels[channel_of(apdu)]
        except CardError as error:
            # On a closed channel no application is selected that could have a proprietary class.
            sw = SW.CLA_NOT_SUPPORTED if Command.header(apdu).is_proprietary else error.sw
            return self._failed(CardError(sw, error.why))
        # Any command but the next part aborts a chain, and any but GET RESPONSE drops the rest.
        chain, channel.chain = channel.chain, None
        rest, channel.rest = channel.rest, None
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
        if command.is_secured:
            self.last_error = selection.protected_error
        response, channel.rest = rest.cut(command.ne)
        return response

    def _failed(self, error: CardError) -> bytes:
        self.last_error = error.why
        return error.sw.to_bytes(2)

    def _with_part(
        self, chain: Chain | None, channel: Channel, part: Command, parse: Parser | None
    ) -> Chain:
        """The chain with one more part, which can be its first."""
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
        """Perform a whole command and return its response data.

        The card performs a command itself if there is a parser for it. `rest` is the part of the
        previous response that the reader has not fetched yet.
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
    """The command of an APDU, and its parser if it is one of the card's own commands.

    Errors of class, instruction and P1-P2 take precedence over errors of length.
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
