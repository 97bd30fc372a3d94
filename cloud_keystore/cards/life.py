"""The life of an issued card: it is listed, suspended, resumed, revoked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.backends import destroying
from cloud_keystore.custody.use.closing import close_card
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.cards import UNISSUED, Card, CardEvent, CardState, Key
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.custom.profiles import CustomProfile
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.fields.pages import CARD_COLUMNS, Page, order
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.pki.revocation import RevocationReason, Revoked
from cloud_keystore.model.rights.requests import Action, Deed, HighRisk, Second
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.spine.tickets import NEVER, Logins
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.pki.revocation import recording
from cloud_keystore.storage import cards, passcodes, people, unlocks
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import custom_profiles, orders, planned_keys
from cloud_keystore.storage.listing import cards as listing
from cloud_keystore.storage.listing.cards import Chosen
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.revocation import felt
from cloud_keystore.storage.spine import logins

MOVED = {
    CardEvent.CANCEL: Kind.CARD_CANCELLED,
    CardEvent.SUSPEND: Kind.CARD_SUSPENDED,
    CardEvent.RESUME: Kind.CARD_RESUMED,
    CardEvent.REVOKE: Kind.CARD_REVOKED,
}
TOLD = {
    CardEvent.SUSPEND: Template.SUSPENDED,
    CardEvent.RESUME: Template.RESUMED,
    CardEvent.REVOKE: Template.REVOKED,
}
# Whoever can only suspend a card does not put it back in use.
NEEDED = {
    CardEvent.SUSPEND: Right.SUSPEND,
    CardEvent.RESUME: Right.REVOKE,
    CardEvent.REVOKE: Right.REVOKE,
}


@dataclass(frozen=True, slots=True)
class CardListing:
    """A card with its holder and the state of its passcode."""

    card: Card
    user: User
    tries_left: int | None  # None: no passcode is set yet
    cause: str = ""  # why issuing it has failed
    series: str = ""  # what people call cards of its profile
    custom_profile: str = ""  # the name of its profile, if an organisation has defined that
    logins: Logins = NEVER  # at the session broker
    unlock_id: str = ""  # of the unlock that waits for the holder to agree, told to them alone

    @property
    def passcode_state(self) -> str:
        """The state of the passcode in a word: unset, ok or locked."""
        return "unset" if self.tries_left is None else "ok" if self.tries_left else "locked"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cards a list shows, and in which order; what is empty excludes none."""

    sort: str = ""  # a column, after a minus if the last comes first
    states: tuple[CardState, ...] = ()
    profile: str = ""
    prefix: str = ""  # of serial numbers
    organisation_id: str = ""  # for which they were issued, or for one below it


EVERY_CARD = Wanted()


@dataclass(frozen=True, slots=True)
class CardCount:
    """How many cards of a profile are in a state, of those issued for an organisation."""

    organisation_id: str
    profile: str
    state: CardState
    cards: int


