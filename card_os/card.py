"""The card: one APDU in, one APDU out, and a single place where it may wait."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, unique
from typing import Protocol

from card_os.apdu import HEADER_BYTES, Command, is_chained
from card_os.chaining import Chain, cut
from card_os.keys import Exchange, KeyService, drive
from card_os.status import SW, CardError

RID_BYTES = 5  # the shortest part of an AID by which an application can be selected

_OK = SW.OK.to_bytes(2)


@unique
class Ins(IntEnum):
    """Instructions of the card itself; all others are its applications'."""

    SELECT = 0xA4
    GET_RESPONSE = 0xC0


class Application(Protocol):
    """A card application (ISO/IEC 7816-4, 8.2.1).

    Raises CardError for every status word other than 9000.
    """

    @property
    def aid(self) -> bytes:
        """Its full application identifier."""

    def reset(self) -> None:
        """Forget the session: after a reset, and when another application is selected."""

    def begin(self) -> None:
        """Start a command, to whose beginning `roll_back` goes back."""

    def roll_back(self) -> None:
        """Take back what has happened to the session since `begin`."""

    def select(self) -> bytes:
        """What SELECT returns."""

    def can_chain(self, ins: int) -> bool:
        """Whether a command may come in parts; raises 6D00 for an unknown instruction."""

    def process(self, command: Command, number: int) -> bytes | Exchange:
        """Response data, or the exchange that ends with it.

        `number` counts all commands that the card is sent; the parts of a chain are one.
        """


class Card:
    """A card with its applications, the first of which is selected after a reset.

    Not thread-safe: the thread of its slot owns it. One exchange is open at a time.
    """

    def __init__(self, applications: Sequence[Application], atr: bytes) -> None:
        if not applications:
            raise ValueError("a card has at least one application")
        self.atr = atr
        self.fault: Exception | None = None  # the bug behind a 6F00, until the next command
        self._applications = tuple(applications)
        self._exchange: Exchange | None = None
        self.reset()

    def power_on(self) -> None:
        """Do as a reset does: readers send either or both."""
        self.reset()

    def reset(self) -> None:
        """Lose every session, close an open exchange, select the first application."""
        self._close_exchange()
        for application in self._applications:
            application.reset()
        self._selected = self._applications[0]
        self._chain: Chain | None = None
        self._pending = b""  # response data which GET RESPONSE has not fetched
        self._number = 0  # of the command

    def transmit(self, apdu: bytes, keys: KeyService) -> bytes:
        """Answer one APDU, waiting for `keys` where it needs them."""
        return drive(self.exchange(apdu), keys)

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
        chain, self._chain = self._chain, None  # every command but the next part aborts a chain,
        pending, self._pending = self._pending, b""  # and drops what has not been fetched
        self._number += 1
        self.fault = None
        application = self._selected
        application.begin()
        try:
            command = _parse(apdu)
            if chain is not None and chain.continues_with(command):
                command, self._number = chain.join(command), chain.number
            if is_chained(command.cla):
                self._keep_chain(command)
                return _OK
            match command.ins:
                case Ins.SELECT:
                    data = self._select(command)
                case Ins.GET_RESPONSE:
                    data = _get_response(command, pending)
                case _:
                    outcome = application.process(command, self._number)
                    data = outcome if isinstance(outcome, bytes) else (yield from outcome)
        except CardError as error:
            return error.sw.to_bytes(2)
        except Exception as bug:
            application.roll_back()
            self.fault = bug
            return SW.UNKNOWN.to_bytes(2)
        response, self._pending = cut(data, command.ne)
        return response

    def _keep_chain(self, command: Command) -> None:
        own = command.ins in (Ins.SELECT, Ins.GET_RESPONSE)
        if own or not self._selected.can_chain(command.ins):
            raise CardError(SW.CHAINING_NOT_SUPPORTED)
        self._chain = Chain(self._number, command)

    def _select(self, command: Command) -> bytes:
        """SELECT by AID, first or only occurrence (ISO/IEC 7816-4, 11.2.2).

        An application selected again keeps its session; an unknown AID changes nothing.
        """
        if command.p1 != 0x04 or command.p2 not in (0x00, 0x0C):
            raise CardError(SW.INCORRECT_P1P2)
        for application in self._applications:
            if len(command.data) >= RID_BYTES and application.aid.startswith(command.data):
                break
        else:
            raise CardError(SW.NOT_FOUND, "unknown AID")
        template = application.select()
        if application is not self._selected:
            self._selected.reset()
            self._selected = application
        return template if command.p2 == 0x00 else b""  # 0C asks for no response data


def _parse(apdu: bytes) -> Command:
    if len(apdu) < HEADER_BYTES:
        raise CardError(SW.WRONG_LENGTH, "header is cut short")
    is_chained(apdu[0])  # what is wrong with the class comes before what is wrong with lengths
    return Command.parse(apdu)


def _get_response(command: Command, pending: bytes) -> bytes:
    """GET RESPONSE (ISO/IEC 7816-4, 11.8.1)."""
    if (command.p1, command.p2) != (0x00, 0x00):
        raise CardError(SW.INCORRECT_P1P2)
    if command.data or not command.ne:
        raise CardError(SW.WRONG_LENGTH)
    if not pending:
        raise CardError(SW.CONDITIONS_NOT_SATISFIED, "nothing to fetch")
    return pending
