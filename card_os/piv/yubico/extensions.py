"""Instructions of Yubico's tools by which an administrator changes the card, and ATTEST."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from card_os import data_objects
from card_os.administration import (
    AttestKey,
    MoveKey,
    ResetCard,
    SetManagementKey,
    SetTries,
)
from card_os.apdu import Command
from card_os.keys import Exchange, Refusal
from card_os.piv import administrator
from card_os.piv.algorithms import MANAGEMENT_KEY_BYTES
from card_os.piv.context import Context
from card_os.piv.names import CERTIFICATE_OF_KEY, KeyRef
from card_os.piv.refusals import refused, unexpected
from card_os.piv.security_status import SecurityStatus
from card_os.piv.yubico.metadata import NoParameters
from card_os.status import SW, CardError

NOWHERE = 0xFF  # as a destination: the key is erased
TOUCHED = (0xFF, 0xFE)  # P2 of SET MANAGEMENT KEY: without and with a touch at each use


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE KEY; without a destination it erases the key."""

    source: int
    destination: int | None

    @classmethod
    def parse(cls, command: Command) -> Move:
        """Raises 6A86 if P1 or P2 is not an asymmetric key, and 6700 if there is data."""
        destination, source = command.p1, command.p2
        if source not in CERTIFICATE_OF_KEY or destination not in (*CERTIFICATE_OF_KEY, NOWHERE):
            raise CardError(SW.INCORRECT_P1P2)
        if command.data:
            raise CardError(SW.WRONG_LENGTH)
        return cls(source, None if destination == NOWHERE else destination)


@dataclass(frozen=True, slots=True)
class Attest:
    """ATTEST a key."""

    key_ref: int

    @classmethod
    def parse(cls, command: Command) -> Attest:
        """Raises 6A86 if P1 is not an asymmetric key or P2 is wrong, and 6700 if there is data."""
        if command.p1 not in CERTIFICATE_OF_KEY or command.p2 != 0x00:
            raise CardError(SW.INCORRECT_P1P2)
        if command.data:
            raise CardError(SW.WRONG_LENGTH)
        return cls(command.p1)


@dataclass(frozen=True, slots=True)
class SetRetries:
    """SET PIN RETRIES, which sets the tries of the PUK too."""

    pin_tries: int
    puk_tries: int

    @classmethod
    def parse(cls, command: Command) -> SetRetries:
        """Raises 6A86 if either number of tries is zero, and 6700 if there is data."""
        if not (command.p1 and command.p2):
            raise CardError(SW.INCORRECT_P1P2)
        if command.data:
            raise CardError(SW.WRONG_LENGTH)
        return cls(command.p1, command.p2)


@dataclass(frozen=True, slots=True)
class SetKey:
    """SET MANAGEMENT KEY. Its touch policy is ignored, because nobody can touch this card."""

    data: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> SetKey:
        """Raises 6A86 for wrong P1-P2."""
        if command.p1 != 0xFF or command.p2 not in TOUCHED:
            raise CardError(SW.INCORRECT_P1P2)
        return cls(command.data)

    def content(self) -> tuple[int, bytes]:
        """Algorithm and key. Raises 6A80 if the data is malformed or the key's length is wrong."""
        algorithm, coded = self.data[:1], self.data[1:]
        key = data_objects.parse_one(KeyRef.MANAGEMENT, coded)
        if MANAGEMENT_KEY_BYTES.get(algorithm[0]) != len(key):
            raise CardError(SW.WRONG_DATA, "no such algorithm, or key of another length")
        return algorithm[0], key


def move_key(context: Context, command: Move) -> Exchange:
    """Ask for a key to be moved or erased.

    Raises 6982 unless the administrator is authenticated, 6A88 if there is no such key, and 6985 if
    the destination has a key already. Each key reference can have a key of any algorithm.
    """
    proof = administrator.proof(context)
    keys, destination = context.image.keys, command.destination
    if command.source not in keys:
        raise CardError(SW.REFERENCE_DATA_NOT_FOUND)
    if destination in keys:
        raise CardError(SW.CONDITIONS_NOT_SATISFIED, "there is a key already")
    request = MoveKey(proof, command.source, destination)
    yield from administrator.change(context, request, SW.REFERENCE_DATA_NOT_FOUND)
    return b""


def attest(context: Context, command: Attest) -> Exchange:
    """Ask for a certificate which states that the keystore made a key.

    Raises 6A82 if there is no such key, and 6A80 if it was imported or the key service attests
    nothing, as YubiKeys do.
    """
    key = context.image.keys.get(command.key_ref)
    if key is None:
        raise CardError(SW.NOT_FOUND)
    if key.imported:
        raise CardError(SW.WRONG_DATA, "made elsewhere")
    result = yield AttestKey(command.key_ref)
    match result:
        case bytes():
            return result
        case Refusal.DENIED:
            raise CardError(SW.WRONG_DATA, "not attested")
        case Refusal():
            raise refused(result, SW.NOT_FOUND)
        case _:
            raise unexpected(result)


def set_tries(context: Context, command: SetRetries) -> Exchange:
    """Ask for new numbers of tries, which also resets PIN and PUK to their factory values.

    No PIN is verified afterwards. Raises 6982 unless the administrator is authenticated and the PIN
    is verified, and 6A86 if there are too many tries.
    """
    proof = administrator.proof(context)
    verification = context.security.verified.get(KeyRef.PIN)
    if verification is None:
        raise CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "PIN is not verified")
    # The PIN is forgotten first: if a proof is refused, the card does not learn which of the two.
    context.security = context.security.without_verified(*context.security.verified)
    request = SetTries(proof, verification.proof, command.pin_tries, command.puk_tries)
    refused_as = SW.INCORRECT_P1P2
    yield from administrator.change(context, request, SW.REFERENCE_DATA_NOT_FOUND, refused_as)
    return b""


def reset(context: Context, command: NoParameters) -> Exchange:
    """Ask for the factory state. Raises 6985 unless both PIN and PUK are blocked."""
    del command
    yield from administrator.change(context, ResetCard(), SW.REFERENCE_DATA_NOT_FOUND)
    context.security = SecurityStatus()
    return b""


def set_management_key(context: Context, command: SetKey) -> Exchange:
    """Ask for another management key; the administrator stays authenticated.

    Raises 6982 unless the administrator is authenticated, and 6A80 for a malformed key.
    """
    proof = administrator.proof(context)
    algorithm, key = command.content()
    # An authentication that began with the previous key cannot be completed.
    context.security = replace(context.security, awaited=None)
    request = SetManagementKey(proof, algorithm, key)
    yield from administrator.change(context, request, SW.REFERENCE_DATA_NOT_FOUND)
    return b""
