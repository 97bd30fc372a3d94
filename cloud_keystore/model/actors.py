"""Who did what the journal tells of: a kind and an identifier."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class ActorKind(StrEnum):
    """As what somebody acts. A text, once in a journal, keeps its meaning for ever."""

    KEYSTORE = "keystore"  # by itself: what time or another change has brought about
    WORKSTATION = "workstation"
    DEVICE = "device"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    HOLDER = "user"
    DATA_FOLDER = "operator of this computer"  # who may write the data folder, and no identity


NAMELESS = frozenset({ActorKind.KEYSTORE, ActorKind.DATA_FOLDER})


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts; as text, such as "workstation 0192…", what the journal holds."""

    kind: ActorKind
    id: str = ""  # of the identity, or of the user; empty where there is one alone of the kind

    def __post_init__(self) -> None:
        """Raise ValueError for one that the journal could not tell from another."""
        if bool(self.id) is (self.kind in NAMELESS):
            raise ValueError(f"a {self.kind} has {'no' if self.id else 'an'} identifier")

    def __str__(self) -> str:
        return f"{self.kind} {self.id}" if self.id else self.kind.value

    @classmethod
    def parse(cls, text: str) -> Actor:
        """The actor of a text; raises ValueError for a text that is none's."""
        if text in NAMELESS:
            return cls(ActorKind(text))
        kind, _, identifier = text.partition(" ")
        return cls(ActorKind(kind), identifier)


KEYSTORE = Actor(ActorKind.KEYSTORE)
DATA_FOLDER = Actor(ActorKind.DATA_FOLDER)
