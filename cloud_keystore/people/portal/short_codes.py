"""Short codes: an invitation's token is long; who is spoken with, or types on a phone, gets it by a
few letters, which are good for half an hour and five tries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import InvalidInput, TooManyCalls
from cloud_keystore.model.fields.short_codes import (
    CODE_TRIES,
    MOST_MADE,
    MOST_WRONG,
    SECRET,
    TIME,
    WRONG_TIME,
    ShortCode,
    letters,
    new_place,
    parse,
    written,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import Identity, IdentityState
from cloud_keystore.model.portal.codes import HOUR
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.people import People, Token
from cloud_keystore.storage import people
from cloud_keystore.storage.enrolment import addresses
from cloud_keystore.storage.enrolment import short_codes as rows


@dataclass(frozen=True, slots=True)
class ShortCodes:
    """Makes short codes, and gives the token for one."""

    people: People

    def make(self, user_id: str, *, actor: Actor) -> Token:
        """A short code for the newest open invitation of a user, in the place of one that was made
        before. Whoever makes it could have the phone. Raises UserNotFound, UserClosed, NotAllowed,
        TooManyCalls, and InvalidInput if no invitation is open.
        """
        own = self.people
        with acting.changing(own.database, actor, own.clock()) as by:
            by.user(user_id, Right.DEVICES)
            user = people.present(by.connection, user_id)
            invited = [
                each
                for each in people.list_devices(by.connection, user.id)
                if each.state is IdentityState.INVITED
                and own.token_of(by.connection, each.id) is not None
            ]
            if not invited:
                raise InvalidInput(
                    "user_id has no open invitation: invite a phone first (cloudcard ra user "
                    "invite)"
                )
            newest = max(invited, key=lambda each: each.create_time)
            addresses.reached(by.connection, newest.id, str(actor))
            return self.make_for(by.connection, newest, user.organisation_id, by.now, actor)

    def make_for(
        self,
        connection: Connection,
        invited: Identity,
        organisation_id: str,
        now: datetime,
        actor: Actor,
    ) -> Token:
        """A short code for an invitation, in the transaction of the caller, who may do so."""
        own = self.people
        if rows.count(connection, invited.id, now - HOUR) >= MOST_MADE:
            raise TooManyCalls(
                "as many short codes were made as there may be for a while: wait an hour",
                HOUR.total_seconds(),
            )
        while rows.is_taken(connection, place := new_place(own.random), now):
            pass
        code = ShortCode(
            id=new_id(now, own.random),
            place=place,
            identity_id=invited.id,
            organisation_id=organisation_id,
            tries_left=CODE_TRIES,
            create_time=now,
            expire_time=now + TIME,
        )
        rows.add(connection, code)
        said: dict[str, Detail] = {"identity": invited.id}
        told = entries.about_identity(Kind.SHORT_CODE_MADE, invited, now, actor, said)
        journal.append(connection, told)
        return Token(written(place, self._secret(code.id)), code.expire_time)

    def exchange(self, text: str) -> Token | None:
        """The token for a short code, as long as its invitation is open; None for whatever is no
        good code, of which nothing more is told.
        """
        own, now, given = self.people, self.people.clock(), parse(text)
        if given is None:
            return None
        with own.database.write() as connection:
            code = rows.spend_try(connection, given.place, now)
            # The same is derived and compared whether there is such a code.
            secret = self._secret("" if code is None else code.id)
            fits = compare_digest(secret.encode(), given.secret.encode())
            if code is None:
                return None
            invited = people.find_identity(connection, code.identity_id)
            if invited is None or invited.state is not IdentityState.INVITED:
                return None
            if not fits:
                said: dict[str, Detail] = {"tries_left": code.tries_left}
                told = entries.about_identity(Kind.SHORT_CODE_WRONG, invited, now, KEYSTORE, said)
                journal.append(connection, told)
                return None
            rows.give_back(connection, code)
            if rows.wrong(connection, code.organisation_id, now - WRONG_TIME) >= MOST_WRONG:
                return None
            return own.token_of(connection, code.identity_id)

    def _secret(self, code_id: str) -> str:
        return letters(self.people.seal.derive("short code", code_id.encode()), SECRET)
