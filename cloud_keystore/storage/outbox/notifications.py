"""Notifications: their table and its rows, which are written in the transaction of what they tell.

In a keystore that has no way to tell it, none is written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    func,
    literal_column,
    select,
)

from cloud_keystore.model.alerts import NOTICES, Alert
from cloud_keystore.model.cards import Card
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.outbox.media import CHAT, Medium, medium_of
from cloud_keystore.model.outbox.notifications import LEASE_TIME, Notification, State, Template
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.surveys.answers import Feedback
from cloud_keystore.storage import people
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import OPEN, is_open, partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import paged, portions
from cloud_keystore.storage.tables import user

OUTBOX = "outbox"  # the name under which a connection keeps the terms; without them it has none
FAILED = "state = 'failed'"
NOTHING: Mapping[str, str] = MappingProxyType({})

notification = authentic(
    "notification",
    Column("id", String, primary_key=True),
    Column("once", String, nullable=False),  # what it tells; that is told once
    Column("template", String, nullable=False),
    Column("user_id", ForeignKey("user.id")),
    Column("about", String, nullable=False),
    Column("facts", String, nullable=False),
    Column("address", String, nullable=False),
    Column("is_fixed", Boolean, nullable=False),
    Column("state", String, nullable=False),
    Column("why", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("next_time", Instant, nullable=False),
    Column("end_time", Instant),
    Index("notification_once", "once", unique=True),
    Index("notification_by_user", "user_id"),
    partial("notification_due", "next_time", where=OPEN),
    partial("notification_failed", "user_id", where=FAILED),
)
n = notification.c
# Within the statement: of a parameter, no database knows that it is that of the index.
HAS_FAILED: ColumnElement[bool] = literal_column(FAILED, Boolean)


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the outbox of a keystore that tells people anything."""

    remind_days: tuple[int, ...]  # after an invitation
    feedback_to: str = ""  # an e-mail address; empty: nobody is told of feedback
    media: frozenset[Medium] = frozenset({Medium.EMAIL})


def put(
    connection: Connection,
    template: Template,
    user_id: str | None,
    now: datetime,
    once: str = "",
    *,
    address: str = "",
    about: str = "",
    facts: Mapping[str, str] = NOTHING,
) -> None:
    """Let a user be told something, unless that was put here before. `once` names what is told once
    and for ever; by default it is told each time. It goes to the address that the user has by then,
    or to another one; a user without an address is not told.
    """
    if not tells(connection, medium_of(template)):
        return
    if not (address or _has_address(connection, user_id)):
        return
    row = _row(template, user_id, now, once, address=address, about=about, facts=facts)
    if rows.one(connection, notification, once=row["once"]) is None:
        rows.add(connection, notification, row)


def put_even(
    connection: Connection,
    template: Template,
    user_id: str | None,
    now: datetime,
    once: str,
    address: str,
) -> None:
    """Let an address get something; it is about what `once` names. What nobody would get is written
    too, and cancelled when it would be sent, so that no caller sees by the time who is known.
    """
    if tells(connection, medium_of(template)):
        row = _row(template, user_id, now, once, address=address, about=once)
        rows.add(connection, notification, row)


def is_known(connection: Connection, template: Template, once: str) -> bool:
    """Whether somebody was told, or is to be told, what is told once."""
    return rows.one(connection, notification, once=f"{template} {once}") is not None


def about_card(
    connection: Connection,
    template: Template,
    card: Card,
    now: datetime,
    once: str = "",
    **facts: str,
) -> None:
    """Let a card's holder be told something of it, as `put` does."""
    named = {"card": card.serial, "profile": card.profile, **facts}
    once = once or f"{card.id} {now.isoformat()}"
    put(connection, template, card.user_id, now, once, facts=named)


