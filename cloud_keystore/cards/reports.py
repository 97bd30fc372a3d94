"""What the registration authority has to look after: who has not finished enrolling, and what ends
soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique

from cryptography import x509

from card_os.piv.names import KeyRef
from cloud_keystore.audit import acting
from cloud_keystore.audit.acting import Acting
from cloud_keystore.cards.showing import since_removed
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.limits import MOST_DAYS
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Progress, User
from cloud_keystore.model.profiles import PROFILES, profile_named
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.progress import progress_of
from cloud_keystore.storage import authorities, cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import tokens


@unique
class Ending(StrEnum):
    """What ends, besides identities, which are called by their roles."""

    CARD = "card"
    CERTIFICATE = "certificate"
    AUTHORITY = "authority"


@dataclass(frozen=True, slots=True)
class Pending:
    """A user who has not finished enrolling."""

    user: User
    progress: Progress
    card_profile: str  # of the card that is pending or in use, or of the one that will be issued


@dataclass(frozen=True, slots=True)
class Expiring:
    """Something that ends, or has ended. `about` names the card of a certificate; `holder` is empty
    for what has none.
    """

    sort: str
    name: str
    about: str
    holder: str
    expire_time: datetime
    card_serial: str = ""  # of a card, or of a certificate's


@dataclass(frozen=True, slots=True)
class Reports:
    """Makes the reports."""

    database: Database
    clock: Clock

    def pending(self, page: Page | None = None, *, actor: Actor) -> list[Pending]:
        """Users whom the actor sees, who have not left and have no active device or no card in use,
        those who wait for longest first; or a page of them, oldest first.
        """
        now = self.clock()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            connection, found = by.connection, []
            users = people.unfinished(connection, now, page, by.seen_organisations())
            ids = [user.id for user in users]
            devices: dict[str, list[Identity]] = {each: [] for each in ids}
            for device in people.devices_of(connection, ids):
                devices[device.user_id or ""].append(device)
            held: dict[str, list[Card]] = {each: [] for each in ids}
            for card in cards.of_holders(connection, ids):
                held[card.user_id].append(card)
            terms = tokens.terms(
                connection, [each.id for some in devices.values() for each in some]
            )
            for user in users:
                progress = progress_of(user, devices[user.id], terms, held[user.id], now)
                progress = since_removed(connection, user, progress)
                found.append(Pending(user, progress, _profile(user, progress, held[user.id])))
        return found if page else sorted(found, key=lambda each: each.progress.since)

    def expiring(self, days: int, *, actor: Actor) -> list[Expiring]:
        """What ends within some days or has ended, of what the actor sees: cards that are not
        revoked, certificates with which they sign no longer before they end, identities that are
        not removed, and the keystore's own authorities; the first to end first. Raises
        InvalidInput.
        """
        if not 0 <= days <= MOST_DAYS:
            raise InvalidInput(f"days is {days}: give 0 to {MOST_DAYS}")
        now = self.clock()
        before = now + timedelta(days=days)
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            found = [
                *_cards(by, before),
                *_certificates(by, before),
                *_identities(by, before),
                *_authorities(by, before),
            ]
        return sorted(found, key=lambda each: (each.expire_time, each.sort, each.name))


def _profile(user: User, progress: Progress, held: Sequence[Card]) -> str:
    """The profile of the card that a user has come to, or of the one that will be issued."""
    has = next((card.profile for card in held if card.serial == progress.card), None)
    return has or profile_named(user.profile).name


def _cards(by: Acting, before: datetime) -> Iterator[Expiring]:
    found = cards.ending(by.connection, before)
    for card, holder in _with_holders(by, found):
        end = card.expire_time
        yield Expiring(Ending.CARD, card.serial, card.profile, holder, end, card.serial)


def _certificates(by: Acting, before: datetime) -> Iterator[Expiring]:
    found = cards.signing_until(by.connection, before, _fractions())
    for card, holder in _with_holders(by, found):
        for key in cards.keys(by.connection, card.id):
            end = signs_until(key)
            if end is not None and end < min(before, card.expire_time):
                about = f"card {card.serial}"
                name = f"{key.key_ref:02X}"
                yield Expiring(Ending.CERTIFICATE, name, about, holder, end, card.serial)


def _with_holders(by: Acting, found: Sequence[Card]) -> Iterator[tuple[Card, str]]:
    """Those of some cards that the actor sees, with the names of their holders."""
    holders = by.seen_users({card.user_id for card in found})
    names = people.names(by.connection, holders)
    for card in found:
        if card.user_id in holders:
            yield card, names.get(card.user_id, "")


def _fractions() -> dict[str, float]:
    """The smallest part of its life in which a card of a profile signs, by the profile's name."""
    return {
        name: fraction
        for name, profile in PROFILES.items()
        if (fraction := min(key.certificate.signs_until for key in profile.keys)) < 1
    }


def signs_until(key: Key) -> datetime | None:
    """The end of a key's private key usage period; None without one (RFC 3280, 4.2.1.4)."""
    if not key.certificate or key.key_ref == KeyRef.SECURE_MESSAGING:
        return None
    try:
        certificate = x509.load_der_x509_certificate(key.certificate)
        period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod)
    except (ValueError, x509.ExtensionNotFound):
        return None
    end = period.value.not_after
    return None if end is None else end.replace(tzinfo=UTC)  # GeneralizedTime, which is UTC


def _identities(by: Acting, before: datetime) -> Iterator[Expiring]:
    found = [
        each for each in people.enrolled_until(by.connection, before) if by.sees_identity(each)
    ]
    names = people.names(
        by.connection, {each.user_id for each in found if each.user_id is not None}
    )
    for each in found:
        if each.expire_time is not None:
            holder = names.get(each.user_id or "", "")
            yield Expiring(
                each.role.name.lower(), each.display_name, each.site, holder, each.expire_time
            )


def _authorities(by: Acting, before: datetime) -> Iterator[Expiring]:
    for name, certificate in authorities.certificates(by.connection).items():
        end = x509.load_der_x509_certificate(certificate).not_valid_after_utc
        if end < before and by.held.sees(ROOT):
            yield Expiring(Ending.AUTHORITY, name, "", "", end)
