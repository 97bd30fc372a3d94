"""ISO 7816 card operating system: no sockets, no threads, no clock, no randomness of its own.

This package exports what an application of your own needs; docs/applications.md is the guide.
`card_os.tlv` reads and writes data objects, `card_os.atr` makes answers to reset,
`card_os.testing` is for tests, and `card_os.piv` is the PIV application.
"""

from card_os import atr, data_objects, tlv
from card_os.apdu import Command
from card_os.application import Application, Random, Selected
from card_os.card import Card
from card_os.dispatch import Reply, Row, Selection, Table, row
from card_os.explanation import Explanation, Part
from card_os.keys import (
    ApplicationRequest,
    ChangePasscode,
    Exchange,
    KeyRequest,
    KeyResult,
    KeyService,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
    advance,
    drive,
)
from card_os.protection import ProtectedSelection
from card_os.secrets import Hide, Secrets
from card_os.status import SW, CardError
from card_os.uses import KeyUse

__all__ = [
    "SW",
    "Application",
    "ApplicationRequest",
    "Card",
    "CardError",
    "ChangePasscode",
    "Command",
    "Exchange",
    "Explanation",
    "Hide",
    "KeyRequest",
    "KeyResult",
    "KeyService",
    "KeyUse",
    "Part",
    "PasscodeStatus",
    "ProtectedSelection",
    "Random",
    "ReadObject",
    "Refusal",
    "Reply",
    "ResetPasscode",
    "Row",
    "Secrets",
    "Selected",
    "Selection",
    "Table",
    "TriesLeft",
    "UseKey",
    "Verified",
    "VerifyPasscode",
    "advance",
    "atr",
    "data_objects",
    "drive",
    "row",
    "tlv",
]
