"""Renewing one's own card in its last 90 days: what an operator's renewal does, with the yes of a
phone in the place of the operator's right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.cards.prolonging import Prolonged, Prolonging, Reach
from cloud_keystore.custody.credentials.passcodes import held
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import ApprovalRejected, IllegalCardChange, PortalClosed
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.assents import AssentState, Subject
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.people.portal.resets import NOT_ALLOWED
from cloud_keystore.storage import policies


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a renewal would bring, and how far the phone is: the number to type there, empty if it
    was not asked.
    """

    foreseen: Prolonged
    number: str
    state: AssentState


@dataclass(frozen=True, slots=True)
class Renewed:
    """A card that was renewed; None if the phone has not agreed."""

    done: Prolonged | None
    phone: AssentState = AssentState.USED


@dataclass(frozen=True, slots=True)
class Renewals:
    """Renews holders' own cards. Methods raise CardNotFound, PortalClosed if no policy allows it,
    IllegalCardChange if it is too early or the card has ended, and IdentityRejected.
    """

    prolonging: Prolonging
    assents: Assents

    def look(self, serial: str, holder: Identity) -> Waiting:
        """What it would bring, and how far it is."""
        own = self.assents
        found = self.prolonging.foreseen(serial, _ByHolder(own, holder))
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock())
            card_id = found.listing.card.id
            made = own.state_of(connection, user, Subject.RENEWAL, card_id)
        state = AssentState.OVER if made is None else made.state_at(own.clock())
        return Waiting(found, "" if made is None else made.number, state)

    def ask(self, serial: str, holder: Identity) -> Waiting:
        """Ask the phones. Raises InvalidInput without one, TooManyCalls."""
        own = self.assents
        self.prolonging.foreseen(serial, _ByHolder(own, holder))
        with own.database.write() as connection:
            user = owner(connection, holder, own.clock())
            card = _allowed(connection, serial, holder, own.clock())
            own.ask(connection, user, Subject.RENEWAL, card.id, holder)
        own.wake([user.id])
        return self.look(serial, holder)

    def renew(self, serial: str, holder: Identity) -> Renewed:
        """Renew the card, if a phone has agreed. Raises Overloaded."""
        waiting = self.look(serial, holder)
        if waiting.state is not AssentState.AGREED:
            return Renewed(None, waiting.state)
        try:
            return Renewed(self.prolonging.renewed(serial, None, _ByHolder(self.assents, holder)))
        except ApprovalRejected:
            return Renewed(None, AssentState.USED)


@dataclass(frozen=True, slots=True)
class _ByHolder:
    """A holder at the portal, who needs the yes of a phone for what changes."""

    assents: Assents
    holder: Identity

    @property
    def actor(self) -> Actor:
        return self.holder.actor

    @contextmanager
    def looking(self) -> Iterator[Reach]:
        """A transaction in which the holder's own card is found."""
        own = self.assents
        with own.database.read() as connection:
            owner(connection, self.holder, own.clock())
            yield Reach(
                connection,
                lambda serial: _allowed(connection, serial, self.holder, own.clock()),
            )

    @contextmanager
    def changing(self) -> Iterator[Reach]:
        """A transaction in which the yes is used with the card for which it was given."""
        own = self.assents
        with own.database.write() as connection:
            user = owner(connection, self.holder, own.clock())

            def taken(serial: str) -> Card:
                card = _allowed(connection, serial, self.holder, own.clock())
                state = own.take(connection, user, Subject.RENEWAL, card.id)
                if state is not AssentState.AGREED:
                    raise ApprovalRejected("your phone has not agreed: ask it again")
                return card

            yield Reach(connection, taken)


def _allowed(connection: Connection, serial: str, holder: Identity, now: datetime) -> Card:
    card = held(connection, serial, holder)
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    if not in_force.policy.portal_changes:
        raise PortalClosed(NOT_ALLOWED)
    if card.expire_time <= now:
        raise IllegalCardChange(
            f"card {serial} has ended: your registration authority can renew it"
        )
    return card
