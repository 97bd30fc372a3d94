"""Raises alerts, with their entry in the journal, in the transaction of what they report."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.alerts import Alert, AlertKind
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import alerts


def raise_alert(
    connection: Connection, kind: AlertKind, card: Card, text: str, now: datetime, random: Random
) -> Alert:
    """Add an alert about a card for the registration authority."""
    alert = Alert(new_id(now, random), kind, card.id, card.user_id, text, now)
    alerts.add(connection, alert)
    raised = entries.about_alert(Kind.ALERT_RAISED, alert, now, KEYSTORE, {"text": text})
    journal.append(connection, raised)
    return alert


def too_many_refusals(
    connection: Connection, card: Card, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that a card's holder gets no requests for a while. Return None, and add nothing,
    if such an alert of the card is not acknowledged yet.
    """
    kind = AlertKind.TOO_MANY_REFUSALS
    if alerts.is_open(connection, kind, card.id):
        return None
    text = (
        f"Many requests of card {card.serial} were refused, ignored or withdrawn within minutes, "
        "and its holder gets no requests for a while. Ask the holder who made them; suspend "
        "the card if nobody knows."
    )
    return raise_alert(connection, kind, card, text, now, random)
