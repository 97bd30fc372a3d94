"""What ends soon or has ended, in the order of the ends: read in portions, so that a page of a list
costs as much in a large registry as in a small one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from itertools import chain
from typing import Self

from cryptography import x509

from card_os.piv.names import KeyRef
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.storage import authorities, cards, people
from cloud_keystore.storage.enrolment.expiring import enrolled_until

IDENTITY = "identity"  # of whatever role
WHEN = "%Y-%m-%dT%H:%M:%S.%f%z"
MOMENT = timedelta(microseconds=1)  # the least between two ends
PORTION = 25  # rows that are read together, of each sort: a page has about twice as many


@unique
class Ending(StrEnum):
    """What ends, besides identities, which are called by their roles."""

    CARD = "card"
    CERTIFICATE = "certificate"
    AUTHORITY = "authority"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the list, at which a page ends and the next one begins."""

    end: datetime
    sort: str = ""
    id: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place of which `str` has made a text. Raises InvalidInput for another text."""
        try:
            end, sort, id_ = text.split(" ", 2)
            place = cls(datetime.strptime(end, WHEN), sort, id_)
        except ValueError:
            raise no_place() from None
        # Another way to write one, as in another time zone, is none that a page has.
        if str(place) != text or place.end.tzinfo is not UTC or not text.isprintable():
            raise no_place()
        return place

    def __str__(self) -> str:
        return f"{self.end.strftime(WHEN)} {self.sort} {self.id}"

    def before(self, sort: str) -> tuple[datetime, str]:
        """An end and an identifier, which what follows this place follows too, of one sort in the
        order of its identifiers.
        """
        if self.sort == sort:
            return self.end, self.id
        return (self.end, "") if self.sort < sort else (self.end + MOMENT, "")


def no_place() -> InvalidInput:
    """What to raise about a place that no page has."""
    return InvalidInput("after is no place in the list: give one that a page has")


@dataclass(frozen=True, slots=True)
class Expiring:
    """Something that ends, or has ended. `about` names the card of a certificate; `holder` is empty
    for what has none.
    """

    place: Place
    sort: str
    name: str
    about: str
    holder: str
    expire_time: datetime
    card_serial: str = ""  # of a card, or of a certificate's


def expiring(
    by: Acting, before: datetime, after: Place | None, sort: str = ""
) -> Iterator[Expiring]:
    """What of that which the actor sees ends before a time: cards that are not revoked,
    certificates with which they sign no longer before they end, identities that are not removed,
    and the keystore's own authorities; the first to end first, and only what follows a place. Of
    one sort, if it is given; nothing is read for others, except identities of other roles. Raises
    InvalidInput for a place that is not before that time.
    """
    since = after or Place(datetime.min.replace(tzinfo=UTC))
    if since.end >= before:
        raise no_place()
    # None of them reads anything before it is asked.
    sources: Mapping[str, Sequence[Iterator[Expiring]]] = {
        Ending.CARD: [_cards(by, before, since)],
        Ending.CERTIFICATE: [
            _certificates(by, name, unsigned, before, since)
            for name, unsigned in _without_signing().items()
        ],
        IDENTITY: [_identities(by, before, since)],
        Ending.AUTHORITY: [_authorities(by, before)],
    }
    wanted = [sources.get(sort, sources[IDENTITY])] if sort else sources.values()
    found = heapq.merge(*chain.from_iterable(wanted), key=_place)
    return (each for each in found if each.place > since and sort in ("", each.sort))


def _place(expiring: Expiring) -> Place:
    return expiring.place


def _cards(by: Acting, before: datetime, since: Place) -> Iterator[Expiring]:
    for some in _portions(by, "", since.before(Ending.CARD), before):
        names = _names(by, some)
        for card in some:
            end, serial = card.expire_time, card.serial
            place = Place(end, Ending.CARD, serial)
            holder = names.get(card.user_id, "")
            yield Expiring(place, Ending.CARD, serial, card.profile, holder, end, serial)


def _certificates(
    by: Acting, profile: str, unsigned: timedelta, before: datetime, since: Place
) -> Iterator[Expiring]:
    """Certificates of cards of one profile, which do not sign for a time before the card ends. In
    the list their place is that of the card's, so much earlier.
    """
    since_end, id_ = since.before(Ending.CERTIFICATE)
    # What follows a shorter text has the card itself, and perhaps more of its certificates.
    last = (since_end + unsigned, id_.partition(" ")[0][:-1])
    for some in _portions(by, profile, last, before + unsigned):
        names, keys = _names(by, some), cards.keys_of(by.connection, [each.id for each in some])
        for card in some:
            for key in keys.get(card.id, ()):
                end = signs_until(key)
                if end is None or end >= min(before, card.expire_time):
                    continue
                name, serial = f"{key.key_ref:02X}", card.serial
                place = Place(card.expire_time - unsigned, Ending.CERTIFICATE, f"{serial} {name}")
                holder = names.get(card.user_id, "")
                yield Expiring(
                    place, Ending.CERTIFICATE, name, f"card {serial}", holder, end, serial
                )


def _portions(
    by: Acting, profile: str, last: tuple[datetime, str], before: datetime
) -> Iterator[Sequence[Card]]:
    """Cards of a profile, or of all, that the actor sees and that end within a time."""
    within = by.seen_organisations()
    while some := cards.ending(by.connection, last, before, PORTION, profile, within):
        yield some
        last = (some[-1].expire_time, some[-1].serial)


def _names(by: Acting, some: Sequence[Card]) -> Mapping[str, str]:
    return people.names(by.connection, {card.user_id for card in some})


def _without_signing() -> Mapping[str, timedelta]:
    """How long a card of a profile does not sign with all of its keys before it ends, at most, by
    the profile's name.
    """
    return {
        name: timedelta(days=profile.validity_days) * (1 - fraction)
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


def _identities(by: Acting, before: datetime, since: Place) -> Iterator[Expiring]:
    last = since.before(IDENTITY)
    within = (by.seen_organisations(), by.seen_staff())
    while some := enrolled_until(by.connection, last, before, PORTION, *within):
        names = people.names(by.connection, {each.user_id for each in some if each.user_id})
        for each in some:
            if each.expire_time is None:
                continue
            last = (each.expire_time, each.id)
            sort, holder = each.role.name.lower(), names.get(each.user_id or "", "")
            place = Place(each.expire_time, IDENTITY, each.id)  # as they are read
            yield Expiring(place, sort, each.display_name, each.site, holder, each.expire_time)


def _authorities(by: Acting, before: datetime) -> Iterator[Expiring]:
    found = list[Expiring]()
    for name, certificate in authorities.certificates(by.connection).items():
        end = x509.load_der_x509_certificate(certificate).not_valid_after_utc
        if end < before and by.held.sees(ROOT):
            place = Place(end, Ending.AUTHORITY, name)
            found.append(Expiring(place, Ending.AUTHORITY, name, "", "", end))
    yield from sorted(found, key=_place)