def invite(connection: Connection, invited: Identity, now: datetime) -> None:
    """Let a user be invited to enrol a device that was just added, and be reminded of it."""
    terms, to, about = _terms(connection), invited.user_id, invited.id
    if terms is None or Medium.EMAIL not in terms.media:
        return
    if invited.role is not Role.DEVICE or not _has_address(connection, to):
        return
    rows.add(
        connection,
        notification,
        _row(Template.INVITED, to, now, about, about=about),
        *(
            _row(Template.REMINDER, to, now, f"{about} {days}", about=about, days=days)
            for days in terms.remind_days
        ),
    )


def about_device(
    connection: Connection, template: Template, device: Identity, now: datetime, **facts: str
) -> None:
    """Let a device's holder be told something of it, once."""
    named = {"device": device.display_name, **facts}
    put(connection, template, device.user_id, now, device.id, facts=named)


def changed(connection: Connection, before: User, after: User, now: datetime) -> None:
    """Let a user be told of another name or address, which the one before is told of too."""
    if after.display_name != before.display_name:
        names = {"old": before.display_name, "new": after.display_name}
        put(connection, Template.NAME_CHANGED, after.id, now, facts=names)
    if after.email != before.email:
        for address in filter(None, (before.email, after.email)):
            once = f"{after.id} {now.isoformat()} {address}"
            put(connection, Template.EMAIL_CHANGED, after.id, now, once, address=address)
    elif after.next_email and after.email and after.next_email != before.next_email:
        once = f"{after.id} {now.isoformat()} {after.next_email}"
        put(connection, Template.EMAIL_ASKED, after.id, now, once, address=after.email)


def about_feedback(connection: Connection, given: Feedback) -> None:
    """Let whoever looks after the service be told what an operator has said."""
    terms = _terms(connection)
    if terms is not None and terms.feedback_to:
        said, now = {"text": given.text}, given.create_time
        to = terms.feedback_to
        put(connection, Template.FEEDBACK, None, now, given.id, address=to, facts=said)


def about_alert(connection: Connection, alert: Alert) -> None:
    """Let a chat be told that an alert was raised, and nothing of whom it is about."""
    if alert.kind not in NOTICES:
        said = {"kind": alert.kind.value}
        put(connection, Template.ALERT, None, alert.create_time, alert.id, address=CHAT, facts=said)


