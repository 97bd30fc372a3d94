"""Administration: requests by which an administrator changes a card's objects, keys and tries. An
administrator is a program that has proved that it knows the management key (9B).

The card holds no state of its own that outlives a reset. A change is therefore a key request, and
the key service stores it before the card answers: the card never loses what it has acknowledged.
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
    """The contents of template 7F49 (SP 800-73-5 part 2, table 21); empty if unknown."""
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT
    imported: bool = False  # not made by the keystore


@dataclass(frozen=True, slots=True)
class RequestChallenge:
    """Asks for a challenge that only a holder of the management key can answer; it replaces the
    previous one.

    The result is one cipher block: a witness, `enciphered` under the management key, or a plain
    challenge.
    """

    algorithm: int
    enciphered: bool


@dataclass(frozen=True, slots=True)
class AnswerChallenge:
    """Answers the challenge, which is then spent, whether the answer is right or wrong.

    `response` is the enciphered challenge, or the deciphered witness. `challenge` is one cipher
    block for the card to encipher in turn (mutual authentication), or empty. The result is
    `Administrator`, or DENIED for a wrong answer.
    """

    algorithm: int
    response: bytes = field(repr=False)
    challenge: bytes = b""


@dataclass(frozen=True, slots=True)
class WriteObject:
    """Replaces a data object's contents; empty contents remove the object."""

    proof: bytes = field(repr=False)  # of `Administrator`
    tag: int
    contents: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GenerateKey:
    """Makes a key pair and replaces the previous one. `Changed.keys` holds its public part."""

    proof: bytes = field(repr=False)
    key_ref: int
    algorithm: int
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT


@dataclass(frozen=True, slots=True)
class ImportKey:
    """Stores a private key made elsewhere and replaces the previous one."""

    proof: bytes = field(repr=False)
    key_ref: int
    algorithm: int
    private: bytes = field(repr=False)
    """RSA: both primes, of equal length, concatenated; ECC: the scalar, as long as the field;
    25519: the 32 bytes of RFC 8032 or RFC 7748."""
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT


@dataclass(frozen=True, slots=True)
class MoveKey:
    """Moves a key to an empty key reference, or erases it if there is no destination."""

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
    """Sets how many tries PIN and PUK have, and resets both passcodes to their factory values."""

    proof: bytes = field(repr=False)
    passcode_proof: bytes = field(repr=False)
    pin_tries: int
    puk_tries: int


@dataclass(frozen=True, slots=True)
class ResetCard:
    """Restores the factory state: no keys, no objects, factory passcodes and management key.

    The result is DENIED unless both PIN and PUK are blocked.
    """


@dataclass(frozen=True, slots=True)
class AttestKey:
    """Asks for a certificate that states that the keystore made the key; the result is its DER."""

    key_ref: int


@dataclass(frozen=True, slots=True)
class Administrator:
    """The management key was right. Each later change must carry `proof`, until a reset."""

    proof: bytes = field(repr=False)
    cryptogram: bytes = b""  # the challenge of `AnswerChallenge`, enciphered


@dataclass(frozen=True, slots=True)
class Changed:
    """A change is stored: the new values by number; None means that the object or key is gone."""

    objects: Mapping[int, bytes | None] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    keys: Mapping[int, CardKey | None] = field(default_factory=lambda: MappingProxyType({}))
    management_algorithm: int | None = None  # None: the management key is unchanged
    factory_management_key: bool = False  # whether the changed management key is the well-known one
    withheld: frozenset[int] = frozenset()
    """Tags of objects that have new contents, which `ReadObject` gets."""


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
