"""What the workstation shows a holder who is asked to approve, and who can show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeAlias


class Outcome(Enum):
    """How an operation that was shown has ended."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"  # approved, but the key gave no result
    UNAVAILABLE = "unavailable"  # the keystore was out of reach for too long


@dataclass(frozen=True, slots=True)
class Prompt:
    """One operation that waits for the holder."""

    operation_id: str
    card_serial: str
    number: str  # two digits to type on the phone; empty if the holder must scan the code
    qr_text: str  # empty if the holder must type the number
    expire_time: datetime  # of the operation; the QR code can expire sooner
    # The phone shows the same one if it was asked for the same data; empty for a sign-in
    check_code: str
    workstation: str = ""  # the name of this computer, as the phone shows it
    program: str = ""  # the asking application; empty if it is not known
    key: str = ""  # the key reference in two hexadecimal digits, such as "9A"
    use: str = ""  # sign, decrypt, agree, or sign_in: to put the card into the reader
    inputs: int = 0  # how many are used under this approval; 0 for a session
    session_uses: int = 0
    session_seconds: int = 0
    seconds: float = 0.0  # until the operation expires, from when it is shown
    qr_seconds: float = 0.0  # until the QR code expires


Withdraw: TypeAlias = Callable[[], None]


class Prompter(Protocol):
    """The workstation's screen. Its methods are called from the threads of all slots, and return
    soon.
    """

    def show(self, prompt: Prompt, withdraw: Withdraw, /) -> None:
        """Show an operation. Whoever cancels it at the screen calls `withdraw`, from any thread;
        `clear` follows.
        """

    def clear(self, operation_id: str, outcome: Outcome, /) -> None: ...
