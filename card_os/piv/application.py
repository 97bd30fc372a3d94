"""The PIV card application (SP 800-73-5 part 2): all its commands on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from card_os import atr
from card_os.apdu import Command
from card_os.application import Application, Random
from card_os.card import Card
from card_os.dispatch import Reply, Row, Table, row
from card_os.piv import administrator, crypto, establishment, generation, objects, pin, template
from card_os.piv.algorithms import INTEROPERABLE
from card_os.piv.context import Context, Shared
from card_os.piv.crypto import GeneralAuthenticate
from card_os.piv.generation import GenerateKeyPair
from card_os.piv.image import CardImage
from card_os.piv.names import AID, Extension, Ins, KeyRef
from card_os.piv.objects import GetData, PutData
from card_os.piv.pin import ChangeReferenceData, ResetRetryCounter, Verify
from card_os.piv.secrets import SECRETS
from card_os.piv.security_status import SecurityStatus
from card_os.piv.yubico import extensions, importing, metadata
from card_os.piv.yubico.extensions import Attest, Move, SetKey, SetRetries
from card_os.piv.yubico.importing import ImportPrivateKey
from card_os.piv.yubico.metadata import GetMetadata, NoParameters
from card_os.protection import ProtectedSelection
from card_os.status import SW, CardError


def _general_authenticate(context: Context, command: GeneralAuthenticate) -> Reply:
    """Key 04 establishes session keys, and key 9B authenticates; all others share one handler."""
    match command.key_ref:
        case KeyRef.SECURE_MESSAGING:
            return establishment.establish(context, command)
        case KeyRef.MANAGEMENT:
            return administrator.authenticate(context, command.algorithm, command.template)
        case _:
            return crypto.general_authenticate(context, command)


# Chained: part 2, table 2. VERIFY and CHANGE REFERENCE DATA are chained only for fingerprint
# comparison, which this card does not have. Protected: part 2, 4.2.
HANDLERS: Mapping[int, Row[Context]] = {
    Ins.VERIFY: row(Verify.parse, pin.verify, protected=True),
    Ins.CHANGE_REFERENCE_DATA: row(
        ChangeReferenceData.parse, pin.change_reference_data, protected=True
    ),
    Ins.RESET_RETRY_COUNTER: row(ResetRetryCounter.parse, pin.reset_retry_counter),
    Ins.GENERAL_AUTHENTICATE: row(
        GeneralAuthenticate.parse, _general_authenticate, chained=True, protected=True
    ),
    Ins.GET_DATA: row(GetData.parse, objects.get_data, protected=True),
    Ins.PUT_DATA: row(PutData.parse, objects.put_data, chained=True),
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR: row(
        GenerateKeyPair.parse, generation.generate_key_pair, chained=True
    ),
}

# For cards whose profile has the extensions.
EXTENSIONS: Mapping[int, Row[Context]] = {
    Extension.MOVE_KEY: row(Move.parse, extensions.move_key),
    Extension.GET_METADATA: row(GetMetadata.parse, metadata.get_metadata),
    Extension.GET_SERIAL: row(NoParameters.parse, metadata.get_serial),
    Extension.ATTEST: row(Attest.parse, extensions.attest),
    Extension.SET_TRIES: row(SetRetries.parse, extensions.set_tries),
    Extension.RESET: row(NoParameters.parse, extensions.reset),
    Extension.GET_VERSION: row(NoParameters.parse, metadata.get_version),
    Extension.IMPORT_KEY: row(ImportPrivateKey.parse, importing.import_key, chained=True),
    Extension.SET_MANAGEMENT_KEY: row(SetKey.parse, extensions.set_management_key),
}

PLAIN = Table(HANDLERS)
EXTENDED = Table({**HANDLERS, **EXTENSIONS})


class PivSelection(ProtectedSelection[Context]):
    """The application on one channel. A roll-back restores the security status, nothing else."""

    def __init__(self, context: Context) -> None:
        super().__init__(EXTENDED if context.image.features.extensions else PLAIN, context)
        self._security = context.security

    def begin(self) -> None:
        """Start a command: save the security status to which `roll_back` returns."""
        self._security = self.state.security

    def roll_back(self) -> None:
        """Undo every change of the security status since `begin`.

        A challenge stays spent: it can be answered only once.
        """
        self.state.security = replace(self._security, awaited=None)

    def duplicate(self) -> PivSelection:
        """A selection for another channel with the same security status, but no open challenge."""
        context = self.state
        status = replace(context.security, awaited=None)
        return PivSelection(Context(context.shared, context.random, status))

    def check_protection(self, header: Command) -> None:
        """Raise 6882 if the card has no secure messaging, or the command does not accept it."""
        super().check_protection(header)
        if establishment.suite_of(self.state.image) is None:
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "the card has no key for it")
        if header.ins == Ins.GENERAL_AUTHENTICATE and header.p2 == KeyRef.SECURE_MESSAGING:
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "not while it is established")

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it."""
        self.state.number = number
        return super().process(command, number)


class PivApplication(Application):
    """The PIV application of one card; `random` makes nonces and identifiers of key requests."""

    aid = AID
    secrets = SECRETS

    def __init__(self, image: CardImage, random: Random) -> None:
        self._shared = Shared(image)
        self._random = random

    def template(self) -> bytes:
        """The application property template."""
        return template.of_card(self._shared.image)

    def open(self) -> PivSelection:
        """Select the application on a channel."""
        return PivSelection(Context(self._shared, self._random, SecurityStatus()))


def new_card(image: CardImage, random: Random) -> Card:
    """A card with the PIV application only.

    A plain card has an ATR that names the application, and OpenSC then omits SELECT. A card with
    secure messaging, or with algorithms that not every client knows, has a generic ATR: clients
    must read SELECT's response and must not take it for a card type that they know.
    """
    plain = image.algorithms <= INTEROPERABLE and establishment.suite_of(image) is None
    return Card(
        [PivApplication(image, random)], atr.for_application(AID[:-2]) if plain else atr.generic()
    )
