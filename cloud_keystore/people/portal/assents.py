"""What holders do at the portal that their phone has to agree to. A wrong number is a no; a phone
that says that it was not its holder logs everybody out there, and ends what was mailed for another
password.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.approval import statement
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials import accepting, app_pins
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    InvalidInput,
    OperationClosed,
    OperationNotFound,
    TooManyCalls,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.operations import Assertion
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.portal.assents import (
    MOST,
    WINDOW,
    WORDS,
    Assent,
    AssentState,
    Subject,
    new_number,
)
from cloud_keystore.model.portal.codes import Purpose
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.credentials.portal import assents
from cloud_keystore.storage.credentials.portal import codes as code_rows
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import visits

NO_PHONE = "you have no phone that could agree: ask your registration authority for an invitation"
_LIVE = frozenset({AssentState.WAITING, AssentState.AGREED})
_OF_CARDS = frozenset({Subject.PASSCODE, Subject.RENEWAL})


@dataclass(frozen=True, slots=True)
class Question:
    """What a phone is asked, as it shows it. Its number is on the portal's page alone."""

    id: str
    subject: Subject
    card_serial: str  # empty: it is about no card
    create_time: datetime
    answer_until: datetime

    @property
    def title(self) -> str:
        """The question, in words."""
        return WORDS[self.subject][0].format(card=self.card_serial)

    @property
    def text(self) -> str:
        """What a yes leads to, in words."""
        return WORDS[self.subject][1]


@dataclass(frozen=True, slots=True)
class Assents:
    """Asks a holder's phones, and takes their answers."""

    database: Database
    clock: Clock
    random: Random
    wake: Wake

    def ask(
        self,
        connection: Connection,
        user: User,
        subject: Subject,
        about: str,
        holder: Identity | None,
        phone_id: str | None = None,
    ) -> Assent:
        """Ask the phones of a user, or one of them alone, in the transaction of the caller, who
        wakes them after it; nobody asks who has logged in if there is no holder. The question
        before about the same is void. Raises InvalidInput if there is no phone, and TooManyCalls.
        """
        now = self.clock()
        phones = [each for each in people.list_devices(connection, user.id) if each.is_active(now)]
        if not [each for each in phones if phone_id in (None, each.id)]:
            raise InvalidInput(NO_PHONE)
        if assents.count(connection, user.id, now - WINDOW) >= MOST:
            raise TooManyCalls(
                "your phone was asked too often without a yes: wait ten minutes",
                WINDOW.total_seconds(),
            )
        made = Assent(
            id=new_id(now, self.random),
            user_id=user.id,
            subject=subject,
            about=about,
            number=new_number(self.random),
            state=AssentState.WAITING,
            create_time=now,
            device_id=phone_id,
        )
        assents.add(connection, made)
        self._tell(connection, Kind.ASSENT_ASKED, made, user, holder, now)
        return made

    def waiting(self, device: Identity) -> tuple[Question, ...]:
        """What the phones of a device's holder are asked now. Raises IdentityRejected."""
        now = self.clock()
        with self.database.read() as connection:
            user = _phone_owner(connection, device, now)
            found = assents.since(connection, user.id, now - WINDOW)
            return tuple(
                _question(connection, each)
                for each in found
                if each.state_at(now) is AssentState.WAITING and each.device_id in (None, device.id)
            )

    def answer(
        self,
        assent_id: str,
        number: str,
        device: Identity,
        *,
        agrees: bool,
        is_me: bool,
        signature: bytes = b"",
        assertion: Assertion | None = None,
    ) -> AssentState:
        """Take the answer of a phone; only the first one counts, and a number that is not the
        portal's is a no. If it was not the holder, everybody is logged out at the portal. Raises
        InvalidInput, OperationNotFound, OperationClosed, IdentityRejected, and ApprovalRejected for
        a yes without the PIN for which the phone asks, or that its approval key has not signed.
        """
        now = self.clock()
        with self.database.write() as connection:
            user = _phone_owner(connection, device, now)
            made = assents.find(connection, assent_id)
            if made is None or made.user_id != user.id or made.device_id not in (None, device.id):
                raise OperationNotFound("you are asked no such thing")
            if made.state_at(now) is not AssentState.WAITING:
                raise OperationClosed("too late: begin again at the portal")
            if agrees and is_me:
                app_pins.check_given(connection, device, assent_id, now)
                accepting.check_number_form(number)
                key = accepting.key_of(connection, device)
                signed = statement.assent(made.id, number)
                accepting.check_answer(connection, device, key, signed, signature, assertion)
            fits = compare_digest(made.number.encode(), number.encode(errors="replace"))
            state = AssentState.AGREED if agrees and is_me and fits else AssentState.DENIED
            if not assents.move(connection, made, state, device.id):
                raise OperationClosed("another phone of yours was faster")
            kind = Kind.ASSENT_AGREED if state is AssentState.AGREED else Kind.ASSENT_DENIED
            self._tell(connection, kind, made, user, device, now, is_me=is_me)
            if not is_me:
                visits.end_all(connection, Role.HOLDER, user.id, now)
                code_rows.end_all(connection, user.id, Purpose.PASSWORD, now)
        # Its other phones are asked no longer.
        self.wake([user.id])
        return state

    def state_of(
        self, connection: Connection, user: User, subject: Subject, about: str
    ) -> Assent | None:
        """The newest question about something; None if there is none any more."""
        found = assents.since(connection, user.id, self.clock() - WINDOW)
        own = [each for each in found if each.subject is subject and each.about == about]
        live = [each for each in own if each.state in _LIVE]
        return (live or own)[-1] if own else None

    def take(self, connection: Connection, user: User, subject: Subject, about: str) -> AssentState:
        """Use the yes about something, once, in the transaction in which that is done; returns
        AGREED if there was one, or else how far it is.
        """
        made = self.state_of(connection, user, subject, about)
        if made is None:
            return AssentState.OVER
        state = made.state_at(self.clock())
        if state is not AssentState.AGREED:
            return state
        used = assents.move(connection, made, AssentState.USED)
        return AssentState.AGREED if used else AssentState.USED

    def _tell(
        self,
        connection: Connection,
        kind: Kind,
        made: Assent,
        user: User,
        by: Identity | None,
        now: datetime,
        *,
        is_me: bool = True,
    ) -> None:
        said: dict[str, Detail] = {"subject": str(made.subject), "about": made.about}
        if not is_me:
            said["not_me"] = True
        actor = KEYSTORE if by is None else by.actor
        journal.append(connection, entries.about_user(kind, user, now, actor, said))


def _phone_owner(connection: Connection, device: Identity, now: datetime) -> User:
    """The holder of a phone: nobody at the portal answers."""
    if device.role is not Role.DEVICE:
        raise OperationNotFound("you are asked no such thing")
    return owner(connection, device, now)


def _question(connection: Connection, made: Assent) -> Question:
    card = cards.find(connection, made.about) if made.subject in _OF_CARDS else None
    serial = "" if card is None else card.serial
    return Question(made.id, made.subject, serial, made.create_time, made.answer_until)
