"""The security status of the PIV application (SP 800-73-5 part 2, 2.4.2 and 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Verification:
    """A verified PIN."""

    proof: bytes = field(repr=False)
    command: int | None = None
    """The number of the VERIFY, for the rule PIN Always; None if another command verified the PIN.
    """


class Awaited(Enum):
    """What the card waits for in an authentication of the administrator."""

    RESPONSE = auto()  # the enciphered challenge, in external authentication
    WITNESS = auto()  # the deciphered witness, in mutual authentication


@dataclass(frozen=True, slots=True)
class SecurityStatus:
    """The security status on one channel, lost on reset. It is a value, so that an earlier one can
    be restored.
    """

    verified: Mapping[int, Verification] = field(default_factory=lambda: MappingProxyType({}))
    """By key reference of the PIN."""
    awaited: Awaited | None = None
    administrator: bytes | None = field(default=None, repr=False)
    """The administrator's proof; None if no administrator is authenticated."""

    def with_verified(self, key_ref: int, verification: Verification) -> SecurityStatus:
        """A copy with one more PIN verified, or verified again."""
        return replace(self, verified=MappingProxyType({**self.verified, key_ref: verification}))

    def without_verified(self, *key_refs: int) -> SecurityStatus:
        """A copy in which these PINs are not verified."""
        left = {key_ref: each for key_ref, each in self.verified.items() if key_ref not in key_refs}
        return replace(self, verified=MappingProxyType(left))

    def with_proof(self, proof: bytes) -> SecurityStatus:
        """A copy with a new proof for every verified PIN, because a change of a passcode ends all
        previous proofs. Without a new proof nothing changes.
        """
        if not proof:
            return self
        renewed = {key_ref: replace(each, proof=proof) for key_ref, each in self.verified.items()}
        return replace(self, verified=MappingProxyType(renewed))
