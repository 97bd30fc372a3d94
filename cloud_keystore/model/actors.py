"""Actors: those whom the journal names, by a kind and an identifier."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class ActorKind(StrEnum):
    """The kinds of actors. A text that a journal has held keeps its meaning for ever."""

    KEYSTORE = "keystore"  # by itself, as a consequence of time or of another change
    WORKSTATION = "workstation"
    DEVICE = "device"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    CLIENT = "API client"
    HOLDER = "user"
    SHARED_DEVICE = "shared_device"
    SEAT = "seat"  # of a holder at a shared device
    DATA_FOLDER = "operator of this computer"  # anybody who can write to the data folder


NAMELESS = frozenset({ActorKind.KEYSTORE, ActorKind.DATA_FOLDER})


@dataclass(frozen=True, slots=True)
class Actor:
    """An actor. Its text, such as "workstation 0192…", is what the journal holds."""

    kind: ActorKind
    id: str = ""  # of the identity or user; empty if the kind has only one actor

    def __post_init__(self) -> None:
        """Raise ValueError if an identifier is missing, or given for a kind that has none."""
        if bool(self.id) is (self.kind in NAMELESS):
            raise ValueError(f"a {self.kind} has {'no' if self.id else 'an'} identifier")

    def __str__(self) -> str:
        return f"{self.kind} {self.id}" if self.id else self.kind.value

    @classmethod
    def parse(cls, text: str) -> Actor:
        """Read the text of an actor; raises ValueError if it is not one."""
        if text in NAMELESS:
            return cls(ActorKind(text))
        kind, _, identifier = text.rpartition(" ")
        return cls(ActorKind(kind), identifier)


KEYSTORE = Actor(ActorKind.KEYSTORE)
DATA_FOLDER = Actor(ActorKind.DATA_FOLDER)
