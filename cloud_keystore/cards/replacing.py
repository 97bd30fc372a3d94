"""Replacing a card by another of the same holder and profile."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from card_os.uses import REQUEST_ID_BYTES
from cloud_keystore.audit import acting
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.life import CardListing, listing_of, move_card, risks
from cloud_keystore.cards.making import Order
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import UNISSUED, Card, CardEvent, CardState, Replacement
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.rights.requests import Action, Deed, Second
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import custom_profiles


@dataclass(frozen=True, slots=True)
class Replaced:
    """A card, and the one in its place; None if there is none yet."""

    before: CardListing
    card: CardListing | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Serial numbers of the card that a card replaces, and of the one that replaces it; empty
    without one.
    """

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Replacing:
    """Replaces cards."""

    database: Database
    clock: Clock
    random: Random
    issuing: Issuing
    wake: Wake
    second: Second | None = None  # who approves what is done

    def foresee(self, serial: str, *, actor: Actor) -> Replaced:
        """A card with the one that is in its place already; raises CardNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            return _replaced(by.connection, by.card(serial, Right.ISSUE))

    def replace(self, serial: str, why: str, *, actor: Actor) -> Replaced:
        """Make a card in the place of another, which goes on until the new one is in use, and is
        revoked then; at once if its keys may be in wrong hands. A card that was replaced before is
        not replaced again, so that a call can be repeated, and be more severe.

        Raises CardNotFound, NotAllowed, UserClosed, InvalidInput, and IllegalCardChange for a card
        that is not issued.
        """
        if why not in set(Replacement):
            raise InvalidInput(f"reason is {why!r}: use one of {', '.join(Replacement)}")
        with acting.looking(self.database, actor, self.clock()) as by:
            before = by.card(serial, Right.ISSUE)
            if before.state in UNISSUED:
                raise IllegalCardChange(
                    f"card {serial} is {before.state}: there is none to replace"
                )
            profile = custom_profiles.made_of(by.connection, before)
            custom = custom_profiles.of_card(by.connection, before)

        def there(connection: Connection) -> Card | None:
            return cards.in_place_of(connection, before.id)

        order = Order(
            self.random(REQUEST_ID_BYTES),
            before.user_id,
            profile,
            before.organisation_id,
            before.id,
            why,
            custom,
        )
        if why == Replacement.COMPROMISED:
            self.wake(self._revoke(serial, why, actor))
        self.issuing.make(order, there, actor)
        return self.foresee(serial, actor=actor)

    def _revoke(self, serial: str, why: str, actor: Actor) -> list[str]:
        """Revoke a card that can do harm, before the other is made, which can fail."""
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            # Whoever can give a holder another card can end the one before.
            card = by.card(serial, Right.ISSUE)
            if card.state is CardState.REVOKED:
                return []
            code = RevocationReason.KEY_COMPROMISE
            at = people.holder(by.connection, card).organisation_id
            terms = {"card": serial, "reason": why}
            wanted = Deed(Action.REPLACE_CARD, Right.ISSUE, at, serial, terms)
            by.need_second(risks(code), wanted, self.second)
            return move_card(by.connection, card, CardEvent.REVOKE, now, actor, why, code)

    def neighbours(self, serial: str, *, actor: Actor) -> Neighbours:
        """The cards before and after a card; raises CardNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            connection, card = by.connection, by.card(serial, Right.VIEW)
            before = cards.find(connection, card.replaces_id) if card.replaces_id else None
            after = cards.in_place_of(connection, card.id)
        return Neighbours(before.serial if before else "", after.serial if after else "")


def _replaced(connection: Connection, before: Card) -> Replaced:
    after = cards.in_place_of(connection, before.id)
    return Replaced(
        listing_of(connection, before), None if after is None else listing_of(connection, after)
    )
