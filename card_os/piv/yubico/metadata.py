"""Instructions of Yubico's tools that read version, serial number and metadata of keys and
passcodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from card_os import tlv
from card_os.apdu import Command
from card_os.dispatch import Reply
from card_os.keys import Exchange, PasscodeStatus, Refusal, TriesLeft
from card_os.piv import access
from card_os.piv.access import Rule
from card_os.piv.context import Context
from card_os.piv.names import CERTIFICATE_OF_KEY, KeyRef
from card_os.piv.refusals import refused, unexpected
from card_os.status import SW, CardError
from card_os.uses import PinPolicy, TouchPolicy

VERSION = bytes((5, 7, 0))  # the lowest with which the tools use every instruction of this card
SERIAL_DIGITS = 9  # what fits into four bytes
SERIAL_BYTES = 4

# Data objects of GET METADATA
ALGORITHM, POLICIES, ORIGIN, PUBLIC, FACTORY, RETRIES = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
MADE_HERE, IMPORTED = b"\x01", b"\x02"
PASSCODE = b"\xff"  # the algorithm of a passcode

POLICY_OF_RULE: Mapping[Rule, PinPolicy] = {
    rule: policy for policy, rule in access.POLICY_RULES.items()
}


@dataclass(frozen=True, slots=True)
class NoParameters:
    """A command that has neither parameters nor data."""

    @classmethod
    def parse(cls, command: Command) -> NoParameters:
        """Raises 6A86 for wrong P1-P2, and 6700 if there is data."""
        if (command.p1, command.p2) != (0x00, 0x00):
            raise CardError(SW.INCORRECT_P1P2)
        if command.data:
            raise CardError(SW.WRONG_LENGTH)
        return cls()


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GET METADATA of a key or a passcode."""

    key_ref: int

    @classmethod
    def parse(cls, command: Command) -> GetMetadata:
        """Raises 6A86 for a wrong P1, and 6700 if there is data."""
        if command.p1 != 0x00:
            raise CardError(SW.INCORRECT_P1P2)
        if command.data:
            raise CardError(SW.WRONG_LENGTH)
        return cls(command.p2)


def get_version(context: Context, command: NoParameters) -> bytes:
    """The version that the card reports to Yubico's tools."""
    del context, command
    return VERSION


def get_serial(context: Context, command: NoParameters) -> bytes:
    """The card's short serial number, in four bytes."""
    del command
    return short_serial(context.image.serial).to_bytes(SERIAL_BYTES)


def short_serial(serial: str) -> int:
    """The last nine digits of a card's serial number: what Yubico's tools know of it."""
    digits = "".join(char for char in serial if char in "0123456789")
    return int(digits[-SERIAL_DIGITS:] or "0")


def get_metadata(context: Context, command: GetMetadata) -> Reply:
    """The metadata of a key or passcode. Raises 6A88 if the card does not have it."""
    match command.key_ref:
        case KeyRef.PIN | KeyRef.PUK:
            return _of_passcode(context, command.key_ref)
        case KeyRef.MANAGEMENT:
            return _of_management_key(context)
        case _:
            return _of_key(context, command.key_ref)


def _of_passcode(context: Context, key_ref: int) -> Exchange:
    result = yield PasscodeStatus(context.request_id(), key_ref)
    match result:
        case TriesLeft(tries, most, factory):
            return (
                tlv.encode(ALGORITHM, PASSCODE)
                + tlv.encode(FACTORY, bytes((factory,)))
                + tlv.encode(RETRIES, bytes((min(most, 0xFF), min(tries, 0xFF))))
            )
        case Refusal() if result is not Refusal.PASSCODE_NEEDED:
            raise refused(result, SW.REFERENCE_DATA_NOT_FOUND)
        case _:
            raise unexpected(result)


def _of_management_key(context: Context) -> bytes:
    algorithm = context.image.features.management_algorithm
    if algorithm is None:
        raise CardError(SW.REFERENCE_DATA_NOT_FOUND)
    return (
        tlv.encode(ALGORITHM, bytes((algorithm,)))
        + tlv.encode(POLICIES, bytes((PinPolicy.DEFAULT, TouchPolicy.NEVER)))
        + tlv.encode(FACTORY, bytes((context.image.factory_management_key,)))
    )


def _of_key(context: Context, key_ref: int) -> bytes:
    key = context.image.keys.get(key_ref)
    if key is None or key_ref not in CERTIFICATE_OF_KEY:
        raise CardError(SW.REFERENCE_DATA_NOT_FOUND)
    pin_policy = POLICY_OF_RULE[access.key_rule(key_ref, key, extensions=True)]
    touch_policy = key.touch_policy or TouchPolicy.NEVER
    return (
        tlv.encode(ALGORITHM, bytes((key.algorithm,)))
        + tlv.encode(POLICIES, bytes((pin_policy, touch_policy)))
        + tlv.encode(ORIGIN, IMPORTED if key.imported else MADE_HERE)
        + (tlv.encode(PUBLIC, key.public) if key.public else b"")
    )
