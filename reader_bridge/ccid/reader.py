"""The reader's one slot as a state machine: messages in, messages and orders to the card out.

Nothing here waits. While a command is with the card, the owner calls `tick` each second, and
`respond` in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from card_os.trace.lines import Power
from reader_bridge.ccid import t0
from reader_bridge.ccid.messages import (
    ANSWERED_WITH,
    HEADER_BYTES,
    SLOT_CHANGE,
    Answer,
    CardStatus,
    Error,
    Level,
    MalformedMessage,
    Message,
    Outcome,
    Request,
)
from reader_bridge.ccid.presentation import LONGEST_COMMAND, T1, Feature, Presentation

POWER_SELECTIONS = range(4)  # bPowerSelect: automatic, 5 V, 3 V, 1.8 V
CLOCK_COMMANDS = range(2)  # bClockCommand: restart, stop
CHANGED = 0x02  # bit of bmSlotICCState
_LEVELS = frozenset(Level)
_BEGINS = frozenset({Level.WHOLE, Level.FIRST})
_ENDS = frozenset({Level.WHOLE, Level.LAST})


@dataclass(frozen=True, slots=True)
class Say:
    """A message for the computer."""

    message: Message


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command for the card."""

    raw: bytes


class Order(Enum):
    """What else the owner has to do."""

    WITHDRAW = "withdraw"  # the computer no longer wants the response to the last command
    NOTIFY = "notify"  # the computer should hear of `notification`


Effect: TypeAlias = Say | Apdu | Power | Order


