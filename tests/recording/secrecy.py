"""Secrets of the recorded sessions, in every form in which one could stand in a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY, FACTORY_PIN, FACTORY_PUK
from reader_bridge.local.card import GLOBAL_PIN
from reader_bridge.local.card import LocalCard as Kept

NEW_PIN, NEW_PUK = "754921", "87459321"
WRONG_PIN, WRONG_PUK = "918273", "91827364"
OTHER_KEY = sha256(b"another management key").digest()[:24]

PASSCODES = (FACTORY_PIN.decode(), FACTORY_PUK.decode(), GLOBAL_PIN.decode(), NEW_PIN, NEW_PUK)
WRONG_PASSCODES = (WRONG_PIN, WRONG_PUK)  # nobody's secret, and yet a mistyped one nearly is
MANAGEMENT_KEYS = (FACTORY_MANAGEMENT_KEY, OTHER_KEY)

PASSCODE_BYTES = 8
SHORTEST = 4  # bytes: what is shorter is found in random bytes too
LEAK_BYTES = 12  # of a key: as much of it as would be noticed


def of_everybody() -> dict[str, str]:
    """What is the same in every recording: each form of each secret, and its name."""
    forms = {}
    for passcode in (*PASSCODES, *WRONG_PASSCODES):
        forms |= dict.fromkeys(passcode_forms(passcode), f"passcode {passcode}")
    for key in MANAGEMENT_KEYS:
        forms |= dict.fromkeys(key_forms(key), f"management key {key.hex()}")
    return forms


def of_cards(cards: Iterable[Kept]) -> dict[str, str]:
    """The private and management keys that these cards have had."""
    forms = {}
    for card in cards:
        for key_ref, key in card.keys.items():
            forms |= dict.fromkeys(key_forms(key.private), f"private key {key_ref:02X}")
        if card.management_key:
            forms |= dict.fromkeys(key_forms(card.management_key), "a management key")
        if card.attester is not None:
            forms |= dict.fromkeys(key_forms(card.attester.key.private), "the attestation key")
    return forms


def passcode_forms(passcode: str) -> Iterator[str]:
    """A passcode as its characters' hexadecimal digits (padding only follows), as UTF-16, as BCD,
    as a PIN block.
    """
    octets = passcode.encode()
    yield octets.hex()
    yield passcode.encode("utf-16-le").hex()
    yield passcode.encode("utf-16-be").hex()
    padded = passcode.ljust(2 * PASSCODE_BYTES, "f")
    yield padded[: max(len(passcode), 2 * SHORTEST)]  # BCD
    yield f"2{len(passcode):x}{passcode}"  # a PIN block (ISO 9564-1, format 2)


def key_forms(key: bytes) -> Iterator[str]:
    """Every part of a key that is long enough to be told from chance."""
    size = min(LEAK_BYTES, len(key))
    for at in range(len(key) - size + 1):
        yield key[at : at + size].hex()


def found(text: str, forms: dict[str, str]) -> set[str]:
    """The names of the secrets that are in a trace's text."""
    there = text.lower()
    return {name for form, name in forms.items() if form in there}
