"""What the card asks of the world: the passcode's check and the use of private keys; what an
administrator changes stands in `administration`.

The card holds neither. A handler that needs one yields a `KeyRequest` and is sent a `KeyResult`;
both are values, so a trace of commands, requests and results is the whole input of the card.
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
    """Asks how many tries a passcode has left; spends none."""

    request_id: bytes  # 16 random bytes, the idempotency key
    key_ref: int  # 80 PIN, 81 PUK


@dataclass(frozen=True, slots=True)
class VerifyPasscode:
    """Asks whether `passcode` is right; a wrong one costs a try."""

    request_id: bytes
    key_ref: int
    passcode: bytes = field(repr=False)  # without the padding of the APDU


@dataclass(frozen=True, slots=True)
class ChangePasscode:
    """Replaces `old` by `new` if `old` is right; otherwise costs a try of `key_ref`."""

    request_id: bytes
    key_ref: int
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResetPasscode:
    """Sets the PIN to `new` and restores its tries if `puk` is right; otherwise costs a try of the
    PUK.
    """

    request_id: bytes
    key_ref: int  # the PIN's reference; the PUK is 81
    puk: bytes = field(repr=False)
    new: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UseKey:
    """Asks for one use of a private key; answered after the holder's approval.

    Except for key 04, which only agrees on the keys of secure messaging: nobody is asked.
    """

    request_id: bytes
    use: KeyUse
    key_ref: int
    algorithm: int  # PIV algorithm identifier (SP 800-78-5, table 9)
    input: bytes
    """SIGN: a digest (ECC), padded block (RSA) or message (Ed25519); DECRYPT: a cryptogram; AGREE:
    a point."""
    proof: bytes = field(default=b"", repr=False)
    """Of `Verified`; empty where the key needs no passcode."""


class ApplicationRequest:
    """A request of an application's own type, for a key service that knows it. Its application
    takes whatever `KeyResult` it is answered by.
    """

    __slots__ = ()

    name: str
    """How traces call it: lower-case letters, digits, hyphens and dots."""

    def told(self) -> tuple[bytes, ...]:
        """What traces tell of it, no secrets among it: nothing, unless its type says otherwise."""
        return ()


@dataclass(frozen=True, slots=True)
class Verified:
    """The passcode was right. `proof` goes with each later `UseKey` of the same session."""

    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TriesLeft:
    """The passcode was wrong, or its status was asked; `tries` of 0 means blocked."""

    tries: int
    most: int = 3  # after the right passcode
    factory: bool = False  # whether the passcode is the one that all cards begin with


class Refusal(Enum):
    """Why there is no result. A refusal is a value: only bugs raise."""

    DENIED = auto()  # by the holder or by policy; a wrong answer to a challenge
    EXPIRED = auto()  # nobody decided in time
    CANCELLED = auto()  # withdrawn by the workstation
    MALFORMED = auto()  # the keystore does not accept the input: padding, point, passcode format
    PASSCODE_NEEDED = auto()  # a proof is too old or spent; nobody was asked
    UNKNOWN_KEY = auto()  # no such key or reference data
    FULL = auto()  # there is no room for what is to be stored
    UNAVAILABLE = auto()  # the keystore is out of reach or failed


PasscodeRequest: TypeAlias = PasscodeStatus | VerifyPasscode | ChangePasscode | ResetPasscode
KeyRequest: TypeAlias = PasscodeRequest | UseKey | AdministrationRequest | ApplicationRequest
KeyResult: TypeAlias = bytes | Verified | TriesLeft | Administrator | Changed | Refusal
Exchange: TypeAlias = Generator[KeyRequest, KeyResult, bytes]


class KeyService(Protocol):
    """Performs what the card asks. Refusals are results; only bugs raise."""

    def perform(self, request: KeyRequest) -> KeyResult: ...


def advance(exchange: Exchange, result: KeyResult | None = None) -> KeyRequest | bytes:
    """Tell an exchange the result that it waits for, or begin it.

    Returns what the card says next: a request, or the response, with which the exchange has ended.
    """
    try:
        return next(exchange) if result is None else exchange.send(result)
    except StopIteration as done:
        response: bytes = done.value
        return response


def drive(exchange: Exchange, perform: Callable[[KeyRequest], KeyResult]) -> bytes:
    """Run an exchange to its end; `perform` answers what the card asks. Returns the response."""
    try:
        request = next(exchange)
        while True:
            request = exchange.send(perform(request))
    except StopIteration as done:
        response: bytes = done.value
        return response