class Reader:
    """A reader with one slot. It is not for two threads at a time.

    `longest` is the longest message in bytes, as the descriptor says it.
    """

    def __init__(self, presentation: Presentation = T1, longest: int | None = None) -> None:
        self.presentation = presentation
        self.longest = presentation.longest_message if longest is None else longest
        self._apdus = bool(presentation.features & Feature.EXTENDED_APDU)
        self._atr: bytes | None = None
        self._next_atr: bytes | None = None  # of a card that waits until a removal has been seen
        self._removal_unseen = False
        self._forget_host()

    def _forget_host(self) -> None:
        self._waiting: Message | None = None  # the request whose command the card has
        self._power_down()
        self._parameters = self.presentation.parameters
        self._clock_stopped = False
        self._abort_asked: int | None = None  # sequence number of the control request
        self._abort_said: Message | None = None  # the message that belongs to it

    def _power_down(self) -> None:
        self._powered = False
        self._command = bytearray()
        self._chaining = False
        self._rest = b""
        self._t0 = t0.Adapter()

    @property
    def busy(self) -> bool:
        """Whether a command is with the card."""
        return self._waiting is not None

    @property
    def notification(self) -> bytes:
        """RDR_to_PC_NotifySlotChange as it is now."""
        return bytes((SLOT_CHANGE, CHANGED | (self._atr is not None)))

    def attached(self) -> None:
        """Another computer uses the reader now, which has not seen anything yet."""
        self._forget_host()
        self._removal_unseen = False
        self._enter_next()

    def insert(self, atr: bytes) -> list[Effect]:
        """A card is in the slot. Raises ValueError if its ATR is none."""
        said = atr if self._apdus else t0.for_t0(atr)
        if self._removal_unseen:
            # Else the computer could take the new card for the one that it knows.
            self._next_atr = said
            return []
        self._atr = said
        return [Order.NOTIFY]

    def remove(self) -> list[Effect]:
        """The card has gone; a command that is with it is answered."""
        self._next_atr = None
        if self._atr is None:
            return []
        self._atr = None
        self._removal_unseen = True
        self._power_down()
        waiting, self._waiting = self._waiting, None
        told: list[Effect] = [] if waiting is None else [self._failed(waiting, Error.MUTE)]
        return [*told, Order.NOTIFY]

    def receive(self, raw: bytes) -> list[Effect]:
        """A message has come. Raises MalformedMessage if it has no header to answer to."""
        try:
            message = Message.decode(raw)
        except MalformedMessage as error:
            if error.header is None:
                raise
            return [self._failed(error.header, Error.LENGTH)]
        if message.slot:
            return [self._answer(message, Outcome.FAILED, Error.SLOT, status=CardStatus.ABSENT)]
        if message.type == Request.ABORT:
            self._abort_said = message
            return self._abort()
        if self._abort_asked is not None:
            return [self._failed(message, Error.ABORTED)]
        if self._waiting is not None:
            return [self._failed(message, Error.SLOT_BUSY)]
        handler = _HANDLERS.get(message.type)
        if handler is None:
            return [self._failed(message, Error.NOT_SUPPORTED)]
        return handler(self, message)

    def abort(self, slot: int, seq: int) -> list[Effect]:
        """The control request ABORT has come (5.3.1). Raises ValueError for a slot that is none."""
        if slot:
            raise ValueError("the reader has one slot")
        self._abort_asked = seq
        return self._abort()

    def respond(self, response: bytes) -> list[Effect]:
        """The card has answered its command."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:  # it was withdrawn meanwhile
            return []
        return self._send(waiting, response if self._apdus else self._t0.response(response))

    def tick(self) -> list[Effect]:
        """A second has passed: ask for more time if a command is with the card."""
        entered = self._release()
        if self._waiting is None:
            return entered
        # bError multiplies the waiting time (6.2.6).
        return [*entered, self._answer(self._waiting, Outcome.TIME_EXTENSION, 1)]

    def _power_on(self, message: Message) -> list[Effect]:
        if message.data:
            return [self._failed(message, Error.LENGTH)]
        if message.own[0] not in POWER_SELECTIONS:
            return [self._failed(message, Error.FIRST_OWN)]
        if self._atr is None:
            return [self._failed(message, Error.MUTE)]
        was_on = self._powered
        self._power_down()
        self._powered = True
        self._clock_stopped = False
        self._parameters = self.presentation.parameters
        atr = self._answer(message, Outcome.DONE, data=self._atr)
        return [Power.RESET if was_on else Power.ON, atr]

    def _power_off(self, message: Message) -> list[Effect]:
        if message.data:
            return [self._failed(message, Error.LENGTH)]
        was_on = self._powered
        self._power_down()
        done = self._answer(message, Outcome.DONE)
        return [Power.OFF, done] if was_on else [done]

    def _slot_status(self, message: Message) -> list[Effect]:
        if message.data:
            return [self._failed(message, Error.LENGTH)]
        told = self._answer(message, Outcome.DONE)
        return [told, *self._release()]

    def _transfer(self, message: Message) -> list[Effect]:
        if not self._powered:
            return [self._failed(message, Error.MUTE)]
        level = int.from_bytes(message.own[1:], "little")
        if level not in _LEVELS or not (self._apdus or level == Level.WHOLE):
            return [self._failed(message, Error.LEVEL)]
        if level == Level.NEXT:
            return self._send_rest(message)
        if level in _BEGINS:
            self._command.clear()
        elif not self._chaining:
            return [self._failed(message, Error.LEVEL)]
        self._rest = b""
        self._chaining = level not in _ENDS
        self._command += message.data
        if len(self._command) > LONGEST_COMMAND or not (self._command or self._chaining):
            self._command.clear()
            self._chaining = False
            return [self._failed(message, Error.LENGTH)]
        if self._chaining:
            return [self._answer(message, Outcome.DONE, last=Level.NEXT)]
        command = bytes(self._command)
        self._command.clear()
        return self._to_card(message, command)

    def _to_card(self, message: Message, command: bytes) -> list[Effect]:
        if not self._apdus and (held := self._t0.held(command)) is not None:
            return self._send(message, held)
        self._waiting = message
        return [Apdu(command)]

    def _send_rest(self, message: Message) -> list[Effect]:
        if message.data:
            return [self._failed(message, Error.LENGTH)]
        if not self._rest:
            return [self._failed(message, Error.LEVEL)]
        return self._send(message, self._rest, begins=False)

    def _send(self, message: Message, response: bytes, begins: bool = True) -> list[Effect]:
        part = response[: self.longest - HEADER_BYTES]
        self._rest = response[len(part) :]
        if self._rest:
            level = Level.FIRST if begins else Level.MIDDLE
        else:
            level = Level.WHOLE if begins else Level.LAST
        return [self._answer(message, Outcome.DONE, last=level, data=part)]

    def _get_parameters(self, message: Message) -> list[Effect]:
        if message.data:
            return [self._failed(message, Error.LENGTH)]
        if self._atr is None:
            return [self._failed(message, Error.MUTE)]
        if message.type == Request.RESET_PARAMETERS:
            self._parameters = self.presentation.parameters
        return [self._said_parameters(message)]

    def _set_parameters(self, message: Message) -> list[Effect]:
        if self._atr is None:
            return [self._failed(message, Error.MUTE)]
        if message.own[0] != self.presentation.protocol:
            return [self._failed(message, Error.FIRST_OWN)]
        if len(message.data) != len(self._parameters):
            return [self._failed(message, Error.LENGTH)]
        self._parameters = message.data
        return [self._said_parameters(message)]

    def _said_parameters(self, message: Message) -> Effect:
        protocol = self.presentation.protocol
        return self._answer(message, Outcome.DONE, last=protocol, data=self._parameters)

    def _clock(self, message: Message) -> list[Effect]:
        if message.data:
            return [self._failed(message, Error.LENGTH)]
        if message.own[0] not in CLOCK_COMMANDS:
            return [self._failed(message, Error.FIRST_OWN)]
        self._clock_stopped = bool(message.own[0])
        return [self._answer(message, Outcome.DONE)]

    def _abort(self) -> list[Effect]:
        """End what runs, once both the control request and its message have come."""
        said = self._abort_said
        if said is None or said.seq != self._abort_asked:
            return []
        self._abort_asked = self._abort_said = None
        self._command.clear()
        self._chaining = False
        self._rest = b""
        withdrawn = self._waiting is not None
        self._waiting = None
        done = self._answer(said, Outcome.DONE)
        return [Order.WITHDRAW, done] if withdrawn else [done]

    def _release(self) -> list[Effect]:
        """The computer has seen an empty slot: a card that waits for that goes in."""
        if self._atr is not None or not self._removal_unseen:
            return []
        self._removal_unseen = False
        return self._enter_next()

    def _enter_next(self) -> list[Effect]:
        if self._next_atr is None:
            return []
        self._atr, self._next_atr = self._next_atr, None
        return [Order.NOTIFY]

    def _failed(self, message: Message, error: Error) -> Effect:
        return self._answer(message, Outcome.FAILED, error)

    def _answer(
        self,
        message: Message,
        outcome: Outcome,
        error: int = 0,
        *,
        last: int | None = None,
        data: bytes = b"",
        status: CardStatus | None = None,
    ) -> Effect:
        kind = ANSWERED_WITH.get(message.type, Answer.SLOT_STATUS)
        if last is None:  # of an answer without a tenth byte of its own, zero
            last = int(self._clock_stopped) if kind == Answer.SLOT_STATUS else 0
        shown = self._status() if status is None else status
        own = bytes((outcome | shown, error, last))
        return Say(Message(kind, message.slot, message.seq, own, data))

    def _status(self) -> CardStatus:
        if self._atr is None:
            return CardStatus.ABSENT
        return CardStatus.ACTIVE if self._powered else CardStatus.INACTIVE


_HANDLERS: Mapping[int, Callable[[Reader, Message], list[Effect]]] = {
    Request.POWER_ON: Reader._power_on,
    Request.POWER_OFF: Reader._power_off,
    Request.GET_SLOT_STATUS: Reader._slot_status,
    Request.TRANSFER: Reader._transfer,
    Request.GET_PARAMETERS: Reader._get_parameters,
    Request.RESET_PARAMETERS: Reader._get_parameters,
    Request.SET_PARAMETERS: Reader._set_parameters,
    Request.CLOCK: Reader._clock,
}
