"""Cards, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path

from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.rest import models as m
from cloud_keystore.rest import translating
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.paging import ITEMS, Limit, PageToken, cut, page_of

Serial = Annotated[str, Path(max_length=64, description="Serial number of the card.")]


@dataclass(frozen=True, slots=True)
class CardCalls:
    """What can be asked about cards."""

    issuing: Issuing
    cards: Life
    prolonging: Prolonging
    replacing: Replacing
    unlocking: Unlocking
    organisations: Organisations

    def list_cards(self, limit: Limit = ITEMS, page_token: PageToken = "") -> m.CardPage:
        """The cards whose holders the client sees, by serial number."""
        found = self.cards.list_all(page_of("cards", limit, page_token), actor=current().actor)
        items, following = cut("cards", found, limit, lambda each: each.card.serial)
        return m.CardPage(
            cards=[translating.card(each) for each in items], next_page_token=following
        )

    def issue(self, asked: m.NewCard) -> m.WholeCard:
        """Issue a card. Repeated with the same Idempotency-Key, it is the same card."""
        actor, request_id = current().actor, current().request_id()
        made = self.issuing.issue(
            request_id, asked.user_id, asked.profile, asked.organisation_id, actor=actor
        )
        return self._whole(made.card.serial, actor)

    def resume_issuing(self, serial: Serial) -> m.WholeCard:
        """Go on with a card whose issuing has failed or was cancelled."""
        actor = current().actor
        self.issuing.resume(serial, actor=actor)
        return self._whole(serial, actor)

    def cancel_issuing(self, serial: Serial) -> m.Card:
        """Give up a card that is not issued yet, and destroy what was made for it."""
        return translating.card(self.issuing.cancel(serial, actor=current().actor))

    def show_card(self, serial: Serial) -> m.WholeCard:
        """One card with its keys."""
        return self._whole(serial, current().actor)

    def suspend(self, serial: Serial) -> m.Card:
        """Take a card out of use; what is open with it ends."""
        return translating.card(self.cards.suspend(serial, actor=current().actor))

    def resume(self, serial: Serial) -> m.Card:
        """Put a suspended card back in use."""
        return translating.card(self.cards.resume(serial, actor=current().actor))

    def revoke(self, serial: Serial, asked: m.Revocation) -> m.Card:
        """Take a card out of use for ever, revoke its certificates and destroy its keys."""
        revoked = self.cards.revoke(
            serial,
            asked.reason,
            _code(asked.code),
            _utc("invalid_since", asked.invalid_since),
            actor=current().actor,
        )
        return translating.card(revoked)

    def unlock(self, serial: Serial) -> m.UnlockedCard:
        """Ask to unlock a card, or agree if somebody else has asked. Its holder can agree too."""
        asked = self.unlocking.ask(serial, actor=current().actor)
        return m.UnlockedCard(
            card=translating.card(asked.listing),
            unlocked=asked.expire_time is None,
            expires=asked.expire_time,
        )

    def renew(self, serial: Serial, asked: m.Renewal) -> m.RenewedCard:
        """Give a card that ends soon new keys and certificates."""
        actor = current().actor
        if asked.dry_run:
            return translating.renewed(self.prolonging.foresee(serial, actor=actor))
        known = _utc("expires", asked.expires)
        return translating.renewed(self.prolonging.renew(serial, known, actor=actor))

    def replace(self, serial: Serial, asked: m.Replacing) -> m.ReplacedCard:
        """Give the holder of a card another one in its place. The card goes on until that is in
        use, and is revoked at once if it is compromised. Repeated, it issues no other card.
        """
        actor = current().actor
        if asked.dry_run:
            return translating.replaced(self.replacing.foresee(serial, actor=actor))
        return translating.replaced(self.replacing.replace(serial, asked.reason, actor=actor))

    def list_organisations(self) -> m.Organisations:
        """The organisations that the client sees, by name."""
        found = self.organisations.list_all(actor=current().actor)
        return m.Organisations(organisations=[translating.organisation(each) for each in found])

    def add_organisation(self, asked: m.NewOrganisation) -> m.Organisation:
        """Add an organisation below another one: where the client may do so, if none is named."""
        made = self.organisations.add(asked.name, current().caller, asked.parent_id)
        return translating.organisation(made)

    def list_profiles(self) -> m.Profiles:
        """What new cards can be made of."""
        return m.Profiles(profiles=[translating.profile(each) for each in PROFILES.values()])

    def _whole(self, serial: str, actor: Actor) -> m.WholeCard:
        return translating.whole_card(
            self.cards.find(serial, actor=actor),
            self.cards.keys(serial, actor=actor),
            self.replacing.neighbours(serial, actor=actor),
        )


def _code(name: str) -> RevocationReason:
    """The reason that a request names; raises InvalidInput if it is none."""
    try:
        return RevocationReason(name)
    except ValueError:
        raise InvalidInput(
            f"code is none of the reasons for which a card is revoked: use one of "
            f"{', '.join(RevocationReason)}"
        ) from None


def _utc(name: str, given: datetime | None) -> datetime | None:
    """A time of a request; raises InvalidInput for one that is none in UTC."""
    try:
        return None if given is None else given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} is a time from year 1 to 9999") from None
