"""What holders have chosen for log-ins, and what they have for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.people import User
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials.portal import factors, passkeys
from cloud_keystore.storage.outbox import notifications as outbox


def in_force(connection: Connection, user: User, now: datetime) -> Factor:
    """What a log-in needs: what was chosen, as long as there is a phone, a passkey, or a verified
    number.
    """
    chosen = factors.find(connection, user.id)
    if chosen is Factor.PHONE and can_phone(connection, user, now):
        return chosen
    if chosen is Factor.SMS and can_sms(connection, user):
        return chosen
    if chosen is Factor.PASSKEY and can_passkey(connection, user):
        return chosen
    return Factor.EMAIL


def can_phone(connection: Connection, user: User, now: datetime) -> bool:
    """Whether somebody has a phone that can be asked."""
    return any(each.is_active(now) for each in people.list_devices(connection, user.id))


def can_sms(connection: Connection, user: User) -> bool:
    """Whether somebody has a verified number, to which codes go."""
    verified = bool(user.phone) and user.phone_verify_time is not None
    return verified and outbox.tells(connection, Medium.SMS)


def can_passkey(connection: Connection, user: User) -> bool:
    """Whether somebody has a passkey."""
    return bool(passkeys.of_user(connection, user.id))
