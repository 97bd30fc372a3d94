"""Passcodes of a local card: generators of the states to be stored, in order.

A spent try is stored before the passcode is compared, so that ending the process does not give an
attacker another guess.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from hmac import compare_digest
from typing import TypeAlias

from card_os.keys import Refusal, TriesLeft
from card_os.piv.names import KeyRef
from card_os.piv.rules import may_be_set
from reader_bridge.local.card import FACTORY_PASSCODES, LocalCard, Passcode

Checked: TypeAlias = Generator[LocalCard, None, "LocalCard | TriesLeft | Refusal"]


def status(card: LocalCard, key_ref: int) -> TriesLeft | Refusal:
    """How many tries a passcode has left; this does not spend one."""
    passcode = card.passcodes.get(key_ref)
    if passcode is None:
        return Refusal.UNKNOWN_KEY
    return passcode.left(FACTORY_PASSCODES[key_ref])


def check(card: LocalCard, key_ref: int, value: bytes) -> Checked:
    """Compare a passcode; return the card with its tries restored, which is not stored yet."""
    passcode = card.passcodes.get(key_ref)
    if passcode is None:
        return Refusal.UNKNOWN_KEY
    if passcode.tries == 0:
        return passcode.left(FACTORY_PASSCODES[key_ref])
    spent = replace(passcode, tries=passcode.tries - 1)
    yield card.with_passcode(key_ref, spent)
    if not compare_digest(value, passcode.value):
        return spent.left(FACTORY_PASSCODES[key_ref])
    return card.with_passcode(key_ref, replace(passcode, tries=passcode.most))


def verify(card: LocalCard, key_ref: int, value: bytes) -> Checked:
    """Compare a passcode; return the card with its tries restored, which is stored."""
    checked = yield from check(card, key_ref, value)
    if isinstance(checked, LocalCard):
        yield checked
    return checked


def change(card: LocalCard, key_ref: int, old: bytes, new: bytes) -> Checked:
    """Replace a passcode if `old` is right."""
    return (yield from _replace(card, (key_ref, old), key_ref, new))


def reset(card: LocalCard, key_ref: int, puk: bytes, new: bytes) -> Checked:
    """Replace a passcode and restore its tries if `puk` is right."""
    return (yield from _replace(card, (KeyRef.PUK, puk), key_ref, new))


def _replace(card: LocalCard, by: tuple[int, bytes], key_ref: int, new: bytes) -> Checked:
    replaced = card.passcodes.get(key_ref)
    if replaced is None:
        return Refusal.UNKNOWN_KEY
    checked = yield from check(card, *by)
    if not isinstance(checked, LocalCard):
        return checked
    extensions = card.profile.features.extensions
    if not may_be_set(key_ref, new, extensions=extensions):
        yield checked
        return Refusal.MALFORMED
    most = replaced.most
    changed = checked.with_passcode(key_ref, Passcode(new, most, most))
    yield changed
    return changed
