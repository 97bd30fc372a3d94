"""What others can see of the agent."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cloudcard_tools.shared import home
from reader_bridge.leaving import Slot

RUNTIME = "XDG_RUNTIME_DIR"
SOCKET_NAME = "agent.sock"
SIGN_IN_NAME = "sign-in"


@dataclass(slots=True)
class Status:
    """The agent's state, for people and programs."""

    version: str
    pid: int
    workstation: str
    identity_expires: str = ""
    state: Slot = Slot.EMPTY
    card: str = ""
    reader: str = ""  # the last that the slot has told, such as "inserted"
    keystore: str = "reached"  # or why not
    number: str = ""  # to be typed on the phone; empty unless somebody may sign in
    qr_text: str = ""
    expires: str = ""  # the sign-in
    said: str = ""  # what has happened last

    def as_row(self) -> dict[str, str | int]:
        """The fields, for JSON."""
        return {**asdict(self), "state": self.state.value}

    def sentence(self) -> str:
        """One line for people."""
        lost = "" if self.keystore == "reached" else f" {self.keystore}"
        match self.state:
            case Slot.EMPTY:
                return f"No card: sign in.{lost}"
            case Slot.ASKING:
                return f"Waiting for somebody to sign in.{lost}"
            case Slot.TAKEN:
                return f"Card {self.card} is in use; the reader: {self.reader or 'waits'}.{lost}"


def folder() -> Path:
    """The folder of what lasts until this user logs off, readable by this user alone."""
    runtime = os.environ.get(RUNTIME)
    place = Path(runtime, "cloudcard") if runtime else home.folder() / "run"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place
