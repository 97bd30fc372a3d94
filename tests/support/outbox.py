"""The outbox of a keystore without its network: what people would be told by e-mail."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cloud_keystore.config import Address, Mail
from cloud_keystore.mail.letters import Letter
from cloud_keystore.mail.notifications import NotificationListing, Notifications
from cloud_keystore.mail.posting import Posting
from cloud_keystore.model.outbox.notifications import Outcome, Template
from cloud_keystore.model.people import User
from cloud_keystore.storage.outbox.notifications import Terms
from support.keystore_world import OPERATOR, Enrolled, World

MAIL = Mail(
    Address("mail.example.org", 587),
    "keystore@example.org",
    "https://cards.example.org",
    help="the service desk, 020 7946 0000",
)


@dataclass
class Told:
    """Who is told what by a keystore that sends e-mail."""

    world: World

    def __post_init__(self) -> None:
        self.world.database.tell_people(Terms(MAIL.remind_days))
        world = self.world
        self.posting = Posting(
            world.database, world.clock, os.urandom, world.people, world.phones, MAIL
        )
        self.notifications = Notifications(world.database, world.clock, sends=True)

    def person(self, email: str = "ada@example.org", name: str = "Ada Byron") -> tuple[User, str]:
        """Somebody who is invited, and the token that the operator sees."""
        user, token = self.world.people.add_user(name, email, actor=self.world.actor)
        assert token is not None
        return user, token.text

    def enrolled(self, email: str = "ada@example.org") -> tuple[User, Enrolled]:
        """Somebody with a phone, who has got all e-mails about that."""
        user, token = self.person(email)
        phone = self.world.enrol(token)
        self.send()
        return user, phone

    def send(self) -> list[Letter]:
        """The letters that are due; a mail server takes all of them."""
        sent: list[Letter] = []
        while letters := self.posting.take():
            for each in letters:
                self.posting.tell(each.notification_id, each.tries, Outcome.TAKEN, "")
            sent += letters
        return sent

    def subjects(self) -> list[str]:
        """What the letters that are due are about."""
        return [each.subject for each in self.send()]

    def listed(
        self, user: User | None = None, *, failed: bool = False
    ) -> list[NotificationListing]:
        """What an operator sees, without reminders."""
        found = self.notifications.list_all(
            "" if user is None else user.id, failed=failed, actor=OPERATOR
        )
        return [each for each in found if each.notification.template is not Template.REMINDER]