@dataclass(frozen=True, slots=True)
class Life:
    """Finds cards, and takes them out of use and back. `second` is who approves what is done."""

    database: Database
    clock: Clock
    wake: Wake
    second: Second | None = None

    def list_all(
        self, page: Page | None = None, wanted: Wanted = EVERY_CARD, *, actor: Actor
    ) -> list[CardListing]:
        """Cards whose holders the actor sees: all that are wanted, in their order, or a page of
        them. Raises InvalidInput, OrganisationNotFound.
        """
        sorted_by = order(wanted.sort, CARD_COLUMNS, "serial" if page else "issued")
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            serials = listing.serials(by.connection, page, sorted_by, _chosen(by, wanted))
            return listings_of(by.connection, serials)

    def count(self, wanted: Wanted = EVERY_CARD, *, actor: Actor) -> list[CardCount]:
        """How many cards there are that are wanted and whose holders the actor sees, by
        organisation, profile and state. Raises OrganisationNotFound.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return [
                CardCount(place, profile, CardState(state), number)
                for place, profile, state, number in listing.counts(
                    by.connection, _chosen(by, wanted)
                )
            ]

    def list_of(self, device: Identity) -> list[CardListing]:
        """The cards of a device's holder that are issued, oldest first."""
        now = self.clock()
        with self.database.read() as connection:
            found = cards.list_all(connection, device.user_id or "")
            return [
                replace(
                    listing_of(connection, card), unlock_id=unlocks.id_of(connection, card, now)
                )
                for card in found
                if card.state not in UNISSUED
            ]

    def find(self, serial: str, *, actor: Actor) -> CardListing:
        """One card; raises CardNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            return listing_of(by.connection, by.card(serial, Right.VIEW))

    def keys(self, serial: str, *, actor: Actor) -> tuple[Key, ...]:
        """A card's keys, without their private parts; raises CardNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            return tuple(cards.keys(by.connection, by.card(serial, Right.VIEW).id))

    def suspend(self, serial: str, *, actor: Actor) -> CardListing:
        """Take a card out of use; its open operations are withdrawn, its sessions end, and its
        certificates are on hold.
        """
        return self._move(serial, CardEvent.SUSPEND, actor)

    def resume(self, serial: str, *, actor: Actor) -> CardListing:
        """Put a suspended card back in use. A locked passcode stays locked."""
        return self._move(serial, CardEvent.RESUME, actor)

    def revoke(
        self,
        serial: str,
        reason: str,
        code: RevocationReason = RevocationReason.UNSPECIFIED,
        invalid_time: datetime | None = None,
        *,
        actor: Actor,
    ) -> CardListing:
        """Take a card out of use for ever, revoke its certificates and erase its keys.

        After the compromise of a key, what it signed after `invalid_time` counts for nothing;
        without that time, all that it has signed. Raises CardNotFound, NotAllowed,
        IllegalCardChange, InvalidInput.
        """
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        if code is RevocationReason.CERTIFICATE_HOLD:
            raise InvalidInput("a card that is to come back is suspended, not revoked")
        if invalid_time is not None:
            if code is not RevocationReason.KEY_COMPROMISE:
                raise InvalidInput(
                    "only the compromise of a key invalidates the past: give no time, or say that "
                    "this is the reason"
                )
            if invalid_time > self.clock():
                raise InvalidInput("the keys cannot be known to be in wrong hands in the future")
        return self._move(serial, CardEvent.REVOKE, actor, reason, code, invalid_time)

    def _move(
        self,
        serial: str,
        event: CardEvent,
        actor: Actor,
        reason: str = "",
        code: RevocationReason = RevocationReason.UNSPECIFIED,
        invalid_time: datetime | None = None,
    ) -> CardListing:
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection, card = by.connection, by.card(serial, NEEDED[event])
            withdrawn = move_card(connection, card, event, now, actor, reason, code, invalid_time)
            outbox.about_card(
                connection, TOLD[event], card, now, reason=reason, who="your registration authority"
            )
            listing = listing_of(connection, cards.named(connection, serial))
            if event is CardEvent.REVOKE:
                terms = {"card": serial, "reason": reason, "code": code.value}
                if invalid_time is not None:
                    terms["invalid_time"] = invalid_time.isoformat()
                at = listing.user.organisation_id
                wanted = Deed(Action.REVOKE_CARD, Right.REVOKE, at, serial, terms)
                by.need_second(risks(code), wanted, self.second)
        self.wake([card.user_id, *withdrawn])
        return listing


def risks(code: RevocationReason) -> frozenset[HighRisk]:
    """What the revocation of a card is among operations of high risk."""
    compromised = code is RevocationReason.KEY_COMPROMISE
    return frozenset({HighRisk.REVOKE} | ({HighRisk.REVOKE_COMPROMISED} if compromised else set()))


