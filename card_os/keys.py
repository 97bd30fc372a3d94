"""What the card asks its key service: to check passcodes, to use private keys and to read what only
the holder may. The requests of an administrator are in `administration`.

The card holds neither passcodes nor private keys. A handler that needs one yields a `KeyRequest`
and receives a `KeyResult`. Both are values, so a trace of commands, requests and results is the
complete input of the card.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol, TypeAlias

from card_os.administration import AdministrationRequest, Administrator, Changed
from card_os.uses import KeyUse


@dataclass(frozen=True, slots=True)
class PasscodeStatus:
    """Asks how many tries a passcode has left; this does not spend one."""

    request_id: bytes  # 16 random bytes, the idempotency key
    key_ref: int  # 80 PIN, 81 PUK


@dataclass(frozen=True, slots=True)
class VerifyPasscode:
    """Asks whether `passcode` is right; a wrong one spends a try."""

    request_id: bytes
    key_ref: int
    passcode: bytes = field(repr=False)  # without the padding of the APDU


@dataclass(frozen=True, slots=True)
class ChangePasscode:
    """Replaces `old` by `new` if `old` is right; otherwise spends a try of `key_ref`."""

    request_id: bytes
    key_ref: int
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResetPasscode:
    """Sets the PIN to `new` and restores its tries if `puk` is right; otherwise spends a try of the
    PUK.
    """

    request_id: bytes
    key_ref: int  # the PIN's reference; the PUK is 81
    puk: bytes = field(repr=False)
    new: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UseKey:
    """Asks for one use of a private key; the result comes after the holder's approval.

    Key 04 needs no approval, because it only agrees on session keys.
    """

    request_id: bytes
    use: KeyUse
    key_ref: int
    algorithm: int  # PIV algorithm identifier (SP 800-78-5, table 9)
    input: bytes
    """SIGN: a digest (ECC), padded block (RSA) or message (Ed25519); DECRYPT: a cryptogram; AGREE:
    a point."""
    proof: bytes = field(default=b"", repr=False)
    """The proof from `Verified`; empty if the key needs no passcode."""


@dataclass(frozen=True, slots=True)
class ReadObject:
    """Asks for the contents of a data object that the card's image does not hold, because they are
    given out only to somebody who has verified the PIN.
    """

    proof: bytes = field(repr=False)  # of `Verified`
    tag: int


class ApplicationRequest:
    """A request of an application's own type, for a key service that knows it. The application
    decides which results it accepts.
    """

    __slots__ = ()

    name: str
    """The name in traces: lower-case letters, digits, hyphens and dots."""

    def told(self) -> tuple[bytes, ...]:
        """The values that traces show of the request; none by default. They must not be secret."""
        return ()


@dataclass(frozen=True, slots=True)
class Verified:
    """The passcode was right. Each later `UseKey` or `ReadObject` must carry `proof` until a reset.

    After a command with the PUK it can be empty; earlier proofs then hold or end as the key service
    decides.
    """

    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TriesLeft:
    """The passcode was wrong, or its status was asked; 0 `tries` means blocked."""

    tries: int
    most: int = 3  # after the right passcode
    factory: bool = False  # whether the passcode still has its factory value


class Refusal(Enum):
    """Why there is no result. A refusal is a value; a key service raises only for bugs."""

    DENIED = auto()  # by the holder or by policy; also for a wrong answer to a challenge
    EXPIRED = auto()  # nobody decided in time
    CANCELLED = auto()  # withdrawn by the workstation
    MALFORMED = auto()  # the keystore does not accept the input: padding, point, passcode format
    PASSCODE_NEEDED = auto()  # a proof is too old or spent; the holder was not asked
    UNKNOWN_KEY = auto()  # no such key, reference data or data object
    FULL = auto()  # there is no room for what is to be stored
    UNAVAILABLE = auto()  # the keystore is out of reach or failed


PasscodeRequest: TypeAlias = PasscodeStatus | VerifyPasscode | ChangePasscode | ResetPasscode
KeyRequest: TypeAlias = (
    PasscodeRequest | UseKey | ReadObject | AdministrationRequest | ApplicationRequest
)
KeyResult: TypeAlias = bytes | Verified | TriesLeft | Administrator | Changed | Refusal
Exchange: TypeAlias = Generator[KeyRequest, KeyResult, bytes]


class KeyService(Protocol):
    """Performs key requests. Refusals are results; only bugs raise."""

    def perform(self, request: KeyRequest) -> KeyResult: ...


def advance(exchange: Exchange, result: KeyResult | None = None) -> KeyRequest | bytes:
    """Send an exchange the result for which it waits, or start it if there is no result.

    Returns the next request, or the response that ends the exchange.
    """
    try:
        return next(exchange) if result is None else exchange.send(result)
    except StopIteration as done:
        response: bytes = done.value
        return response


def drive(exchange: Exchange, perform: Callable[[KeyRequest], KeyResult]) -> bytes:
    """Run an exchange to its end and return the response; `perform` answers each request."""
    try:
        request = next(exchange)
        while True:
            request = exchange.send(perform(request))
    except StopIteration as done:
        response: bytes = done.value
        return response
