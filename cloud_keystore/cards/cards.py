"""Cards: made, listed, unlocked, suspended, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import entries, journal
from cloud_keystore.cards import contents as objects
from cloud_keystore.cards.renewal import new_guid
from cloud_keystore.custody.backends import destroying
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.backends.making import MadeKey
from cloud_keystore.custody.credentials.management_keys import put_key
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import close_card
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.algorithms import (
    SUITE_ALGORITHM,
    SUITE_OF,
    Algorithm,
    Cipher,
    CipherSuite,
)
from cloud_keystore.model.cards import (
    GLOBAL_PIN,
    PIN,
    PUK,
    SECURE_MESSAGING,
    Card,
    CardEvent,
    CardState,
    Key,
)
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    IllegalCardChange,
    InvalidInput,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.management_keys import factory_key
from cloud_keystore.model.passcodes import TRIES
from cloud_keystore.model.people import LONGEST_DISPLAY_NAME, Identity, User, text_field
from cloud_keystore.model.policies import DEFAULT_ORGANISATION, Policy
from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES, CardProfile, KeyTemplate
from cloud_keystore.model.requests import check_request_id
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people import organisations
from cloud_keystore.pki import certificates, cvc
from cloud_keystore.pki.authorities import Authorities
from cloud_keystore.storage import cards, passcodes, people, policies
from cloud_keystore.storage import management_keys as management
from cloud_keystore.storage.engine import Database

SERIAL_DIGITS = 16
SERIAL_DRAWS = 3
MOVED = {
    CardEvent.SUSPEND: Kind.CARD_SUSPENDED,
    CardEvent.RESUME: Kind.CARD_RESUMED,
    CardEvent.REVOKE: Kind.CARD_REVOKED,
}


@dataclass(frozen=True, slots=True)
class CardListing:
    """A card with its holder and the state of its passcode."""

    card: Card
    user: User
    tries_left: int | None  # None: no passcode set yet

    @property
    def passcode_state(self) -> str:
        """In a word."""
        return "unset" if self.tries_left is None else "ok" if self.tries_left else "locked"


@dataclass(frozen=True, slots=True)
class CardImage:
    """All of a card that is not secret. `keys` are those that applications ask for."""

    card: Card
    profile: CardProfile
    objects: Mapping[int, bytes]
    keys: tuple[Key, ...]
    secure_messaging: Key | None  # key 04; its certificate is the card verifiable certificate
    management: Cipher | None  # algorithm of key 9B
    policy: Policy  # in force

    @property
    def cipher_suite(self) -> CipherSuite | None:
        """Of secure messaging, if the card does that."""
        key = self.secure_messaging
        return None if key is None else SUITE_OF[key.algorithm]


@dataclass(frozen=True, slots=True)
class Cards:
    """The use cases of cards."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    custody: Keys
    authorities: Authorities
    passcodes: Passcodes
    wake: Wake
    crl_url: str = ""  # where the certificates' revocations are published; empty: nowhere

    def issue(
        self,
        request_id: bytes,
        user_id: str,
        profile_name: str,
        organisation_id: str = "",
        *,
        actor: Actor,
    ) -> CardListing:
        """Make a card: all of it in one transaction, so that a crash leaves nothing half-made.

        Repeated with the same request id, return the card made before. Raises UserNotFound,
        OrganisationNotFound, InvalidInput.
        """
        check_request_id(request_id)
        organisation_id = organisation_id or DEFAULT_ORGANISATION
        profile = PROFILES.get(profile_name or DEFAULT_PROFILE)
        if profile is None:
            raise InvalidInput(
                f"there is no profile {profile_name!r}: use one of {', '.join(PROFILES)}"
            )
        with self.database.read() as connection:
            made = cards.find_by_request(connection, request_id)
            if made is not None:
                return self._listing(connection, made)
            user = people.user(connection, user_id)
            organisations.check(connection, organisation_id)
        for _ in range(SERIAL_DRAWS - 1):
            with suppress(IntegrityError):  # a number that another card has: draw again
                return self._issue(request_id, user, profile, organisation_id, actor)
        return self._issue(request_id, user, profile, organisation_id, actor)

    def list_all(self) -> list[CardListing]:
        """All cards, oldest first."""
        with self.database.read() as connection:
            return [self._listing(connection, card) for card in cards.list_all(connection)]

    def list_of(self, device: Identity) -> list[CardListing]:
        """The cards of a device's holder, oldest first."""
        with self.database.read() as connection:
            found = cards.list_all(connection, device.user_id or "")
            return [self._listing(connection, card) for card in found]

    def find(self, serial: str) -> CardListing:
        """One card; raises CardNotFound."""
        with self.database.read() as connection:
            return self._listing(connection, cards.named(connection, serial))

    def keys(self, serial: str) -> tuple[Key, ...]:
        """A card's keys, without their private parts; raises CardNotFound."""
        with self.database.read() as connection:
            return _without_private(cards.keys(connection, cards.named(connection, serial).id))

    def image(self, serial: str) -> CardImage:
        """What a reader needs to present the card; raises CardNotFound, CardNotInUse."""
        with self.database.read() as connection:
            card = cards.in_use(connection, serial)
            contents = cards.objects(connection, card.id)
            held = _without_private(cards.keys(connection, card.id))
            found = management.find_key(connection, card.id)
            in_force = policies.in_force(connection, card.organisation_id, card.profile)
        keys = {key.key_ref: key for key in held}
        secure_messaging = keys.pop(SECURE_MESSAGING, None)
        profile = PROFILES[card.profile]
        return CardImage(
            card=card,
            profile=profile,
            objects=contents,
            keys=tuple(keys.values()),
            secure_messaging=secure_messaging,
            management=None if found is None else found[0],
            policy=in_force.policy,
        )

    def unlock(self, serial: str, *, actor: Actor) -> CardListing:
        """Restore the tries of PIN, PUK and global PIN; the passcodes stay as they are."""
        with self.database.write() as connection:
            card = cards.named(connection, serial)
            if passcodes.tries_left(connection, card.id, PIN) is None:
                raise IllegalCardChange(
                    f"card {serial} has no passcode yet: its holder sets it on the device"
                )
            for key_ref in (PIN, PUK, GLOBAL_PIN):
                passcodes.restore_tries(connection, card.id, key_ref)
            now = self.clock()
            journal.append(
                connection, entries.about_card(Kind.PASSCODE_UNBLOCKED, card, now, actor)
            )
            return self._listing(connection, card)

    def suspend(self, serial: str, *, actor: Actor) -> CardListing:
        """Take a card out of use; what waits for its holder is withdrawn, its sessions end."""
        return self._move(serial, CardEvent.SUSPEND, "", actor)

    def resume(self, serial: str, *, actor: Actor) -> CardListing:
        """Put a suspended card back in use. A locked passcode stays locked."""
        return self._move(serial, CardEvent.RESUME, "", actor)

    def revoke(self, serial: str, reason: str, *, actor: Actor) -> CardListing:
        """Take a card out of use for ever and erase its keys."""
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        return self._move(serial, CardEvent.REVOKE, reason, actor)

    def _issue(
        self,
        request_id: bytes,
        user: User,
        profile: CardProfile,
        organisation_id: str,
        actor: Actor,
    ) -> CardListing:
        card = self._new_card(user, profile, organisation_id)
        keys = self._new_keys(profile, card, user)
        contents = objects.build(card, user, keys, self.authorities, card.create_time)
        first = self.passcodes.factory(card.id) if profile.factory_passcodes else {}
        with self.database.write() as connection:
            made = cards.find_by_request(connection, request_id)
            if made is None:
                cards.add(connection, card, request_id, keys, contents)
                for key_ref, hashed in first.items():
                    passcodes.put(connection, card.id, key_ref, hashed, TRIES, factory=True)
                if profile.management is not None:
                    key = factory_key(profile.management)
                    put_key(connection, card, profile.management, key, self.seal)
                details = {"profile": profile.name, "organisation": organisation_id}
                journal.append(
                    connection,
                    entries.about_card(Kind.CARD_ISSUED, card, card.create_time, actor, details),
                )
                made = card
            return self._listing(connection, made)

    def _move(self, serial: str, event: CardEvent, reason: str, actor: Actor) -> CardListing:
        now = self.clock()
        withdrawn: list[str] = []
        with self.database.write() as connection:
            card = cards.named(connection, serial)
            if not cards.move(connection, card.id, event, reason):
                raise IllegalCardChange(
                    f"card {serial} is {card.state}: it cannot {event.name.lower()}"
                )
            details = {"reason": reason} if reason else {}
            moved = entries.about_card(MOVED[event], card, now, actor, details)
            journal.append(connection, moved)
            if event in (CardEvent.SUSPEND, CardEvent.REVOKE):
                withdrawn = close_card(connection, card.id, now, actor, event.name.lower())
            if event is CardEvent.REVOKE:
                destroying.destroy_keys(connection, card.id, now, KEYSTORE)
            listing = self._listing(connection, cards.named(connection, serial))
        self.wake([card.user_id, *withdrawn])
        return listing

    def _new_card(self, user: User, profile: CardProfile, organisation_id: str) -> Card:
        now = self.clock()
        digits = SERIAL_DIGITS - len(profile.serial_prefix)
        number = int.from_bytes(self.random(16)) % 10**digits
        return Card(
            id=new_id(now, self.random),
            serial=f"{profile.serial_prefix}{number:0{digits}}",
            guid=new_guid(self.random),
            user_id=user.id,
            profile=profile.name,
            state=CardState.ACTIVE if profile.factory_passcodes else CardState.PENDING,
            create_time=now,
            expire_time=_whole_second(now) + timedelta(days=profile.validity_days),
            organisation_id=organisation_id,
        )

    def _new_keys(self, profile: CardProfile, card: Card, user: User) -> list[Key]:
        keys = [self._new_key(template, card, user) for template in profile.keys]
        if profile.secure_messaging is not None:
            algorithm = SUITE_ALGORITHM[profile.secure_messaging]
            key_id = new_id(card.create_time, self.random)
            made = self.custody.make(key_id, algorithm)
            certificate = cvc.issue(algorithm, made.public_der, card.guid, self.authorities)
            keys.append(_key(key_id, card, SECURE_MESSAGING, algorithm, certificate, made))
        return keys

    def _new_key(self, template: KeyTemplate, card: Card, user: User) -> Key:
        key_id = new_id(card.create_time, self.random)
        made = self.custody.make(key_id, template.algorithm)
        certificate = certificates.issue(
            template.certificate,
            made.public,
            certificates.Subject(card, user),
            self.authorities.cards,
            card.create_time,
            self.crl_url,
        )
        return _key(key_id, card, template.key_ref, template.algorithm, certificate, made)

    def _listing(self, connection: Connection, card: Card) -> CardListing:
        user = people.holder(connection, card)
        return CardListing(card, user, passcodes.tries_left(connection, card.id, PIN))


def _without_private(keys: list[Key]) -> tuple[Key, ...]:
    return tuple(replace(key, sealed_private=None) for key in keys)


def _key(
    key_id: str, card: Card, key_ref: int, algorithm: Algorithm, certificate: bytes, made: MadeKey
) -> Key:
    return Key(
        id=key_id,
        card_id=card.id,
        key_ref=key_ref,
        algorithm=algorithm,
        certificate=certificate,
        sealed_private=made.sealed_private,
        backend=made.backend,
        handle=made.handle,
        create_time=card.create_time,
        public_key=made.public_der,
    )


def _whole_second(now: datetime) -> datetime:
    return now.replace(microsecond=0)  # certificates know no fractions
