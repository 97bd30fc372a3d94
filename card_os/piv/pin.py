"""VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (SP 800-73-5 part 2, 3.2.1 to 3.2.3).

The card knows no passcode: it checks the format, and asks. A malformed passcode costs no try.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from card_os.apdu import Command
from card_os.keys import (
    ChangePasscode,
    Exchange,
    KeyResult,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    Verified,
    VerifyPasscode,
)
from card_os.piv.context import Context, Reply
from card_os.piv.names import KeyRef
from card_os.piv.refusals import refused, unexpected
from card_os.piv.session import Session
from card_os.status import SW, CardError, retries_left

PASSCODE_BYTES = 8  # with its padding
SHORTEST_PIN = 6
PADDING = b"\xff"


@dataclass(frozen=True, slots=True)
class AskStatus:
    """VERIFY without data: is the PIN verified, or how many tries are left?"""


@dataclass(frozen=True, slots=True)
class Logout:
    """VERIFY with P1=FF: the PIN is verified no more."""


@dataclass(frozen=True, slots=True)
class Verify:
    """VERIFY with a PIN, from which the padding has been taken."""

    pin: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> VerifyCommand:
        """Raises 6A86 for P1, 6A88 for P2, 6700 for a logout with data, 6A80 for no PIN."""
        if command.p1 not in (0x00, 0xFF):
            raise CardError(SW.INCORRECT_P1P2)
        if command.p2 != KeyRef.PIN:
            raise CardError(SW.REFERENCE_DATA_NOT_FOUND)
        if command.p1 == 0xFF:
            if command.data:
                raise CardError(SW.WRONG_LENGTH)
            return Logout()
        return cls(_pin(command.data)) if command.data else AskStatus()


VerifyCommand: TypeAlias = AskStatus | Logout | Verify


@dataclass(frozen=True, slots=True)
class ChangeReferenceData:
    """CHANGE REFERENCE DATA of PIN or PUK."""

    key_ref: KeyRef
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> ChangeReferenceData:
        """Raises 6A86 for P1, 6A88 for P2, 6A80 for no two passcodes."""
        _check_p1_p2(command, KeyRef.PIN, KeyRef.PUK)
        passcode = _pin if command.p2 == KeyRef.PIN else _puk
        old, new = command.data[:PASSCODE_BYTES], command.data[PASSCODE_BYTES:]
        return cls(KeyRef(command.p2), passcode(old), passcode(new))


@dataclass(frozen=True, slots=True)
class ResetRetryCounter:
    """RESET RETRY COUNTER: a new PIN by means of the PUK."""

    puk: bytes = field(repr=False)
    new: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> ResetRetryCounter:
        """Raises 6A86 for P1, 6A88 for P2, 6A80 for no PUK and PIN."""
        _check_p1_p2(command, KeyRef.PIN)
        return cls(_puk(command.data[:PASSCODE_BYTES]), _pin(command.data[PASSCODE_BYTES:]))


def verify(context: Context, command: VerifyCommand) -> Reply:
    """Ask whether a PIN is right, tell the status, or forget it."""
    match command:
        case Logout():
            context.session = Session()
            return b""
        case AskStatus():
            return b"" if context.session.proof is not None else _ask_status(context)
        case Verify():
            return _verify(context, command)


def change_reference_data(context: Context, command: ChangeReferenceData) -> Exchange:
    """Ask for a change of PIN or PUK; a changed PIN is a verified PIN."""
    result = yield ChangePasscode(context.request_id(), command.key_ref, command.old, command.new)
    if command.key_ref == KeyRef.PIN:
        context.session = Session(_proof(context, result))
    else:
        _renew(context, result)
    return b""


def reset_retry_counter(context: Context, command: ResetRetryCounter) -> Exchange:
    """Ask for a new PIN by PUK; that leaves the PIN as verified or not as it was."""
    result = yield ResetPasscode(context.request_id(), KeyRef.PIN, command.puk, command.new)
    _renew(context, result)
    return b""


def _ask_status(context: Context) -> Exchange:
    result = yield PasscodeStatus(context.request_id(), KeyRef.PIN)
    _proof(context, result)  # raises for every answer that there is to this question
    raise unexpected(result)


def _verify(context: Context, command: Verify) -> Exchange:
    result = yield VerifyPasscode(context.request_id(), KeyRef.PIN, command.pin)
    context.session = Session(_proof(context, result), verified_by=context.number)
    return b""


def _renew(context: Context, result: KeyResult) -> None:
    """Keep the status, but with the new proof: the keystore has dropped the one before."""
    proof = _proof(context, result)
    if context.session.proof is not None:
        context.session = replace(context.session, proof=proof)


def _proof(context: Context, result: KeyResult) -> bytes:
    """The proof of a right passcode; a wrong one ends the PIN's verification.

    Raises 63CX or 6983 for a wrong passcode, and what stands in `refusals` for a refusal.
    """
    match result:
        case Verified(proof):
            return proof
        case TriesLeft(tries):
            context.session = Session()
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


def _pin(padded: bytes) -> bytes:
    """A PIN without its padding: 6 to 8 ASCII digits (part 2, 2.4.3). Raises 6A80."""
    pin = padded.rstrip(PADDING)
    if len(padded) != PASSCODE_BYTES or len(pin) < SHORTEST_PIN or not pin.isdigit():
        raise CardError(SW.WRONG_DATA, "no PIN")
    return pin


def _puk(puk: bytes) -> bytes:
    """A PUK: any eight bytes (part 2, 2.4.3). Raises 6A80."""
    if len(puk) != PASSCODE_BYTES:
        raise CardError(SW.WRONG_DATA, "no PUK")
    return puk