def tells(connection: Connection, medium: Medium) -> bool:
    """Whether people are told anything by a medium."""
    terms = _terms(connection)
    return terms is not None and medium in terms.media


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `lease` would find anything."""
    query = select(n.id).where(is_open(n.end_time), n.next_time <= now)
    return connection.execute(query.limit(1)).first() is not None


def lease(connection: Connection, now: datetime, most: int) -> list[Notification]:
    """Those that are due, at most so many, the first due first; they are the caller's for
    LEASE_TIME. What somebody else had, whose lease has ended, is among them.
    """
    query = select(notification).where(is_open(n.end_time), n.next_time <= now)
    query = query.order_by(n.next_time).limit(most).with_for_update()
    taken: list[Notification] = []
    for row in rows.authentic(connection, notification, query):
        waiting = _to_notification(row)
        leased = replace(
            waiting, state=State.SENDING, tries=waiting.tries + 1, next_time=now + LEASE_TIME
        )
        values: Values = {
            name: value for name, value in asdict(leased).items() if value != row[name]
        }
        rows.rewrite(connection, notification, row, values)
        taken.append(leased)
    return taken


def move(connection: Connection, leased: Notification, changes: Values) -> bool:
    """Change a notification whose lease the caller has; False if somebody else has it by now."""
    own = [n.id == leased.id, n.state == State.SENDING, n.tries == leased.tries]
    return bool(rows.change(connection, notification, own, changes))


def find(connection: Connection, notification_id: str) -> Notification | None:
    row = rows.one(connection, notification, id=notification_id)
    return None if row is None else _to_notification(row)


def list_all(
    connection: Connection,
    user_id: str,
    page: Page | None = None,
    within: Collection[str] | None = None,
    *,
    failed: bool,
) -> list[Notification]:
    """Notifications of a user (empty: of all users of some organisations; None: of all, and tests),
    oldest first; all, or those that have failed; or a page of them.
    """
    query = paged(select(notification), n.id, page)
    if within is not None:
        query = query.where(n.user_id.in_(select(user.c.id).where(people.belongs(within))))
    if user_id:
        query = query.where(n.user_id == user_id)
    if failed:
        query = query.where(HAS_FAILED)
    return [_to_notification(row) for row in rows.read(connection, notification, query)]


def reminded(connection: Connection, user_ids: Iterable[str]) -> Mapping[str, datetime]:
    """When some users were last reminded of their invitations, by user; those who never were are
    left out.
    """
    sent = select(n.user_id, func.max(n.end_time).label("last")).where(
        n.template == Template.REMINDER, n.state == State.SENT
    )
    return {
        row.user_id: row.last
        for some in portions(user_ids)
        for row in connection.execute(sent.where(n.user_id.in_(some)).group_by(n.user_id))
    }


def undelivered(connection: Connection, user_ids: Iterable[str]) -> Mapping[str, int]:
    """How much that some users are told has failed, by user; those without are left out."""
    failed = select(n.user_id, func.count().label("failed")).where(HAS_FAILED)
    return {
        row.user_id: row.failed
        for some in portions(user_ids)
        for row in connection.execute(failed.where(n.user_id.in_(some)).group_by(n.user_id))
    }


def retry(connection: Connection, user_id: str, now: datetime) -> int:
    """Let what has failed for a user (empty: for anybody) be tried again; return how much that is,
    at most as much as one transaction takes.
    """
    failed = [HAS_FAILED, *([n.user_id == user_id] if user_id else [])]
    again: Values = {"state": State.WAITING, "tries": 0, "next_time": now, "end_time": None}
    return len(rows.sweep(connection, notification, failed, [n.id], again))


def cancel_all(connection: Connection, why: str, now: datetime) -> int:
    """Cancel all that was not sent; return how much that is."""
    gone: Values = {"state": State.CANCELLED, "why": why, "end_time": now}
    return len(rows.change(connection, notification, [is_open(n.end_time)], gone))


def count(connection: Connection) -> Mapping[str, int]:
    """How many were tried and are tried again, and how many have failed, by these words."""
    retrying = select(func.count()).where(is_open(n.end_time), n.tries > 0)
    failed = select(func.count()).where(HAS_FAILED)
    return {
        "retrying": connection.execute(retrying).scalar_one(),
        "failed": connection.execute(failed).scalar_one(),
    }


def _terms(connection: Connection) -> Terms | None:
    terms = connection.info.get(OUTBOX)
    return terms if isinstance(terms, Terms) else None


def _has_address(connection: Connection, user_id: str | None) -> bool:
    user = None if user_id is None else people.find_user(connection, user_id)
    return user is not None and user.email != ""


def _row(
    template: Template,
    user_id: str | None,
    now: datetime,
    once: str,
    *,
    address: str = "",
    about: str = "",
    days: int = 0,
    facts: Mapping[str, str] = NOTHING,
) -> Values:
    """The row of something that is told, after so many days."""
    once = f"{template} {once or f'{user_id} {now.isoformat()}'}"
    digest = sha256(once.encode()).digest()
    told = Notification(
        id=new_id(now, lambda size: digest[:size]),
        template=template,
        user_id=user_id,
        about=about,
        facts=json.dumps(dict(facts), sort_keys=True),
        address=address,
        is_fixed=bool(address),
        state=State.WAITING,
        why="",
        tries=0,
        create_time=now,
        next_time=now + timedelta(days=days),
    )
    return {**asdict(told), "once": once}


@record("notification")
def _to_notification(row: RowMapping) -> Notification:
    known = {name: row[name] for name in Notification.__dataclass_fields__}
    return Notification(
        **known | {"template": Template(row["template"]), "state": State(row["state"])}
    )
