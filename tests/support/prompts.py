"""Prompts to show, and somebody who waits for what a prompter does with them."""

from __future__ import annotations

from datetime import UTC, datetime

from reader_bridge.prompter import Prompt

QR = "CLOUDCARD:1:AGRAOI3QHF3OVOXWDZT4XRUMMY4DUWYSPFTZHN24JPHMTGYLCTDA"
CODE = "7MYH 57PF"
EXPIRES = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def prompt(operation: str = "id", number: str = "42", qr: str = "") -> Prompt:
    """An operation that waits for two minutes, at a workstation of a hospital's ward."""
    return Prompt(
        *(operation, "1000", number, qr, EXPIRES, CODE, "WARD7-PC3", "pkcs11-tool", "9A", "sign"),
        inputs=1,
        seconds=120.0,
        qr_seconds=60.0,
    )


PUSHED, BOTH, SCANNED = prompt(), prompt(qr=QR), prompt(number="", qr=QR)


def unheard() -> None:
    """Nobody cancels."""
