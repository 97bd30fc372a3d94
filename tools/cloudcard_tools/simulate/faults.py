"""What goes wrong on demand, so that a client's answer to it can be tried. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum, unique
from types import MappingProxyType

MOST_SECONDS = 86_400


@unique
class Fault(StrEnum):
    """What can go wrong; the word is that of `--fault`."""

    SLOW = "slow"
    DOWN = "down"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    CLOCK = "clock"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    NONCE = "nonce"
    SIGNATURE = "signature"
    UNSIGNED = "unsigned"


MEANINGS: Mapping[Fault, str] = {
    Fault.SLOW: "each answer takes so many seconds",
    Fault.DOWN: "each request is answered with 503",
    Fault.MALFORMED: "JSON and XML end in the middle",
    Fault.EXPIRED: "tokens have ended before they come",
    Fault.REVOKED: "cards and access tokens are refused as revoked",
    Fault.CLOCK: "the provider's clock is so many seconds fast, or slow after a minus",
    Fault.ISSUER: "tokens name another issuer",
    Fault.AUDIENCE: "tokens are for another client",
    Fault.NONCE: "ID tokens have another nonce",
    Fault.SIGNATURE: "tokens are signed with a key that is not published",
    Fault.UNSIGNED: 'tokens are not signed: "alg": "none"',
}
SECONDS: Mapping[Fault, int] = {Fault.SLOW: 10, Fault.CLOCK: 600}  # unless others are named


class NoFault(ValueError):
    """A word that names no fault; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults that are on, some with a number of seconds."""

    seconds: Mapping[Fault, int] = field(default_factory=lambda: MappingProxyType({}))

    def __contains__(self, fault: Fault) -> bool:
        return fault in self.seconds

    def __str__(self) -> str:
        return ", ".join(
            f"{each}={count}" if each in SECONDS else each for each, count in self.seconds.items()
        )

    @property
    def delay(self) -> int:
        """Seconds that each answer takes."""
        return self.seconds.get(Fault.SLOW, 0)

    @property
    def clock(self) -> timedelta:
        """How far the clock is ahead."""
        return timedelta(seconds=self.seconds.get(Fault.CLOCK, 0))


def parse(words: Iterable[str]) -> Faults:
    """Read faults such as "slow=3"; raises NoFault."""
    found: dict[Fault, int] = {}
    for word in words:
        name, told, number = word.partition("=")
        try:
            fault = Fault(name)
        except ValueError:
            known = ", ".join(f"{each}=SECONDS" if each in SECONDS else each for each in Fault)
            raise NoFault(f"{name!r} is no fault: choose {known}") from None
        found[fault] = _seconds(fault, number) if told else SECONDS.get(fault, 0)
    return Faults(MappingProxyType(found))


def _seconds(fault: Fault, number: str) -> int:
    least = -MOST_SECONDS if fault is Fault.CLOCK else 0
    digits = number.removeprefix("-").removeprefix("+")
    if fault not in SECONDS:
        raise NoFault(f"{fault} takes no number")
    if not (digits.isascii() and digits.isdigit() and least <= int(number) <= MOST_SECONDS):
        raise NoFault(f"{fault} takes whole seconds from {least} to {MOST_SECONDS}")
    return int(number)
