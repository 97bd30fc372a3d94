"""A user leaves: cards are revoked, phones, invitations and Windows accounts removed, what is open
ends, and the user is closed. What happened is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.cards.life import move_card
from cloud_keystore.custody.use.closing import end_seats
from cloud_keystore.model.cards import OVER, Card, CardEvent
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.accounts import Account
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, IdentityState, User, UserState
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.sharing.seats import Why as WhySeat
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people.contacts import accounts
from cloud_keystore.people.devices import remove_device
from cloud_keystore.people.programs import giving
from cloud_keystore.storage import cards, operations, people, sessions, sign_ins
from cloud_keystore.storage.contacts import accounts as account_rows
from cloud_keystore.storage.credentials.portal import factors, passkeys, passwords, questions
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.sharing.seats import Which as WhichSeats

LEFT = RevocationReason.AFFILIATION_CHANGED  # of the certificates of who has left


@dataclass(frozen=True, slots=True)
class Consequences:
    """What closing a user ends, or would end: nothing if the user was closed before."""

    user: User
    cards: tuple[Card, ...]
    phones: tuple[Identity, ...]
    invitations: tuple[Identity, ...]
    operations: int
    sessions: int
    sign_ins: int
    accounts: tuple[Account, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaving:
    """Closes users. `wake` wakes callers that wait for an operation or a user; `second` is who
    approves what is done.
    """

    database: Database
    clock: Clock
    wake: Wake
    second: Second | None = None

    def foresee(self, user_id: str, operator: Identity) -> Consequences:
        """What `close` would end; raises UserNotFound, NotAllowed."""
        now = self.clock()
        with acting.looking(self.database, operator.actor, now) as by:
            return _consequences(by.connection, by.user(user_id, Right.REVOKE), now)

    def close(self, user_id: str, reason: str, operator: Identity) -> Consequences:
        """End all that a user has, in one transaction, and return what was ended. Who repeats this
        ends nothing more.

        Raises UserNotFound, NotAllowed, InvalidInput, and IdentityRejected if the operator was
        removed meanwhile.
        """
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        now = self.clock()
        with acting.changing(self.database, operator.actor, now) as by:
            ended, topics = close(by, user_id, reason, self.second)
        self.wake(topics)
        return ended


def close(
    by: Acting, user_id: str, reason: str, second: Second | None = None
) -> tuple[Consequences, list[str]]:
    """End all that a user has, in the actor's transaction; returns what was ended, and whom to wake
    after it. Raises UserNotFound, NotAllowed.
    """
    connection, now, actor = by.connection, by.now, by.actor
    ended = _consequences(connection, by.user(user_id, Right.REVOKE), now)
    topics = [user_id]
    for card in ended.cards:
        topics += move_card(connection, card, CardEvent.REVOKE, now, actor, reason, LEFT)
    for device in (*ended.phones, *ended.invitations):
        topics += remove_device(connection, device, reason, now, actor)
    which = WhichSeats(user_id=user_id)
    topics += end_seats(connection, now, actor, WhySeat.REMOVED, which)
    giving.take_all(by, user_id)
    accounts.drop(connection, ended.user, ended.accounts, now, actor)
    passwords.drop(connection, user_id)
    factors.drop(connection, user_id)
    passkeys.end_all(connection, user_id, now)
    questions.replace(connection, user_id, ())
    closed = replace(ended.user, state=UserState.CLOSED, reason=reason)
    if people.change_user(connection, closed):
        terms = {"user": user_id, "reason": reason}
        at, name = closed.organisation_id, closed.display_name
        wanted = Deed(Action.CLOSE_USER, Right.REVOKE, at, name, terms)
        by.need_second({HighRisk.CLOSE_USER}, wanted, second)
        said: dict[str, Detail] = {
            "reason": reason,
            "cards": len(ended.cards),
            "phones": len(ended.phones),
            "invitations": len(ended.invitations),
            "accounts": len(ended.accounts),
        }
        told = entries.about_user(Kind.USER_CLOSED, closed, now, actor, said)
        journal.append(connection, told)
        outbox.put(connection, Template.LEFT, user_id, now, user_id)
    return replace(ended, user=people.user(connection, user_id)), topics


def _consequences(connection: Connection, user: User, now: datetime) -> Consequences:
    held = cards.list_all(connection, user.id)
    devices = people.list_devices(connection, user.id)
    return Consequences(
        user=user,
        cards=tuple(card for card in held if card.state not in OVER),
        phones=tuple(each for each in devices if each.state is IdentityState.ACTIVE),
        invitations=tuple(each for each in devices if each.state is IdentityState.INVITED),
        operations=sum(len(operations.open_of(connection, card.id)) for card in held),
        sessions=len(sessions.list_open(connection, user.id, now)),
        sign_ins=len(sign_ins.open_of(connection, [user.id])),
        accounts=tuple(account_rows.of(connection, user.id)),
    )
