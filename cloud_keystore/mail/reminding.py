"""Reminds holders that their cards end: 90, 30 and 7 days before, once each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cloud_keystore.mail.letters import time_in_words
from cloud_keystore.model.cards import ENDS_DAYS, Card, days_left
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.storage import cards
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox

# In which holders are still told: keystores that stand still for longer leave a reminder out.
WINDOW = timedelta(days=3)
PORTION = 100  # cards in one transaction
INSTANT = timedelta(microseconds=1)


def remind(database: Database, now: datetime) -> None:
    """Let holders be told of cards that end, and for which no other card is made."""
    with database.read() as connection:
        if not outbox.tells(connection, Medium.EMAIL):
            return
    for days in ENDS_DAYS:
        for some in _ending(database, now + timedelta(days=days)):
            with database.read() as connection:
                untold = [
                    card
                    for card in some
                    if not outbox.is_known(connection, Template.CARD_ENDS, _once(card, days))
                    and cards.in_place_of(connection, card.id) is None
                ]
            if untold:
                with database.write() as connection:
                    for card in untold:
                        outbox.about_card(
                            connection,
                            Template.CARD_ENDS,
                            card,
                            now,
                            _once(card, days),
                            days=str(days_left(card, now)),
                            until=time_in_words(card.expire_time),
                        )


def _ending(database: Database, end: datetime) -> Iterator[list[Card]]:
    """Cards that end at a time, or within the window before it, some in each portion."""
    since = (end - WINDOW, "")
    while True:
        with database.read() as connection:
            some = cards.ending(connection, since, end + INSTANT, PORTION)
        if not some:
            return
        yield some
        since = (some[-1].expire_time, some[-1].serial)


def _once(card: Card, days: int) -> str:
    """What is told once; of a card that was renewed, anew."""
    return f"{card.id} {card.expire_time.isoformat()} {days}"
