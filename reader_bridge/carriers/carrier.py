"""What a slot needs from any way to a reader."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from card_os.trace.lines import Power


class SlotState(Enum):
    """The state of a slot, reported once at each change."""

    INSERTED = "inserted"  # the reader has seen the card
    REMOVED = "removed"  # the reader hung up
    PORT_BUSY = "port_busy"  # vpcd serves another card
    SLOT_TAKEN = "slot_taken"  # our handler has another card in the slot, or in every slot
    NO_SLOT = "no_slot"  # our handler has no slot of this number
    FORBIDDEN = "forbidden"  # our handler takes no cards from this user
    OTHER_VERSION = "other_version"  # our handler is older or newer than this program
    PCSCD_NOT_RUNNING = "pcscd_not_running"  # nobody listens
    HANGS_UP = "hangs_up"  # somebody listens, and ends each connection before a word
    NOT_ATTACHED = "not_attached"  # no computer has attached our USB reader
    PORT_TAKEN = "port_taken"  # another program exports USB devices from the port
    STRANGER = "stranger"  # the program at the place is another user's, and does not get the card


OnChange: TypeAlias = Callable[[SlotState], None]


class NotInserted(Exception):
    """The card could not be put into the reader; the state says why."""

    def __init__(self, state: SlotState) -> None:
        super().__init__(state.value)
        self.state = state


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU; the reader waits for its response."""

    raw: bytes


Event: TypeAlias = Command | Power


@dataclass(frozen=True, slots=True)
class Where:
    """A carrier's place in this computer, for people."""

    via: str  # as `--via` names the carrier
    place: str
    driver: str  # what pcscd needs for it
    finder: str  # the command that finds who listens there
    port: int | None = None


class Link(Protocol):
    """A connection to a reader that has taken the card."""

    @property
    def beat_seconds(self) -> float | None:
        """How often `beat` must be called while a command waits; None for never."""

    def fileno(self) -> int:
        """The descriptor that is readable when the reader says something or hangs up."""

    def events(self) -> Iterator[Event]:
        """What the reader says, until it hangs up. Each event is done with before the next.

        Raises OSError if the connection breaks or the reader talks nonsense.
        """

    def respond(self, response: bytes, /) -> None:
        """Send the response to the last command. Raises OSError."""

    def beat(self) -> None:
        """Say that the card is still there. Raises OSError."""


class Carrier(Protocol):
    """A way to one slot of a reader."""

    @property
    def where(self) -> Where:
        """Where the slot is, as far as it is known."""

    def endpoint(self) -> socket.socket:
        """A new socket, not connected: whoever stops the slot shuts it down."""

    def insert(
        self, sock: socket.socket, atr: bytes, say: OnChange, stopping: threading.Event, /
    ) -> Link:
        """Connect, and wait until the reader has taken the card.

        `say` is told what there is to wait for. Raises NotInserted.
        """
