"""What follows when a card has new keys: what used those of before ends, and people are told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from card_os.piv.names import RETIRED, KeyRef
from cloud_keystore.audit import entries, journal
from cloud_keystore.cards.renewal import Changes
from cloud_keystore.custody.use.closing import end_sessions, withdraw
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.cards import Card, HeldKey
from cloud_keystore.model.errors import IllegalCardChange
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.storage import cards, operations, passcodes
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.sessions import Which

WHY = "card renewed"


def close(connection: Connection, card: Card, now: datetime) -> list[str]:
    """End what uses the keys of before, and return the operations that were withdrawn. The card
    stays in its readers, which fetch it again.
    """
    passcodes.drop_proofs(connection, card.id)
    end_sessions(connection, now, KEYSTORE, WHY, Which(card_id=card.id))
    waiting = operations.open_of(connection, card.id)
    return withdraw(connection, waiting, now, KEYSTORE, WHY)


def tell(connection: Connection, card: Card, changes: Changes, now: datetime, actor: Actor) -> Card:
    """Tell the holder, and the journal, of a card that was renewed; returns it as it is now. From
    the entries an auditor knows what has become of each key.
    """
    after = cards.named(connection, card.serial)

    def about(kind: Kind, **said: Detail) -> Entry:
        return entries.about_card(kind, card, now, actor, said)

    told = [
        about(Kind.KEY_MOVED, key_ref=f"{KeyRef.KEY_MANAGEMENT:02X}", to=f"{key_ref:02X}")
        for key_ref in changes.keys
        if key_ref in RETIRED
    ]
    told += [
        about(Kind.KEY_MADE, key_ref=f"{key_ref:02X}", algorithm=key.algorithm.name, key=key.id)
        for key_ref, key in changes.keys.items()
        if isinstance(key, HeldKey)
    ]
    ends = {"old_end": card.expire_time.isoformat(), "end": after.expire_time.isoformat()}
    journal.append(connection, about(Kind.CARD_RENEWED, **ends), *told)
    until = f"{after.expire_time.day} {after.expire_time:%B %Y}"
    outbox.about_card(connection, Template.CARD_RENEWED, after, now, until=until)
    return after


def out_of_use(card: Card) -> IllegalCardChange:
    """What to raise about a card that is not in use."""
    return IllegalCardChange(f"card {card.serial} is {card.state}: it cannot renew")
