"""The PIV card application (SP 800-73-5 part 2): all its commands on one screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from card_os import atr
from card_os.apdu import Command
from card_os.card import Card
from card_os.keys import Exchange
from card_os.piv import (
    administrator,
    crypto,
    establishment,
    extensions,
    generation,
    importing,
    metadata,
    objects,
    pin,
    template,
)
from card_os.piv.algorithms import INTEROPERABLE
from card_os.piv.context import Context, Random, Reply, Shared
from card_os.piv.crypto import GeneralAuthenticate
from card_os.piv.extensions import Attest, Move, SetKey, SetRetries
from card_os.piv.generation import GenerateKeyPair
from card_os.piv.image import CardImage
from card_os.piv.importing import ImportPrivateKey
from card_os.piv.metadata import GetMetadata, NoParameters
from card_os.piv.names import AID, Extension, Ins, KeyRef
from card_os.piv.objects import GetData, PutData
from card_os.piv.pin import ChangeReferenceData, ResetRetryCounter, Verify
from card_os.piv.session import Session
from card_os.secure_messaging import SecureMessaging
from card_os.status import SW, CardError

Parsed = TypeVar("Parsed")
Handler: TypeAlias = Callable[[Context, Command], Reply]


@dataclass(frozen=True, slots=True)
class Row:
    """What answers an instruction."""

    parse: Callable[[Command], object]  # raises what is wrong with P1-P2 before all else
    handle: Handler


def _row(parse: Callable[[Command], Parsed], handle: Callable[[Context, Parsed], Reply]) -> Row:
    return Row(parse, lambda context, command: handle(context, parse(command)))


def _general_authenticate(context: Context, command: GeneralAuthenticate) -> Reply:
    """Keys 04 and 9B open something; the other keys are used, by rules in common."""
    match command.key_ref:
        case KeyRef.SECURE_MESSAGING:
            return establishment.establish(context, command)
        case KeyRef.MANAGEMENT:
            return administrator.authenticate(context, command.algorithm, command.template)
        case _:
            return crypto.general_authenticate(context, command)


HANDLERS: Mapping[int, Row] = {
    Ins.VERIFY: _row(Verify.parse, pin.verify),
    Ins.CHANGE_REFERENCE_DATA: _row(ChangeReferenceData.parse, pin.change_reference_data),
    Ins.RESET_RETRY_COUNTER: _row(ResetRetryCounter.parse, pin.reset_retry_counter),
    Ins.GENERAL_AUTHENTICATE: _row(GeneralAuthenticate.parse, _general_authenticate),
    Ins.GET_DATA: _row(GetData.parse, objects.get_data),
    Ins.PUT_DATA: _row(PutData.parse, objects.put_data),
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR: _row(GenerateKeyPair.parse, generation.generate_key_pair),
}

# Of cards whose profile has the extensions.
EXTENSIONS: Mapping[int, Row] = {
    Extension.MOVE_KEY: _row(Move.parse, extensions.move_key),
    Extension.GET_METADATA: _row(GetMetadata.parse, metadata.get_metadata),
    Extension.GET_SERIAL: _row(NoParameters.parse, metadata.get_serial),
    Extension.ATTEST: _row(Attest.parse, extensions.attest),
    Extension.SET_TRIES: _row(SetRetries.parse, extensions.set_tries),
    Extension.RESET: _row(NoParameters.parse, extensions.reset),
    Extension.GET_VERSION: _row(NoParameters.parse, metadata.get_version),
    Extension.IMPORT_KEY: _row(ImportPrivateKey.parse, importing.import_key),
    Extension.SET_MANAGEMENT_KEY: _row(SetKey.parse, extensions.set_management_key),
}

# Part 2, table 2; VERIFY and CHANGE REFERENCE DATA only where fingers can be compared on the card.
CHAINABLE = (
    Ins.GENERAL_AUTHENTICATE,
    Ins.PUT_DATA,
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR,
    Extension.IMPORT_KEY,
)

# Part 2, 4.2
PROTECTED = (Ins.GET_DATA, Ins.VERIFY, Ins.CHANGE_REFERENCE_DATA, Ins.GENERAL_AUTHENTICATE)

# What `parse` may say of a command whose data cannot be read.
ABOUT_HEADER = (SW.FUNCTION_NOT_SUPPORTED, SW.INCORRECT_P1P2, SW.REFERENCE_DATA_NOT_FOUND)


class PivSelection:
    """The application on one channel."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._before = context.session

    def begin(self) -> None:
        """Start a command, to whose beginning `roll_back` goes back."""
        self._before = self._context.session

    def roll_back(self) -> None:
        """Take back what has happened to the security status since `begin`.

        A challenge stays spent: it is answered once, whatever happens.
        """
        self._context.session = replace(self._before, awaited=None)

    def duplicate(self) -> PivSelection:
        """The same for another channel, with as much verified; a challenge stays here."""
        context = self._context
        session = replace(context.session, awaited=None)
        return PivSelection(Context(context.shared, context.random, session))

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """The session under which the next command may be protected."""
        return self._context.secure_messaging

    def end_secure_messaging(self) -> None:
        """Forget the session keys (part 2, 4.3)."""
        self._context.secure_messaging = None

    def check_protection(self, header: Command) -> None:
        """Raise 6882 where there is no secure messaging, and for what it is not for."""
        establishes = (
            header.ins == Ins.GENERAL_AUTHENTICATE and header.p2 == KeyRef.SECURE_MESSAGING
        )
        if (
            establishment.suite_of(self._context.image) is None
            or header.ins not in PROTECTED
            or establishes
        ):
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED)

    def check(self, header: Command) -> None:
        """Raise what is wrong with an instruction or its P1-P2."""
        try:
            self._row(header.ins).parse(replace(header, data=b"", ne=0))
        except CardError as error:
            if error.sw in (SW.INS_NOT_SUPPORTED, *ABOUT_HEADER):
                raise

    def can_chain(self, ins: int) -> bool:
        """Whether a command may come in parts; raises 6D00 for an unknown instruction."""
        self._row(ins)
        return ins in CHAINABLE

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it."""
        self._context.number = number
        return self._unwrapped(command) if command.is_secured else self._plain(command)

    def _row(self, ins: int) -> Row:
        row = HANDLERS.get(ins)
        if row is None and self._context.image.features.extensions:
            row = EXTENSIONS.get(ins)
        if row is None:
            raise CardError(SW.INS_NOT_SUPPORTED)
        return row

    def _plain(self, command: Command) -> Reply:
        return self._row(command.ins).handle(self._context, command)

    def _unwrapped(self, protected: Command) -> Exchange:
        """Process what a protected command carries, and protect what comes of it.

        The session keys are put back only with the response: whatever ends a command otherwise, an
        error of secure messaging, a bug or a reader that hangs up, leaves none (part 2, 4.3).
        """
        context = self._context
        secure, context.secure_messaging = context.secure_messaging, None
        if secure is None:
            raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "there are no session keys")
        command, secure = secure.unwrap(protected)
        sw: int = SW.OK
        try:
            reply = self._plain(command)
            data = reply if isinstance(reply, bytes) else (yield from reply)
        except CardError as error:
            data, sw = b"", error.sw
        response, context.secure_messaging = secure.wrap(data, sw)
        return response


class PivApplication:
    """The application of one card; `random` makes nonces, and the ids of its key requests."""

    aid = AID

    def __init__(self, image: CardImage, random: Random) -> None:
        self._shared = Shared(image)
        self._random = random

    def template(self) -> bytes:
        """The application property template."""
        return template.of_card(self._shared.image)

    def open(self) -> PivSelection:
        """Select it on a channel."""
        return PivSelection(Context(self._shared, self._random, Session()))


def new_card(image: CardImage, random: Random) -> Card:
    """A card with the PIV application alone.

    Its ATR names the application where OpenSC has nothing to learn from SELECT, which it then
    leaves out; a card that announces more algorithms than all clients know, or secure messaging,
    has the ATR by which no client takes it for a kind of card that it knows.
    """
    plain = image.features.algorithms <= INTEROPERABLE and establishment.suite_of(image) is None
    return Card(
        [PivApplication(image, random)], atr.for_application(AID[:-2]) if plain else atr.generic()
    )
