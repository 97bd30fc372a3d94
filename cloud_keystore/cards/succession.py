"""What becomes of a card when another is in its place."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.cards.life import move_card
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.cards import OVER, Card, CardEvent, CardState
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.people.contacts import accounts
from cloud_keystore.storage import cards


def replaced(
    connection: Connection, card: Card, why: str, now: datetime, actor: Actor
) -> list[str]:
    """Tell of which card a new one is in the place, and revoke that one if the new one is in use
    already. Returns the topics to wake.
    """
    before = cards.find(connection, card.replaces_id) if card.replaces_id else None
    if before is None:
        return []
    said = {"reason": why, "by": card.id}
    journal.append(connection, entries.about_card(Kind.CARD_REPLACED, before, now, actor, said))
    ended = end_replaced(connection, card, now) if card.state is CardState.ACTIVE else []
    return [before.user_id, *ended]


def come_into_use(connection: Connection, card: Card, now: datetime) -> list[str]:
    """What follows when a holder has set a card's first passcode: Windows accounts that waited for
    it are in use, and what it replaces is revoked. Returns the topics to wake.
    """
    accounts.complete(connection, card.user_id, now)
    return end_replaced(connection, card, now)


def end_replaced(connection: Connection, card: Card, now: datetime) -> list[str]:
    """Revoke what a card that is now in use replaces, and what that has replaced. Returns the
    topics to wake.
    """
    topics: list[str] = []
    before = card
    while before.replaces_id is not None:
        found = cards.find(connection, before.replaces_id)
        if found is None:
            break
        before = found
        if before.state not in OVER:
            reason, code = f"replaced by card {card.serial}", RevocationReason.SUPERSEDED
            topics += move_card(connection, before, CardEvent.REVOKE, now, KEYSTORE, reason, code)
    return topics
