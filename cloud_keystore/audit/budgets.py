"""Charges identities for the entries of the journal that they cause, in their transaction.

Uses of keys are not charged for, because each is within what a holder has approved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import JournalBudgetSpent, StorageUnavailable
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.limits import Rate
from cloud_keystore.storage import budgets
from cloud_keystore.storage.budgets import Growth, Spent, growth_of

# What somebody begins: refused when the budget is used up, and while the disk has little room.
BEGINNINGS = frozenset(
    {
        Kind.OPERATION_ASKED,
        Kind.SIGN_IN_ASKED,
        Kind.UNLOCK_ASKED,
        Kind.UNLOCK_CODE_MADE,
        Kind.CARD_ISSUED,
        Kind.CERTIFICATE_RECEIVED,
        Kind.CARD_ACTIVATED,
        Kind.CARD_RESUMED,
        Kind.RENEWAL_BEGUN,
        Kind.CARD_RENEWED,
        Kind.CARD_REPLACED,
        Kind.CARD_MOVED,
        Kind.CARD_WRITTEN,
        Kind.CARD_RESET,
        Kind.MANAGEMENT_KEY_SET,
        Kind.KEY_MADE,
        Kind.KEY_IMPORTED,
        Kind.KEY_MOVED,
        Kind.KEY_ATTESTED,
        Kind.SECURE_MESSAGING_AGREED,
        Kind.USER_ADDED,
        Kind.USER_CHANGED,
        Kind.WINDOWS_ACCOUNT_ADDED,
        Kind.WINDOWS_ACCOUNT_CHANGED,
        Kind.IDENTITY_INVITED,
        Kind.SHORT_CODE_MADE,
        Kind.ENROLMENT_BEGUN,
        Kind.APP_PIN_SET,
        Kind.APP_PIN_CHANGED,
        Kind.APP_PIN_CODE_MADE,
        Kind.BELL_HUNG,
        Kind.BELL_GONE,
        Kind.CLIENT_ADDED,
        Kind.IDENTITY_CHANGED,
        Kind.ORGANISATION_ADDED,
        Kind.ORGANISATION_CHANGED,
        Kind.ACCOUNT_DIRECTORY_CHANGED,
        Kind.EMAIL_DOMAIN_ADDED,
        Kind.EMAIL_DOMAIN_REMOVED,
        Kind.ROLE_DEFINED,
        Kind.MEMBERSHIP_ADDED,
        Kind.VISIT_ASKED,
        Kind.PROFILE_DEFINED,
        Kind.AUTHORITY_TRUSTED,
        Kind.EST_SERVER_CHANGED,
        Kind.EXTERNAL_LIST_CHANGED,
        Kind.ISSUER_CHOSEN,
        Kind.ROLE_GRANTED,
        Kind.REQUEST_MADE,
        Kind.RIGHT_REFUSED,
        Kind.POLICY_SET,
        Kind.PHONE_CODE_SENT,
        Kind.ADDRESS_LINK_SENT,
        Kind.ADDRESS_CODE_SENT,
        Kind.DEVICE_CODE_SENT,
        Kind.PORTAL_SET,
        Kind.RESET_CODE_SENT,
        Kind.LOG_IN_CODE_SENT,
        Kind.FACTOR_CODE_SENT,
        Kind.ASSENT_ASKED,
        Kind.QUESTIONS_SET,
        Kind.FEEDBACK_GIVEN,
        Kind.SURVEY_ANSWERED,
        Kind.JOURNAL_READ,
    }
)
# Uses within what was approved: they count for nobody, and are refused only for want of room.
USES = frozenset({Kind.OPERATION_USED, Kind.SESSION_OPENED, Kind.SESSION_USED})
# What ends something, or follows from what was done: it counts, and is never refused. A passcode
# or an answer is refused before it is compared.
CLOSINGS = frozenset(Kind) - BEGINNINGS - USES
# How uses end: it follows from them, and counts for nobody either.
ENDS_OF_USES = frozenset({Kind.OPERATION_FAILED, Kind.OPERATION_UNSETTLED, Kind.SESSION_ENDED})
STOPPED = (BEGINNINGS | USES) - {Kind.JOURNAL_READ}  # while the disk has little room
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
        now = max(each.time for each in entries)
        spent = budgets.spent(connection, actor.id, rate, now)
        if any(each.kind in BEGINNINGS for each in entries if each.actor == actor):
            _need(actor, spent, number, rate)
        budgets.put(connection, actor.id, spent, number, rate, now)


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
