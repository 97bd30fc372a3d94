"""The security status of the PIV application (SP 800-73-5 part 2, 2.4.2 and 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Verification:
    """That a PIN has been verified."""

    proof: bytes = field(repr=False)
    command: int | None = None  # number of the VERIFY, for PIN Always; None: another command's


class Awaited(Enum):
    """What the card waits for from who wants to be its administrator."""

    RESPONSE = auto()  # to a challenge: external authentication
    WITNESS = auto()  # deciphered: mutual authentication


@dataclass(frozen=True, slots=True)
class SecurityStatus:
    """Lost on reset. A value, so that whoever keeps one can go back to it."""

    verified: Mapping[int, Verification] = field(default_factory=lambda: MappingProxyType({}))
    """By key reference of the PIN."""
    awaited: Awaited | None = None
    administrator: bytes | None = field(default=None, repr=False)
    """Proof of the management key; None: nobody administers the card."""

    def with_verified(self, key_ref: int, verification: Verification) -> SecurityStatus:
        """The same with one more PIN verified, or verified again."""
        return replace(self, verified=MappingProxyType({**self.verified, key_ref: verification}))

    def without_verified(self, *key_refs: int) -> SecurityStatus:
        """The same with these PINs not verified."""
        left = {key_ref: each for key_ref, each in self.verified.items() if key_ref not in key_refs}
        return replace(self, verified=MappingProxyType(left))

    def with_proof(self, proof: bytes) -> SecurityStatus:
        """The same PINs verified, proven anew: the keystore has dropped all proofs before."""
        renewed = {key_ref: replace(each, proof=proof) for key_ref, each in self.verified.items()}
        return replace(self, verified=MappingProxyType(renewed))
