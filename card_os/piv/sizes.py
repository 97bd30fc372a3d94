"""Sizes and limits of a card, its data objects and passcodes; the well-known factory values."""

from __future__ import annotations

GUID_BYTES = 16
LARGEST_OBJECT = 12_710
"""The limit for the contents of a data object, in bytes. The standard guarantees as much for its
largest one, the facial image (SP 800-73-5 part 1, appendix A); clients write certificates of at
most 3 KB."""
ROOM = 128 * 1024
"""The limit for the contents of all data objects together, in bytes: the 76,477 that the standard
guarantees for all its containers (part 1, appendix A), and about as much again as a card of Yubico
has."""

PASSCODE_BYTES = 8  # with its padding (part 2, 2.4.3)
SHORTEST_PIN = 6
PASSCODE_PADDING = b"\xff"
TRIES = 3  # of a passcode, unless an administrator sets another number
MOST_TRIES = 15  # what a status word 63CX can tell
FACTORY_PIN, FACTORY_PUK = b"123456", b"12345678"  # of Yubico's cards; their tools expect them
# 24 bytes, which AES-192 and TDEA use.
FACTORY_MANAGEMENT_KEY = bytes(range(1, 9)) * 3
