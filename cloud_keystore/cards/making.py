"""What a new card is made of: its serial number, and the certificates of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from card_os.piv.algorithms import SUITE_ALGORITHM
from card_os.piv.names import Algorithm, KeyRef
from cloud_keystore.cards.renewal import new_guid
from cloud_keystore.cards.spares import NewKey
from cloud_keystore.model.cards import SERIAL_DIGITS, Card, CardState, HeldKey
from cloud_keystore.model.certificates import NOWHERE, Published
from cloud_keystore.model.clock import Random, new_id
from cloud_keystore.model.custom.profiles import CustomProfile
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES, CardProfile, KeyTemplate
from cloud_keystore.pki import certificates, cvc
from cloud_keystore.pki.issuers import Authorities


@dataclass(frozen=True, slots=True)
class Order:
    """Which card to make, and why if it is in the place of another."""

    request_id: bytes
    user_id: str
    profile: CardProfile
    organisation_id: str
    replaces_id: str | None = None
    why: str = ""
    custom: CustomProfile | None = None  # which has made `profile` what it is


def new_card(order: Order, now: datetime, random: Random) -> Card:
    """A card that is to be issued, under a serial number that is drawn at random."""
    profile = order.profile
    digits = SERIAL_DIGITS - len(profile.serial_prefix)
    number = int.from_bytes(random(16)) % 10**digits
    return Card(
        id=new_id(now, random),
        serial=f"{profile.serial_prefix}{number:0{digits}}",
        guid=new_guid(random),
        user_id=order.user_id,
        profile=profile.name,
        state=CardState.ISSUING,
        create_time=now,
        expire_time=end_of(profile, now),
        organisation_id=order.organisation_id,
        replaces_id=order.replaces_id,
    )


def end_of(profile: CardProfile, now: datetime) -> datetime:
    """When a card ends that is issued now. Times in certificates have no fractions of a second."""
    return now.replace(microsecond=0) + timedelta(days=profile.validity_days)


def algorithms(profile: CardProfile) -> list[Algorithm]:
    """Those of the keys of a new card; the last is that of secure messaging, if there is any."""
    found = [template.algorithm for template in profile.keys]
    if profile.secure_messaging is not None:
        found.append(SUITE_ALGORITHM[profile.secure_messaging])
    return found


@dataclass(frozen=True, slots=True)
class Certifying:
    """Certifies the keys of new cards."""

    authorities: Authorities
    published: Published = NOWHERE

    def keys(
        self,
        card: Card,
        user: User,
        new: Sequence[NewKey],
        now: datetime,
        *,
        certify: bool = True,
    ) -> list[HeldKey]:
        """The keys of a card with their certificates, from key pairs of `algorithms`. Those that
        another authority certifies have none yet.
        """
        profile, own = PROFILES[card.profile], new[: len(PROFILES[card.profile].keys)]
        keys = [
            self._certified(template, card, user, each, now)
            if certify
            else _key(each, card, template.key_ref, template.algorithm, b"", now)
            for template, each in zip(profile.keys, own, strict=True)
        ]
        for algorithm, each in zip(algorithms(profile)[len(own) :], new[len(own) :], strict=True):
            issuer = self.authorities.of_cards(profile)
            certificate = cvc.issue(algorithm, each.made.public_der, card.guid, issuer)
            keys.append(_key(each, card, KeyRef.SECURE_MESSAGING, algorithm, certificate, now))
        return keys

    def _certified(
        self, template: KeyTemplate, card: Card, user: User, new: NewKey, now: datetime
    ) -> HeldKey:
        profile = PROFILES[card.profile]
        certificate = certificates.issue(
            template.certificate,
            new.made.public,
            certificates.Subject(card, user),
            self.authorities.of_cards(profile).cards,
            now,
            NOWHERE if profile.developer else self.published,
        )
        return _key(new, card, template.key_ref, template.algorithm, certificate, now)


def _key(
    new: NewKey, card: Card, key_ref: int, algorithm: Algorithm, certificate: bytes, now: datetime
) -> HeldKey:
    return HeldKey(
        id=new.id,
        card_id=card.id,
        key_ref=key_ref,
        algorithm=algorithm,
        certificate=certificate,
        create_time=now,
        public_key=new.made.public_der,
        private=new.made.private,
    )
