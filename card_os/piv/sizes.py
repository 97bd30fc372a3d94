"""Sizes and bounds of a card, of its data objects and passcodes; the secrets that all know."""

from __future__ import annotations

GUID_BYTES = 16
LARGEST_OBJECT = 12_710
"""Contents of a data object, in bytes: what the standard guarantees of its largest one, the facial
image (SP 800-73-5 part 1, appendix A). Clients write certificates, of 3 KB at most."""
ROOM = 128 * 1024
"""Contents of all data objects of a card, in bytes: the 76,477 that the standard guarantees of all
its containers together (part 1, appendix A), and about as much besides as a card of Yubico has."""

PASSCODE_BYTES = 8  # with its padding (part 2, 2.4.3)
SHORTEST_PIN = 6
PASSCODE_PADDING = b"\xff"
TRIES = 3  # of a passcode, unless an administrator sets another number
MOST_TRIES = 15  # what a status word 63CX can tell
FACTORY_PIN, FACTORY_PUK = b"123456", b"12345678"  # those of Yubico's cards, so of their tools
# Of 24 bytes: for AES-192, and for TDEA in its time
FACTORY_MANAGEMENT_KEY = bytes(range(1, 9)) * 3
