"""Cells that no spreadsheet takes for a formula, and that are read back as they were."""

from __future__ import annotations

import re

# What begins a formula, in whatever program opens the file; the last four are full-width.
FORMULA = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_TO_GUARD = re.compile(f"'*[{FORMULA}]")
_GUARDED = re.compile(f"'+[{FORMULA}]")


def guarded(text: str) -> str:
    """A text as a cell: an apostrophe is before what would be a formula."""
    return f"'{text}" if _TO_GUARD.match(text) else text


def plain(cell: str) -> str:
    """The text of a cell, without the apostrophe of `guarded`."""
    return cell[1:] if _GUARDED.match(cell) else cell
