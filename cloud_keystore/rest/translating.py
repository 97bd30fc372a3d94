"""Values of use cases as the REST API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from card_os.piv.names import KeyRef
from cloud_keystore.cards import leaving, reports, showing
from cloud_keystore.cards.expiring import Expiring
from cloud_keystore.cards.life import CardListing
from cloud_keystore.cards.prolonging import Prolonged
from cloud_keystore.cards.replacing import Neighbours, Replaced
from cloud_keystore.model import cards, organisations, people
from cloud_keystore.model.people import Identity, IdentityState, Stage, UserState
from cloud_keystore.model.profiles import DEFAULT_PROFILE, CardProfile
from cloud_keystore.people.listing import UserListing
from cloud_keystore.people.people import Token
from cloud_keystore.rest import models as m

PENDING, ENROLLED = "pending", "enrolled"  # states of people who have not left, as lists show them


def user(found: people.User, *, enrolled: bool = False) -> m.User:
    """A person."""
    return m.User.model_validate(_user(found, enrolled=enrolled))


def listed_user(listing: UserListing) -> m.ListedUser:
    """A person in a list."""
    return m.ListedUser.model_validate(
        {
            **_user(listing.user, enrolled=listing.enrolled),
            "devices": listing.device_count,
            "cards": list(listing.card_serials),
        }
    )


def whole_user(found: showing.Whole, now: datetime) -> m.WholeUser:
    """A person with all that belongs to them."""
    return m.WholeUser.model_validate(
        {
            **_user(found.user, enrolled=found.progress.stage is Stage.ENROLLED),
            "devices": sum(each.device.is_active(now) for each in found.devices),
            "cards": [each.card.serial for each in found.cards],
            "progress": progress(found.progress),
            "cards_held": [card(each) for each in found.cards],
            "devices_held": [device(each.device, found.invitations, now) for each in found.devices],
            "events": [
                m.Event(time=each.time, kind=each.kind, text=each.text) for each in found.events
            ],
        }
    )


def invitation(token: Token) -> m.Invitation:
    """A one-time token."""
    return m.Invitation(token=token.text, expires=token.expire_time)


def progress(found: people.Progress) -> m.Progress:
    """What a person still waits for."""
    return m.Progress(stage=found.stage, since=found.since, until=found.until)


def consequences(found: leaving.Consequences) -> m.Consequences:
    """What the end of a person ends."""
    return m.Consequences(
        user=user(found.user),
        cards=[each.serial for each in found.cards],
        phones=[each.display_name for each in found.phones],
        invitations=len(found.invitations),
        operations=found.operations,
        sessions=found.sessions,
        sign_ins=found.sign_ins,
    )


def card(listing: CardListing) -> m.Card:
    """A card."""
    return m.Card.model_validate(_card(listing))


def whole_card(
    listing: CardListing, keys: tuple[cards.Key, ...], neighbours: Neighbours
) -> m.WholeCard:
    """A card with its keys."""
    return m.WholeCard.model_validate(
        {
            **_card(listing),
            "keys": [_key(each) for each in keys],
            "replaces": neighbours.before or None,
            "replaced_by": neighbours.after or None,
        }
    )


def renewed(done: Prolonged) -> m.RenewedCard:
    """A card that was renewed, or would be."""
    return m.RenewedCard(
        card=card(done.listing),
        new_expires=done.end,
        renewed_keys=[f"{each:02X}" for each in done.renewed],
        retired_key=None if done.retired is None else f"{done.retired:02X}",
        authority=done.authority or None,
        waiting_keys=[f"{each:02X}" for each in done.waiting],
    )


def replaced(done: Replaced) -> m.ReplacedCard:
    """A card, and the one in its place."""
    return m.ReplacedCard(
        replaced=card(done.before), card=None if done.card is None else card(done.card)
    )


def device(found: Identity, invitations: Mapping[str, datetime], now: datetime) -> m.Device:
    """A device, with the end of its certificate or of its invitation."""
    end = None if found.state is IdentityState.REMOVED else found.expire_time
    return m.Device(
        id=found.id,
        name=found.display_name,
        state=found.state_at(now),
        created=found.create_time,
        expires=invitations.get(found.id) if found.state is IdentityState.INVITED else end,
    )


def organisation(found: organisations.Organisation) -> m.Organisation:
    """An organisation."""
    parent = found.parent_id or None
    return m.Organisation(id=found.id, name=found.name, parent_id=parent, created=found.create_time)


def profile(found: CardProfile) -> m.Profile:
    """A profile of cards."""
    return m.Profile(
        name=found.name,
        title=found.title,
        default=found.name == DEFAULT_PROFILE,
        validity_days=found.validity_days,
        keys=sorted(f"{each.key_ref:02X}" for each in found.keys),
    )


def expiring(found: Expiring) -> m.Expiring:
    """Something that ends."""
    return m.Expiring(
        sort=found.sort,
        name=found.name,
        about=found.about,
        holder=found.holder,
        card=found.card_serial or None,
        expires=found.expire_time,
    )


def pending(found: reports.Pending) -> m.Pending:
    """A person who has not finished enrolling."""
    return m.Pending(
        user=user(found.user), progress=progress(found.progress), profile=found.card_profile
    )


def client(found: Identity) -> m.Client:
    """The client that asks."""
    return m.Client(
        id=found.id,
        name=found.display_name,
        organisation_id=found.organisation_id,
        expires=found.expire_time,
    )


def _user(found: people.User, *, enrolled: bool) -> dict[str, object]:
    state = ENROLLED if enrolled else PENDING
    return {
        "id": found.id,
        "uuid12": found.uuid12 or "",
        "name": found.display_name,
        "email": found.email,
        "email_verified": found.email_verify_time,
        "next_email": found.next_email,
        "next_email_until": found.next_email_until,
        "phone": found.phone,
        "upn": found.upn,
        "sid": found.sid,
        "organisation_id": found.organisation_id,
        "profile": found.profile,
        "state": found.state.value if found.state is UserState.CLOSED else state,
        "created": found.create_time,
    }


def _card(listing: CardListing) -> dict[str, object]:
    found = listing.card
    return {
        "serial": found.serial,
        "guid": found.guid.hex(),
        "user_id": listing.user.id,
        "user_name": listing.user.display_name,
        "profile": found.profile,
        "state": found.state.value,
        "cause": listing.cause or None,
        "passcode": listing.passcode_state,
        "organisation_id": found.organisation_id,
        "created": found.create_time,
        "expires": found.expire_time,
    }


def _key(key: cards.Key) -> m.CardKey:
    certificate = None
    if key.certificate and key.key_ref != KeyRef.SECURE_MESSAGING:  # whose certificate is no X.509
        found = x509.load_der_x509_certificate(key.certificate)
        certificate = found.public_bytes(Encoding.PEM).decode()
    return m.CardKey(
        reference=f"{key.key_ref:02X}", algorithm=key.algorithm.name, certificate=certificate
    )
