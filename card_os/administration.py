"""Administration: what an administrator has changed of a card's objects, keys and tries. An
administrator is who has proved to know the management key (9B).

The card holds no state of its own that outlives a session. So a change is a request too, and is
stored, or not, before the card answers: nothing that it has acknowledged can be lost with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from card_os.uses import PinPolicy, TouchPolicy


@dataclass(frozen=True, slots=True)
class CardKey:
    """What the card knows of a private key."""

    algorithm: int  # PIV algorithm identifier (SP 800-78-5, table 9)
    public: bytes = b""
    """What stands inside template 7F49 (SP 800-73-5 part 2, table 21); empty where not known."""
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT
    imported: bool = False  # not made by the keystore


@dataclass(frozen=True, slots=True)
class RequestChallenge:
    """Asks for a challenge to whoever knows the management key; replaces the one before.

    Answered by its bytes: one cipher block, `enciphered` under the management key (a witness) or
    not.
    """

    algorithm: int
    enciphered: bool


@dataclass(frozen=True, slots=True)
class AnswerChallenge:
    """Answers the challenge, which is spent by that, right or wrong.

    `response` is the challenge enciphered, or the witness deciphered. `challenge` is one cipher
    block for the card to encipher in its turn (mutual authentication), or empty. The result is
    `Administrator`, or DENIED for a wrong answer.
    """

    algorithm: int
    response: bytes = field(repr=False)
    challenge: bytes = b""


@dataclass(frozen=True, slots=True)
class WriteObject:
    """Replaces a data object's contents; empty contents remove it."""

    proof: bytes = field(repr=False)  # of `Administrator`
    tag: int
    contents: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GenerateKey:
    """Makes a key pair, in place of the one before. `Changed.keys` holds its public part."""

    proof: bytes = field(repr=False)
    key_ref: int
    algorithm: int
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT


@dataclass(frozen=True, slots=True)
class ImportKey:
    """Brings a private key made elsewhere, in place of the one before."""

    proof: bytes = field(repr=False)
    key_ref: int
    algorithm: int
    private: bytes = field(repr=False)
    """RSA: both primes, of one length, after each other; ECC: the scalar, as long as the field;
    25519: the 32 bytes of RFC 8032 or RFC 7748."""
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT


@dataclass(frozen=True, slots=True)
class MoveKey:
    """Moves a key to an empty key reference; without a destination, erases it."""

    proof: bytes = field(repr=False)
    source: int
    destination: int | None


@dataclass(frozen=True, slots=True)
class SetManagementKey:
    """Replaces the management key."""

    proof: bytes = field(repr=False)
    algorithm: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetTries:
    """Sets how many tries PIN and PUK have, and both passcodes to their factory values."""

    proof: bytes = field(repr=False)
    passcode_proof: bytes = field(repr=False)
    pin_tries: int
    puk_tries: int


@dataclass(frozen=True, slots=True)
class ResetCard:
    """Back to the factory's state: no keys, no objects, factory passcodes and management key.

    DENIED unless PIN and PUK are both blocked.
    """


@dataclass(frozen=True, slots=True)
class AttestKey:
    """Asks for a certificate that the key was made by the keystore; answered by its DER."""

    key_ref: int


@dataclass(frozen=True, slots=True)
class Administrator:
    """The management key was right. `proof` goes with each later change of the same session."""

    proof: bytes = field(repr=False)
    cryptogram: bytes = b""  # the challenge of `AnswerChallenge`, enciphered


@dataclass(frozen=True, slots=True)
class Changed:
    """A change is stored. What is different now; None says that it is gone."""

    objects: Mapping[int, bytes | None] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    keys: Mapping[int, CardKey | None] = field(default_factory=lambda: MappingProxyType({}))
    management_algorithm: int | None = None  # None: as before


AdministrationRequest: TypeAlias = (
    RequestChallenge
    | AnswerChallenge
    | WriteObject
    | GenerateKey
    | ImportKey
    | MoveKey
    | SetManagementKey
    | SetTries
    | ResetCard
    | AttestKey
)
