"""How surely a person has logged in, and what clients can ask for (`acr`, `amr`). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique

from cloudcard_tools.simulate.directory import Person


@unique
class Way(Enum):
    """A way to log in."""

    CARD = "card"
    """The card's key over mutual TLS; the card has asked for the PIN."""
    CHALLENGE = "challenge"
    """The card's key over a challenge; the card has asked for the PIN."""
    PHONE = "phone"
    """The holder's approval on a phone that is enrolled at the keystore."""
    CODE = "code"
    """A passphrase and a one-time code."""


ASSURANCE: Mapping[Way, int] = {Way.CARD: 3, Way.CHALLENGE: 3, Way.PHONE: 2, Way.CODE: 2}
OF_CARDS = frozenset((Way.CARD, Way.CHALLENGE))
OTHERS: Mapping[Way, str] = {Way.PHONE: "AUTHENTICATOR", Way.CODE: "TOTP"}
"""The values of `amr` of what is no card; the first one is the simulator's own."""


@dataclass(frozen=True, slots=True)
class Level:
    """What satisfies a value of `acr`, and the value of `amr` for it."""

    ways: frozenset[Way]
    card: str = "N3_SMARTCARD"

    def methods(self, way: Way) -> list[str]:
        """The value of `amr`."""
        return [OTHERS.get(way, self.card)]


# What no way of the simulator reaches is known all the same: it is refused, not ignored.
LEVELS: Mapping[str, Level] = {
    "AAL3_ANY": Level(OF_CARDS),
    "AAL2_OR_AAL3_ANY": Level(frozenset(Way)),
    "AAL2_ANY": Level(frozenset(OTHERS)),
    "AAL3_SMARTCARD": Level(OF_CARDS),
    "AAL3_N3_SMARTCARD": Level(OF_CARDS),
    "AAL3_CIS2_SMARTCARD": Level(OF_CARDS, "CIS2_SMARTCARD"),
    "AAL3_FIDO2": Level(frozenset()),
    "AAL3_IOS": Level(frozenset()),
}
USUAL = "AAL3_ANY"  # for clients that ask for nothing


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody has logged in."""

    person: Person
    way: Way
    time: datetime

    @property
    def assurance(self) -> str:
        """The level of assurance, as claims have it: a string."""
        return str(ASSURANCE[self.way])


def reached(wanted: Sequence[str], way: Way) -> str | None:
    """The first of the wanted values of `acr` that a way reaches."""
    return next((each for each in wanted if each in LEVELS and way in LEVELS[each].ways), None)


def ways(wanted: Sequence[str]) -> frozenset[Way]:
    """The ways that reach one of the wanted values."""
    return frozenset(way for way in Way if reached(wanted, way) is not None)