def move_card(
    connection: Connection,
    card: Card,
    event: CardEvent,
    now: datetime,
    actor: Actor,
    reason: str = "",
    code: RevocationReason = RevocationReason.UNSPECIFIED,
    invalid_time: datetime | None = None,
) -> list[str]:
    """Move a card and its certificates to another state, and end what is open of a card that is
    then out of use. Returns the topics to wake; raises IllegalCardChange.
    """
    if event is CardEvent.RESUME and felt.is_on_hold(connection, card.id):
        raise IllegalCardChange(
            f"certificates of card {card.serial} are on hold at the authority that has issued "
            "them: have them taken off its revocation list"
        )
    if not cards.move(connection, card.id, event, reason):
        raise IllegalCardChange(
            f"card {card.serial} is {card.state}: it cannot {event.name.lower()}"
        )
    if code is RevocationReason.KEY_COMPROMISE and invalid_time is None:
        invalid_time = card.create_time
    revoked = Revoked(code, now, invalid_time)
    moved = entries.about_card(MOVED[event], card, now, actor, _details(reason, revoked))
    journal.append(connection, moved)
    match event:
        case CardEvent.SUSPEND:
            recording.hold(connection, card.id, now)
        case CardEvent.RESUME:
            recording.release(connection, card.id)
            return []
        case CardEvent.REVOKE | CardEvent.CANCEL:
            recording.revoke(connection, card.id, revoked)
    withdrawn = close_card(connection, card.id, now, actor, event.name.lower())
    if card.state in UNISSUED:
        planned_keys.end_of_card(connection, card.id, now)
    if event in (CardEvent.REVOKE, CardEvent.CANCEL):
        destroying.destroy_keys(connection, card.id, now, KEYSTORE)
    return withdrawn


def _details(reason: str, revoked: Revoked) -> Mapping[str, Detail]:
    """What the journal tells of a change besides its kind."""
    said = {"reason": reason}
    if revoked.reason is not RevocationReason.UNSPECIFIED:
        said["code"] = revoked.reason
    if revoked.invalid_time is not None:
        said["invalid_since"] = revoked.invalid_time.isoformat(timespec="seconds")
    return {name: value for name, value in said.items() if value}


def listing_of(connection: Connection, card: Card) -> CardListing:
    """A card as lists show it."""
    user, custom = people.holder(connection, card), custom_profiles.of_card(connection, card)
    said = _said(custom)
    if card.state in UNISSUED:
        order = orders.find(connection, card.id)
        return CardListing(card, user, None, "" if order is None else order.cause, *said)
    tries = passcodes.tries_left(connection, card.id, KeyRef.PIN)
    return CardListing(card, user, tries, "", *said, logins.of_card(connection, card.id))


def _said(profile: CustomProfile | None) -> tuple[str, str]:
    """The series and the name of a profile; empty for a built-in one."""
    return ("", "") if profile is None else (profile.series, profile.name)


def _chosen(by: Acting, wanted: Wanted) -> Chosen:
    """The cards that are wanted, of those that the actor sees; raises OrganisationNotFound."""
    return Chosen(
        by.seen_organisations(),
        wanted.states,
        wanted.profile,
        wanted.prefix,
        by.below(wanted.organisation_id),
    )


def listings_of(connection: Connection, serials: Sequence[str]) -> list[CardListing]:
    """Cards as lists show them, by their serial numbers, in this order."""
    found = {card.serial: card for card in cards.with_serials(connection, serials)}
    holders = {
        user.id: user
        for user in people.with_ids(connection, {card.user_id for card in found.values()})
    }
    tries = passcodes.tries_of(connection, [card.id for card in found.values()], KeyRef.PIN)
    unissued = {card.id: card.serial for card in found.values() if card.state in UNISSUED}
    causes = orders.causes(connection, unissued)
    custom = custom_profiles.of_cards(connection, [card.id for card in found.values()])
    counted = logins.of_cards(connection, [card.id for card in found.values()])
    return [
        CardListing(
            card,
            holders[card.user_id],
            tries.get(card.id),
            causes.get(card.serial, ""),
            *_said(custom.get(card.id)),
            counted.get(card.id, NEVER),
        )
        for card in (found[serial] for serial in serials)
    ]
