"""The PIV card application (SP 800-73-5 part 2): all its commands on one screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from card_os import atr, tlv
from card_os.apdu import Command
from card_os.card import Card
from card_os.piv import crypto, objects, pin
from card_os.piv.context import Context, Random, Reply, Shared
from card_os.piv.crypto import GeneralAuthenticate
from card_os.piv.image import CardImage
from card_os.piv.names import AID, Ins
from card_os.piv.objects import GetData
from card_os.piv.pin import ChangeReferenceData, ResetRetryCounter, Verify
from card_os.piv.session import Session
from card_os.status import SW, CardError

Parsed = TypeVar("Parsed")
Handler: TypeAlias = Callable[[Context, Command], Reply]

RID = AID[:5]
PIX = AID[5:]

# 4F with the PIX and 79 with the RID: the form that every client accepts (part 2, 3.1.1).
PROPERTY_TEMPLATE = tlv.encode(0x61, tlv.encode(0x4F, PIX), tlv.encode(0x79, tlv.encode(0x4F, RID)))


def _row(parse: Callable[[Command], Parsed], handle: Callable[[Context, Parsed], Reply]) -> Handler:
    return lambda context, command: handle(context, parse(command))


HANDLERS: Mapping[int, Handler] = {
    Ins.VERIFY: _row(Verify.parse, pin.verify),
    Ins.CHANGE_REFERENCE_DATA: _row(ChangeReferenceData.parse, pin.change_reference_data),
    Ins.RESET_RETRY_COUNTER: _row(ResetRetryCounter.parse, pin.reset_retry_counter),
    Ins.GENERAL_AUTHENTICATE: _row(GeneralAuthenticate.parse, crypto.general_authenticate),
    Ins.GET_DATA: _row(GetData.parse, objects.get_data),
}

# Part 2, table 2; VERIFY and CHANGE REFERENCE DATA only where fingers can be compared on the card.
CHAINED = (Ins.GENERAL_AUTHENTICATE,)


class PivApplication:
    """The application of one card; `random` makes the ids of its key requests."""

    aid = AID

    def __init__(self, image: CardImage, random: Random) -> None:
        self._context = Context(Shared(image), random, Session())
        self._before = self._context.session

    def reset(self) -> None:
        """Forget the security status."""
        self._context.session = Session()

    def begin(self) -> None:
        """Start a command, to whose beginning `roll_back` goes back."""
        self._before = self._context.session

    def roll_back(self) -> None:
        """Take back what has happened to the security status since `begin`."""
        self._context.session = self._before

    def select(self) -> bytes:
        """The application property template."""
        return PROPERTY_TEMPLATE

    def can_chain(self, ins: int) -> bool:
        """Whether a command may come in parts; raises 6D00 for an unknown instruction."""
        _handler(ins)
        return ins in CHAINED

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it."""
        self._context.number = number
        return _handler(command.ins)(self._context, command)


def new_card(image: CardImage, random: Random) -> Card:
    """A card with the PIV application alone."""
    return Card([PivApplication(image, random)], atr.for_application(AID[:-2]))


def _handler(ins: int) -> Handler:
    handler = HANDLERS.get(ins)
    if handler is None:
        raise CardError(SW.INS_NOT_SUPPORTED)
    return handler
