"""Alerts as the registration authority sees them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.alerts import NOTICE_TIME, Alert
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import AlertNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import alerts, cards, people
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class AlertListing:
    """An alert as lists show it, with the names of its card, holder and workstation; those that it
    does not have are empty.
    """

    alert: Alert
    card_serial: str
    user_display_name: str
    workstation_display_name: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """Lists alerts, and writes down which operator has acknowledged them."""

    database: Database
    clock: Clock

    def list_all(self, *, include_acknowledged: bool, actor: Actor) -> list[AlertListing]:
        """The alerts that nobody has acknowledged, or all alerts, oldest first: those about what
        the actor sees.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = alerts.list_all(by.connection, include_acknowledged=include_acknowledged)
            return [
                _listing(by.connection, alert)
                for alert in found
                if by.held.sees_all or by.held.sees(organisation_of(by, alert))
            ]

    def told_to(self, device: Identity) -> list[AlertListing]:
        """The alerts that a device's holder sees, oldest first: those that nobody has acknowledged,
        and notices of the last 30 days.
        """
        since = self.clock() - NOTICE_TIME
        with self.database.read() as connection:
            found = alerts.told_to(connection, device.user_id or "", since)
            return [_listing(connection, alert) for alert in found]

    def acknowledge(self, alert_id: str, operator: Identity) -> AlertListing:
        """Acknowledge an alert for the operator; does nothing if it is acknowledged already.

        Raises AlertNotFound, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, operator.actor, now) as by:
            connection, alert = by.connection, alerts.find(by.connection, alert_id)
            about = ROOT if alert is None else organisation_of(by, alert)
            if alert is None or not by.held.sees(about):
                raise AlertNotFound("there is no such alert: list them for their identifiers")
            by.need(Right.ALERTS, about)
            if alerts.acknowledge(connection, alert_id, operator.id, now):
                seen = entries.about_alert(Kind.ALERT_ACKNOWLEDGED, alert, now, operator.actor)
                journal.append(connection, seen)
            return _listing(connection, alerts.find(connection, alert_id) or alert)


def organisation_of(by: Acting, alert: Alert) -> str:
    """The organisation of the holder or workstation that an alert is about; the root for others."""
    if alert.user_id is not None:
        user = people.find_user(by.connection, alert.user_id)
        return ROOT if user is None else user.organisation_id
    at = people.find_identity(by.connection, alert.workstation_id or "")
    return ROOT if at is None else at.organisation_id


def _listing(connection: Connection, alert: Alert) -> AlertListing:
    card = None if alert.card_id is None else cards.find(connection, alert.card_id)
    user = None if alert.user_id is None else people.find_user(connection, alert.user_id)
    at = (
        None
        if alert.workstation_id is None
        else people.find_identity(connection, alert.workstation_id)
    )
    return AlertListing(
        alert,
        "" if card is None else card.serial,
        "" if user is None else user.display_name,
        "" if at is None else at.display_name,
    )
