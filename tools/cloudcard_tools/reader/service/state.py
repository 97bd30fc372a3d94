"""What others can see of the agent."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cloudcard_tools.shared import home
from cloudcard_tools.shared.output import Row
from reader_bridge.leaving import Slot

RUNTIME = "XDG_RUNTIME_DIR"
SOCKET_NAME = "agent.sock"
SIGN_IN_NAME = "sign-in"


@dataclass(slots=True)
class Here:
    """The state of one slot."""

    slot: int  # counted from 0 among those of this agent
    state: Slot = Slot.EMPTY
    card: str = ""
    reader: str = ""  # the last that the slot has told, such as "inserted"
    number: str = ""  # to be typed on the phone; empty unless somebody may sign in
    qr_text: str = ""
    expires: str = ""  # the sign-in

    def as_row(self) -> Row:
        """The fields, for JSON."""
        return {**asdict(self), "state": self.state.value}

    def sentence(self) -> str:
        """One line for people."""
        match self.state:
            case Slot.EMPTY:
                return "No card: sign in."
            case Slot.ASKING:
                return "Waiting for somebody to sign in."
            case Slot.TAKEN:
                return f"Card {self.card} is in use; the reader: {self.reader or 'waits'}."


@dataclass(slots=True)
class Status:
    """The agent's state, for people and programs."""

    version: str
    pid: int
    workstation: str
    slots: tuple[Here, ...]
    identity_expires: str = ""
    keystore: str = "reached"  # or why not
    said: str = ""  # what has happened last

    @property
    def occupied(self) -> list[Here]:
        """The slots in which there is a card, or in which somebody may sign in."""
        return [each for each in self.slots if each.state is not Slot.EMPTY]

    def as_row(self, slot: int = 0) -> Row:
        """The fields, with those of one slot among them, for JSON."""
        return {
            "version": self.version,
            "pid": self.pid,
            "workstation": self.workstation,
            "identity_expires": self.identity_expires,
            **self.slots[slot].as_row(),
            "keystore": self.keystore,
            "said": self.said,
            "slots": [each.as_row() for each in self.slots],
        }

    def sentence(self) -> str:
        """One line for people."""
        shown = self.occupied or self.slots[:1]
        lost = [] if self.keystore == "reached" else [self.keystore]
        return " ".join([*(each.sentence() for each in shown), *lost])


def folder() -> Path:
    """The folder of what lasts until this user logs off, readable by this user alone."""
    runtime = os.environ.get(RUNTIME)
    place = Path(runtime, "cloudcard") if runtime else home.folder() / "run"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place
