"""Notifications for the registration authority, which sees what was not delivered, and tries it
again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.outbox.notifications import Notification, Template
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications


@dataclass(frozen=True, slots=True)
class NotificationListing:
    """A notification as lists show it: with the name of its user, which is empty in a test, and the
    address to which it goes or went.
    """

    notification: Notification
    user_display_name: str


@dataclass(frozen=True, slots=True)
class Notifications:
    """Lists notifications, lets them be tried again, and tests the way."""

    database: Database
    clock: Clock
    sends: bool  # whether this keystore sends e-mail

    def list_all(
        self, user_id: str, page: Page | None = None, *, failed: bool, actor: Actor
    ) -> list[NotificationListing]:
        """Notifications of a user (empty: of all whom the actor sees), oldest first; all, or those
        that have failed; or a page of them. Raises UserNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            if user_id:
                by.user(user_id, Right.VIEW)
            found = notifications.list_all(
                by.connection, user_id, page, by.seen_organisations(), failed=failed
            )
            known = people.with_ids(by.connection, {each.user_id for each in found if each.user_id})
        users = {user.id: user for user in known}
        listings = []
        for each in found:
            user = users.get(each.user_id or "")
            address = each.address or ("" if user is None else user.email)
            name = "" if user is None else user.display_name
            listings.append(NotificationListing(replace(each, address=address), name))
        return listings

    def retry(self, user_id: str, *, actor: Actor) -> int:
        """Let what has failed for a user (empty: for anybody) be tried again, to the address that
        the user has by now; return how much that is. Raises UserNotFound, NotAllowed,
        InvalidInput.
        """
        now, retried = self.clock(), 0
        while True:
            with acting.changing(self.database, actor, now) as by:
                connection = by.connection
                user = by.user(user_id, Right.PEOPLE) if user_id else None
                if user is None:
                    by.need(Right.PEOPLE, ROOT)
                self._check()
                some = notifications.retry(connection, user_id, now)
                if not some:
                    return retried
                kind = Kind.NOTIFICATIONS_RETRIED
                said = {"notifications": some}
                told = (
                    entries.about_keystore(kind, now, actor, said)
                    if user is None
                    else entries.about_user(kind, user, now, actor, said)
                )
                journal.append(connection, told)
            retried += some

    def test(self, address: str, *, actor: Actor) -> None:
        """Send an e-mail to an address, to see whether it arrives. Raises InvalidInput and
        NotAllowed.
        """
        to, now = emails.email(address), self.clock()
        if not to:
            raise InvalidInput("email is empty: give an address")
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            self._check()
            connection = by.connection
            notifications.put(connection, Template.TEST, None, now, address=to)
            told = entries.about_keystore(Kind.NOTIFICATION_TESTED, now, actor)
            journal.append(connection, told)

    def _check(self) -> None:
        if not self.sends:
            raise InvalidInput(
                "this keystore sends no e-mail: its administrator names a mail server "
                "(cloudcard serve --mail-server)"
            )
