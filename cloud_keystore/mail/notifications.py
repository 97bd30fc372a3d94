"""Notifications for the registration authority, which sees what was not delivered, and tries it
again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.notifications import Notification, Template
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

    def list_all(self, user_id: str, *, failed: bool) -> list[NotificationListing]:
        """Notifications of a user (empty: of all), oldest first; all, or those that have failed.
        Raises UserNotFound.
        """
        with self.database.read() as connection:
            if user_id:
                people.user(connection, user_id)
            found = notifications.list_all(connection, user_id, failed=failed)
            known = people.with_ids(connection, {each.user_id for each in found if each.user_id})
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
        the user has by now; return how much that is. Raises UserNotFound, InvalidInput.
        """
        self._check()
        now, retried = self.clock(), 0
        while True:
            with self.database.write() as connection:
                user = people.user(connection, user_id) if user_id else None
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
        """Send an e-mail to an address, to see whether it arrives; raises InvalidInput."""
        self._check()
        to, now = emails.email(address), self.clock()
        if not to:
            raise InvalidInput("email is empty: give an address")
        with self.database.write() as connection:
            notifications.put(connection, Template.TEST, None, now, address=to)
            told = entries.about_keystore(Kind.NOTIFICATION_TESTED, now, actor)
            journal.append(connection, told)

    def _check(self) -> None:
        if not self.sends:
            raise InvalidInput(
                "this keystore sends no e-mail: its administrator names a mail server "
                "(cloudcard serve --mail-server)"
            )
