"""QR codes of what the phone scans."""

from __future__ import annotations

import segno


def qr_code(text: str) -> segno.QRCode:
    """The smallest code for a text: one that fits into a terminal of 24 lines, its margin
    included.
    """
    return segno.make_qr(text, error="l")
