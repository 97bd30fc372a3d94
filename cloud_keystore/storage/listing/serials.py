"""Cards by how their serial numbers begin."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false

from cloud_keystore.model.cards import SERIAL_DIGITS
from cloud_keystore.storage import tables as t


def numbered(text: str) -> ColumnElement[bool]:
    """The condition that the serial number of a card begins so. These are digits, which every
    collation sorts alike: an index finds them.
    """
    if not (text.isascii() and text.isdigit()):
        return false()
    return t.card.c.serial.between(text, text + "9" * SERIAL_DIGITS)
