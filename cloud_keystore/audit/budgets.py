"""Charges identities for the entries of the journal that they cause, in their transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.budgets import BEGINNINGS, ENDS_OF_USES, STOPPED, USES, Growth, Spent
from cloud_keystore.model.errors import JournalBudgetSpent, StorageUnavailable
from cloud_keystore.model.journal import Entry
from cloud_keystore.model.limits import Rate
from cloud_keystore.storage import budgets
from cloud_keystore.storage.engine import growth_of

UNCHARGED = USES | ENDS_OF_USES


def charge(connection: Connection, entries: Collection[Entry]) -> None:
    """Count entries for those who cause them. Raises JournalBudgetSpent if they begin something and
    have no budget left, and StorageUnavailable if the disk has too little room to begin anything.
    """
    growth = growth_of(connection)
    if growth is None:
        return
    if any(each.kind in STOPPED for each in entries):
        _need_room(growth)
    counted = Counter(each.actor for each in entries if each.kind not in UNCHARGED)
    for actor, number in counted.items():
        rate = growth.budgets.get(actor.kind)
        if rate is None:
            continue
        now = entries_time(entries)
        spent = budgets.spent(connection, actor.id, rate, now)
        if any(each.kind in BEGINNINGS for each in entries if each.actor == actor):
            _need(actor, spent, number, rate)
        budgets.put(connection, actor.id, spent.more(number, rate), now)


def check(connection: Connection, actor: Actor, now: datetime) -> None:
    """Raise what `charge` would raise for an entry that begins something. For use cases that must
    not be refused any more when they write theirs.
    """
    growth = growth_of(connection)
    if growth is None:
        return
    _need_room(growth)
    if (rate := growth.budgets.get(actor.kind)) is not None:
        _need(actor, budgets.spent(connection, actor.id, rate, now), 1, rate)


def entries_time(entries: Collection[Entry]) -> datetime:
    """The time of entries that are written together: the latest."""
    return max(each.time for each in entries)


def _need_room(growth: Growth) -> None:
    if not growth.has_room():
        raise StorageUnavailable("the keystore's disk is nearly full: make room on the disk")


def _need(actor: Actor, spent: Spent, number: int, rate: Rate) -> None:
    over = spent.entries + number - rate.burst
    if over > 0:
        raise JournalBudgetSpent(
            f"this {actor.kind} has caused as many entries of the journal as it may: wait, and ask "
            "your registration authority, which has an alert about it",
            retry_seconds=over / rate.per_second,
        )
