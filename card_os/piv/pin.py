"""VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (SP 800-73-5 part 2, 3.2.1 to 3.2.3).

The card knows no passcode: it checks the format and asks the key service. A malformed passcode
spends no try.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeAlias

from card_os.apdu import Command
from card_os.dispatch import Reply
from card_os.keys import (
    ChangePasscode,
    Exchange,
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    Verified,
    VerifyPasscode,
)
from card_os.piv.context import Context
from card_os.piv.names import KeyRef
from card_os.piv.refusals import refused, unexpected
from card_os.piv.rules import is_pin
from card_os.piv.security_status import Verification
from card_os.piv.sizes import PASSCODE_BYTES, PASSCODE_PADDING
from card_os.status import SW, CardError, retries_left

Passcode: TypeAlias = Generator[KeyRequest, KeyResult, bytes]

PINS = (KeyRef.PIN, KeyRef.GLOBAL_PIN)


@dataclass(frozen=True, slots=True)
class AskStatus:
    """VERIFY without data asks whether the PIN is verified, or how many tries are left."""

    key_ref: KeyRef


@dataclass(frozen=True, slots=True)
class Logout:
    """VERIFY with P1=FF ends the verification of the PIN."""

    key_ref: KeyRef


@dataclass(frozen=True, slots=True)
class Verify:
    """VERIFY with a PIN, padded."""

    key_ref: KeyRef
    padded: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> VerifyCommand:
        """Raises 6A86 for a wrong P1, 6A88 for an unknown P2, and 6700 for a logout with data."""
        if command.p1 not in (0x00, 0xFF):
            raise CardError(SW.INCORRECT_P1P2)
        if command.p2 not in PINS:
            raise CardError(SW.REFERENCE_DATA_NOT_FOUND)
        key_ref = KeyRef(command.p2)
        if command.p1 == 0xFF:
            if command.data:
                raise CardError(SW.WRONG_LENGTH)
            return Logout(key_ref)
        return cls(key_ref, command.data) if command.data else AskStatus(key_ref)


VerifyCommand: TypeAlias = AskStatus | Logout | Verify


@dataclass(frozen=True, slots=True)
class ChangeReferenceData:
    """CHANGE REFERENCE DATA of a PIN or the PUK, padded."""

    key_ref: KeyRef
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> ChangeReferenceData:
        """Raises 6A86 for a wrong P1, and 6A88 for an unknown P2."""
        _check_p1_p2(command, *PINS, KeyRef.PUK)
        return cls(KeyRef(command.p2), *_halves(command.data))


@dataclass(frozen=True, slots=True)
class ResetRetryCounter:
    """RESET RETRY COUNTER: the PUK sets a new PIN, padded."""

    puk: bytes = field(repr=False)
    new: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> ResetRetryCounter:
        """Raises 6A86 for a wrong P1, and 6A88 for an unknown P2."""
        _check_p1_p2(command, KeyRef.PIN)
        return cls(*_halves(command.data))


def verify(context: Context, command: VerifyCommand) -> Reply:
    """Check a PIN, report its status, or end its verification.

    Raises 6A88 for a PIN that the card does not have, 6A80 for a malformed PIN, 63CX for a wrong
    one, 6983 for a blocked one, and for a refusal the status word in `refusals`.
    """
    _check_has(context, command.key_ref)
    match command:
        case Logout(key_ref):
            context.security = context.security.without_verified(key_ref)
            return b""
        case AskStatus(key_ref):
            return b"" if key_ref in context.security.verified else _ask_status(context, key_ref)
        case Verify():
            return _verify(context, command)


def change_reference_data(context: Context, command: ChangeReferenceData) -> Exchange:
    """Ask for a change of a PIN or the PUK; afterwards a changed PIN is verified.

    Raises the same errors as `verify`.
    """
    key_ref = command.key_ref
    _check_has(context, key_ref)
    form = _puk if key_ref == KeyRef.PUK else _pin
    old = yield from form(context, key_ref, command.old)
    new = yield from form(context, key_ref, command.new)
    result = yield ChangePasscode(context.request_id(), key_ref, old, new)
    proof = _proof(context, key_ref, result)
    context.security = context.security.with_proof(proof)
    if key_ref in PINS:
        context.security = context.security.with_verified(key_ref, Verification(proof))
    return b""


def reset_retry_counter(context: Context, command: ResetRetryCounter) -> Exchange:
    """Ask for a new PIN by means of the PUK; whether the PIN is verified does not change.

    Raises the same errors as `verify`, for the PUK.
    """
    puk = yield from _puk(context, KeyRef.PUK, command.puk)
    new = yield from _pin(context, KeyRef.PUK, command.new)
    result = yield ResetPasscode(context.request_id(), KeyRef.PIN, puk, new)
    context.security = context.security.with_proof(_proof(context, KeyRef.PIN, result))
    return b""


def _ask_status(context: Context, key_ref: KeyRef) -> Exchange:
    result = yield PasscodeStatus(context.request_id(), key_ref)
    _proof(context, key_ref, result)  # raises for every valid answer
    raise unexpected(result)


def _verify(context: Context, command: Verify) -> Exchange:
    pin = yield from _pin(context, command.key_ref, command.padded)
    result = yield VerifyPasscode(context.request_id(), command.key_ref, pin)
    verification = Verification(_proof(context, command.key_ref, result), context.number)
    context.security = context.security.with_verified(command.key_ref, verification)
    return b""


def _proof(context: Context, key_ref: KeyRef, result: KeyResult) -> bytes:
    """The proof of a right passcode; a wrong one ends the verification of the PIN `key_ref`.

    Raises 63CX or 6983 for a wrong passcode, and for a refusal the status word in `refusals`.
    """
    match result:
        case Verified(proof):
            return proof
        case TriesLeft(tries):
            context.security = context.security.without_verified(key_ref)
            raise CardError(retries_left(tries) if tries > 0 else SW.AUTHENTICATION_METHOD_BLOCKED)
        case Refusal() if result is not Refusal.PASSCODE_NEEDED:
            raise refused(result, SW.REFERENCE_DATA_NOT_FOUND)
        case _:
            raise unexpected(result)


def _check_p1_p2(command: Command, *key_refs: KeyRef) -> None:
    if command.p1 != 0x00:
        raise CardError(SW.INCORRECT_P1P2)
    if command.p2 not in key_refs:
        raise CardError(SW.REFERENCE_DATA_NOT_FOUND)


def _check_has(context: Context, key_ref: KeyRef) -> None:
    if key_ref == KeyRef.GLOBAL_PIN and not context.image.accepts_global_pin:
        raise CardError(SW.REFERENCE_DATA_NOT_FOUND)


def _halves(data: bytes) -> tuple[bytes, bytes]:
    return data[:PASSCODE_BYTES], data[PASSCODE_BYTES:]


def _pin(context: Context, counted: KeyRef, padded: bytes) -> Passcode:
    """A PIN without its padding: 6 to 8 ASCII digits (part 2, 2.4.3).

    Yubico's tools block a card with PINs that are only padding. With the extensions a malformed PIN
    is therefore compared and spends a try, which the standard allows too (part 2, 3.2.1.1). The key
    service then refuses a malformed new one, after it has compared the old one.
    """
    pin = padded.rstrip(PASSCODE_PADDING)
    compared = is_pin(pin) or context.image.features.extensions
    if len(padded) == PASSCODE_BYTES and compared:
        return pin
    raise (yield from _malformed(context, counted))


def _puk(context: Context, counted: KeyRef, puk: bytes) -> Passcode:
    """A PUK: any eight bytes (part 2, 2.4.3)."""
    if len(puk) == PASSCODE_BYTES:
        return puk
    raise (yield from _malformed(context, counted))


def _malformed(context: Context, counted: KeyRef) -> Generator[KeyRequest, KeyResult, CardError]:
    """The error for a malformed passcode, which spends no try: 6983 if the passcode `counted` is
    blocked, else 6A80.
    """
    result = yield PasscodeStatus(context.request_id(), counted)
    if isinstance(result, TriesLeft) and result.tries == 0:
        return CardError(SW.AUTHENTICATION_METHOD_BLOCKED)
    return CardError(SW.WRONG_DATA, "no passcode")
