"""Raises alerts, with their entry in the journal, in the transaction of what they report."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.alerts import Alert, AlertKind
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.passcodes import MOST_GUESSES
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.storage import alerts, people


def raise_alert(
    connection: Connection,
    kind: AlertKind,
    card: Card | None,
    text: str,
    now: datetime,
    random: Random,
    workstation: Identity | None = None,
    user_id: str | None = None,
) -> Alert:
    """Add an alert about a card, a workstation, both, or a holder alone."""
    alert = Alert(new_id(now, random), kind, None, user_id, text, now)
    if card is not None:
        alert = replace(alert, card_id=card.id, user_id=card.user_id)
    if workstation is not None:
        alert = replace(alert, workstation_id=workstation.id)
    alerts.add(connection, alert)
    raised = entries.about_alert(Kind.ALERT_RAISED, alert, now, KEYSTORE, {"text": text})
    journal.append(connection, raised)
    return alert


def too_many_refusals(
    connection: Connection, card: Card, workstation: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that a card's holder gets no requests from a workstation for a while. Return
    None, and add nothing, if such an alert of both is not acknowledged yet.
    """
    kind = AlertKind.TOO_MANY_REFUSALS
    if alerts.is_open(connection, kind, card.id, workstation.id):
        return None
    text = (
        f"Many requests of card {card.serial} at workstation {workstation.display_name} were "
        "refused, ignored or withdrawn, and its holder gets no requests from there for a while. "
        "Ask the holder who made them; suspend the card, or remove the workstation, if nobody "
        "knows."
    )
    return raise_alert(connection, kind, card, text, now, random, workstation)


def repeated_unlocks(
    connection: Connection, card: Card, unlocks: int, now: datetime, random: Random
) -> Alert | None:
    """Add an alert, for the holder too, that a card was unlocked again and again. Return None, and
    add nothing, if such an alert of the card is not acknowledged yet.
    """
    kind = AlertKind.REPEATED_UNLOCKS
    if alerts.is_open(connection, kind, card.id):
        return None
    text = (
        f"Card {card.serial} was unlocked {unlocks} times, and its right passcode was not given in "
        "between: somebody may be guessing it. If the holder did not type all of the wrong "
        "passcodes, suspend the card and examine the workstations that the journal names."
    )
    return raise_alert(connection, kind, card, text, now, random)


def wrong_passcodes(
    connection: Connection, workstation: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add an alert that a workstation checks no passcodes for a while. Return None, and add
    nothing, if such an alert of the workstation is not acknowledged yet.
    """
    kind = AlertKind.WRONG_PASSCODES
    if alerts.is_open(connection, kind, workstation_id=workstation.id):
        return None
    text = (
        f"{MOST_GUESSES} passcodes were wrong at workstation {workstation.display_name} within an "
        "hour, and it checks none for a while. Find out who is there; remove the workstation if "
        "nobody knows."
    )
    return raise_alert(connection, kind, None, text, now, random, workstation)


def new_device(
    connection: Connection, device: Identity, now: datetime, random: Random
) -> Alert | None:
    """Add a notice, for the holder alone, that a device was enrolled. Return None, and add nothing,
    if the holder has no other device.
    """
    known = people.list_devices(connection, device.user_id or "")
    others = [each for each in known if each.id != device.id]
    if not any(each.state is IdentityState.ACTIVE for each in others):
        return None
    text = (
        f'Another phone, "{device.display_name}", was enrolled for you at '
        f"{now:%Y-%m-%d %H:%M} UTC, and can approve in your name. If it is not yours, tell your "
        "registration authority at once, so that they remove it."
    )
    return raise_alert(
        connection, AlertKind.NEW_DEVICE, None, text, now, random, user_id=device.user_id
    )
