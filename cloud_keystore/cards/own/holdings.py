"""A holder with everything that is theirs: cards, phones, sessions, and what happened last."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from cloud_keystore.audit import naming, words
from cloud_keystore.cards.life import CardListing, listing_of
from cloud_keystore.cards.showing import Told
from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.cards import UNISSUED
from cloud_keystore.model.journal import decode
from cloud_keystore.model.people import Identity, IdentityState, User
from cloud_keystore.operations.admitting import Admitting, OpenSignIn
from cloud_keystore.operations.seats import OpenSeat, Seats
from cloud_keystore.operations.sessions import OpenSession, Sessions
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.people.portal.visits import others
from cloud_keystore.storage import cards, people
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.journal import Query

MOST_EVENTS = 100
# Who looks after the card is named by what they are, and not by name.
STAFF = MappingProxyType(
    {
        ActorKind.OPERATOR: "of your registration authority",
        ActorKind.AUDITOR: "of your registration authority",
        ActorKind.CLIENT: "of your registration authority",
    }
)


@dataclass(frozen=True, slots=True)
class Own:
    """A holder's cards that are issued, the oldest first; phones that are not removed; what is open
    with the cards; shared devices at which the holder is signed in; how many other browsers are
    logged in.
    """

    user: User
    cards: tuple[CardListing, ...]
    phones: tuple[Identity, ...]
    sessions: tuple[OpenSession, ...]
    sign_ins: tuple[OpenSignIn, ...]
    seats: tuple[OpenSeat, ...]
    other_visits: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """Shows holders their own, and nothing of anybody else, and ends what is open."""

    sessions: Sessions
    admitting: Admitting
    seats: Seats

    def show(self, holder: Identity) -> Own:
        """What there is of a holder. Raises IdentityRejected, UserClosed."""
        own = self.sessions
        now = own.clock()
        with own.database.read() as connection:
            user = owner(connection, holder, now)
            found = cards.list_all(connection, user.id)
            issued = [listing_of(connection, each) for each in found if each.state not in UNISSUED]
            phones = people.list_devices(connection, user.id)
            elsewhere = len(others(connection, holder, now))
        kept = (each for each in phones if each.state is not IdentityState.REMOVED)
        return Own(
            user,
            tuple(issued),
            tuple(kept),
            tuple(self.sessions.list_open(holder)),
            tuple(self.admitting.list_open(holder)),
            tuple(self.seats.list_open(holder)),
            elsewhere,
        )

    def end_session(self, session_id: str, holder: Identity) -> None:
        """End a session of the holder's. Raises SessionNotFound."""
        self._check(holder)
        self.sessions.end(session_id, holder)

    def end_sign_in(self, sign_in_id: str, holder: Identity) -> None:
        """Take a card of the holder's out of a reader. Raises SignInNotFound."""
        self._check(holder)
        self.admitting.end(sign_in_id, holder)

    def end_seat(self, seat_id: str, holder: Identity) -> None:
        """Sign the holder out at a shared device. Raises SeatNotFound."""
        self._check(holder)
        self.seats.end(seat_id, holder)

    def events(self, holder: Identity) -> tuple[Told, ...]:
        """The last entries of the journal about a holder, the newest first. Raises
        IdentityRejected, UserClosed.
        """
        own = self.sessions
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock())
            found = rows.search(connection, Query(user_id=user.id), None, MOST_EVENTS)
            told = [decode(row.entry) for row in found]
            names = dict(naming.names(connection, told))
        for each in told:
            if each.actor.kind in STAFF:
                names[each.actor.id] = STAFF[each.actor.kind]
        return tuple(Told(each.time, each.kind, words.sentence(each, names)) for each in told)

    def _check(self, holder: Identity) -> None:
        """Raise FactorNeeded before anything is looked for."""
        with self.sessions.database.read() as connection:
            owner(connection, holder, self.sessions.clock())
