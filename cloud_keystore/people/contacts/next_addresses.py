"""Another e-mail address of a person: it waits, and the one before stays in force, until somebody
who reads what it gets says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import AddressUnreachable, InvalidInput, UserExists
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.portal.codes import LINK_TIME, MailedCode, Purpose
from cloud_keystore.people import domains
from cloud_keystore.people.likeness import changes, check_new
from cloud_keystore.people.portal import codes
from cloud_keystore.storage import people
from cloud_keystore.storage.credentials.portal import codes as rows
from cloud_keystore.storage.enrolment import addresses
from cloud_keystore.storage.outbox import notifications as outbox


def asked(by: Acting, user: User, changed: User, random: Random) -> User:
    """What a user is changed to whom an operator gives the address that `changed` has: it waits, if
    it has to be verified. The address in force, given again, withdraws one that waits; one that
    waits goes on waiting. Raises InvalidInput, UserExists, TooManyCalls.
    """
    connection, given = by.connection, changed.email
    if given == user.email:
        _end_links(connection, user, by.now)
        return without_next(changed)
    if given and given == user.next_email:
        return replace(changed, email=user.email)
    if not _has_to_wait(connection, user, given):
        _end_links(connection, user, by.now)
        return changed
    check_address(connection, changed, by.held.sees)
    waiting = replace(
        changed,
        email=user.email,
        next_email=given,
        next_email_by=str(by.actor),
        next_email_until=by.now + LINK_TIME,
    )
    send(connection, waiting, by.now, by.actor, random)
    return waiting


def send(
    connection: Connection, user: User, now: datetime, actor: Actor, random: Random
) -> MailedCode:
    """Mail a link to the address that waits; it ends the links before. Raises AddressUnreachable if
    none waits, TooManyCalls.
    """
    if not user.next_email:
        raise AddressUnreachable("no e-mail address waits to be verified: there is nothing to send")
    sent = codes.send(
        connection,
        Template.EMAIL_LINK,
        Purpose.CHANGE,
        user.id,
        user,
        now,
        random,
        address=user.next_email,
    )
    said: dict[str, Detail] = {"email": user.next_email}
    told = entries.about_user(Kind.ADDRESS_LINK_SENT, user, now, actor, said)
    journal.append(connection, told)
    return sent


def put_in_force(connection: Connection, user: User, now: datetime, actor: Actor) -> User | None:
    """Let the address that waits be the user's; None if it is somebody else's by now, or of a
    domain that addresses cannot have any more.
    """
    changed = replace(without_next(user), email=user.next_email, email_verify_time=now)
    try:
        check_address(connection, changed, lambda _: False)
    except (InvalidInput, UserExists):
        return None
    changed = replace(changed, email_by=addresses.given(connection, changed, user.next_email_by))
    _end_links(connection, user, now)
    people.change_user(connection, changed)
    said = {**changes(user, changed), "given_by": user.next_email_by}
    journal.append(connection, entries.about_user(Kind.USER_CHANGED, user, now, actor, said))
    outbox.changed(connection, user, changed, now)
    return changed


def check_address(connection: Connection, user: User, sees: Callable[[str], bool]) -> None:
    """Raise InvalidInput if a user cannot have such an address, and UserExists if it is somebody
    else's. Who has shared one since before can have another name.
    """
    domains.check(connection, user.email)
    others = [each for each in people.like(connection, user) if each.id != user.id]
    check_new(replace(user, upn=""), others, sees, namesake=True)


def without_next(user: User) -> User:
    """A user for whom no address waits."""
    return replace(user, next_email="", next_email_by="", next_email_until=None)


def _has_to_wait(connection: Connection, user: User, given: str) -> bool:
    """Whether an address has to be verified first: one in place of a verified one, or of somebody
    who ever had a phone. Others have nothing yet, and their invitation may have been misdirected.
    Nobody can verify an address where no e-mail is sent.
    """
    if not given or not outbox.tells(connection, Medium.EMAIL):
        return False
    phones = people.list_devices(connection, user.id)
    return user.email_verify_time is not None or any(each.certificate_sha256 for each in phones)


def _end_links(connection: Connection, user: User, now: datetime) -> None:
    if user.next_email:
        for purpose in (Purpose.CHANGE, Purpose.ADDRESS):
            rows.end_all(connection, user.id, purpose, now)
