"""Keeps a card consistent when one of its keys or objects changes.

Every method works inside the caller's write transaction, on a card that the caller has found in use
in that transaction, and returns what has changed on the card. A new key is made before the
transaction, because that takes a while:

    key_id = new_id(now, random)
    made = make_key(key_id, algorithm, seal)
    key = HeldKey(id=key_id, card_id=card.id, key_ref=key_ref, private=made.private, …)
    with database.write() as connection:
        changes = renewal.replace_key(connection, card, key)

Windows and OpenSC identify key containers by the card's GUID, and cache certificates by container.
Therefore a card whose keys change gets a new GUID, and with it a new CHUID and CCC, and new
certificates where they name the GUID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection

from card_os.piv.issuing import encode
from card_os.piv.names import CERTIFICATE_OF_KEY, RETIRED, Cipher, KeyRef
from cloud_keystore.cards import contents
from cloud_keystore.cards.contents import Contents
from cloud_keystore.custody.backends import destroying
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import Card, HeldKey, Key
from cloud_keystore.model.certificates import NOWHERE, CertificateProfile, Published
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import IllegalCardChange, KeyNotFound
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki import certificates, cvc, public_keys
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.pki.revocation import recording
from cloud_keystore.storage import cards, data_objects, people
from cloud_keystore.storage.issuing import csrs, next_keys


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed on a card; None means that the object or key is gone."""

    objects: Mapping[int, bytes | None] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    keys: Mapping[int, Key | None] = field(default_factory=lambda: MappingProxyType({}))
    management: Cipher | None = None  # of the management key; None: as before
    factory_management_key: bool = False  # whether a changed management key is the well-known one


@dataclass(frozen=True, slots=True)
class Renewal:
    """Changes keys and objects of cards, and everything that depends on them."""

    clock: Clock
    random: Random
    authorities: Authorities
    data_objects: DataObjects
    published: Published = NOWHERE

    def replace_key(self, connection: Connection, card: Card, key: HeldKey) -> Changes:
        """Put `key` on the card in place of the key under its reference, which is destroyed.

        The certificate object stays until an administrator writes another, as on every card.
        """
        self._remove(connection, card, key.key_ref)
        cards.add_key(connection, key)
        return self._renew(connection, card, {key.key_ref: key})

    def remove_key(self, connection: Connection, card: Card, key_ref: int) -> Changes:
        """Take a key off the card and destroy it; raises KeyNotFound if there is none."""
        if not self._remove(connection, card, key_ref):
            raise KeyNotFound(f"card {card.serial} has no key {key_ref:02X}")
        return self._renew(connection, card, {key_ref: None})

    def move_key(
        self, connection: Connection, card: Card, source: int, destination: int
    ) -> Changes:
        """Put a key under another reference; a key that is there is destroyed.

        Data objects do not move. Raises KeyNotFound if there is no key under `source`.
        """
        key = cards.key_under(connection, card.id, source)
        if key is None:
            raise KeyNotFound(f"card {card.serial} has no key {source:02X}")
        self._remove(connection, card, destination)
        # Its policies were settled when it was made, and stay.
        moved = replace(key, key_ref=destination, pin_policy=key.asks_for_pin)
        cards.move_key(connection, key.id, destination, moved.pin_policy)
        return self._renew(connection, card, {source: None, destination: moved})

    def write_object(self, connection: Connection, card: Card, tag: int, value: bytes) -> Changes:
        """Replace a data object's contents for an administrator; empty contents remove it."""
        self.data_objects.put(connection, card.id, tag, value, written=True)
        follows = self._rebuild(connection, card, self.clock(), new_guid=False, touched=(tag,))
        return Changes({tag: value or None, **follows})

    def reset(self, connection: Connection, card: Card) -> Changes:
        """Make the card as it was issued, but without keys and with a new GUID. Key 04 stays, and
        gets a new certificate.
        """
        now = self.clock()
        self._give_up_next(connection, card, now)
        renamed = replace(card, guid=new_guid(self.random))
        cards.set_guid(connection, card.id, renamed.guid)
        keys: dict[int, Key | None] = {}
        for key in cards.keys(connection, card.id):
            if key.key_ref == KeyRef.SECURE_MESSAGING:
                keys[key.key_ref] = kept = self._certify(connection, renamed, key, now)
                cards.set_certificate(connection, key.id, kept.certificate)
            else:
                self._remove(connection, card, key.key_ref)
                keys[key.key_ref] = None
        own = [key for key in keys.values() if key is not None]
        user = people.holder(connection, card)
        fresh = contents.build(renamed, user, own, self.authorities, now)
        gone: dict[int, bytes | None] = dict.fromkeys(data_objects.of_card(connection, card.id))
        for tag in gone:
            self.data_objects.put(connection, card.id, tag, b"", written=False)
        self._put(connection, card, fresh)
        return Changes({**gone, **fresh}, keys)

    def prolong(
        self, connection: Connection, card: Card, made: Collection[HeldKey], end: datetime
    ) -> Changes:
        """Let the card end later, with new keys in place of those under their references, and
        certificates until then. The key management key before becomes a retired one, so that what
        was encrypted for it can still be read; the others are destroyed.

        Raises IllegalCardChange if the card has no room for another retired key.
        """
        now, templates = self.clock(), {each.key_ref: each for each in PROFILES[card.profile].keys}
        retired: dict[int, Key] = {}
        for key in made:
            if key.key_ref == KeyRef.KEY_MANAGEMENT:
                retired |= self._retire(connection, card, now)
            else:
                # What was signed for good is checked by a certificate for as long as that lasts.
                lasts = "content_commitment" in templates[key.key_ref].certificate.key_usage
                self._remove(connection, card, key.key_ref, supersede=not lasts)
        renewed = replace(card, guid=new_guid(self.random), expire_time=end)
        cards.prolong(connection, renewed)
        fresh: dict[int, Key] = {}
        for key in made:
            profile = templates[key.key_ref].certificate
            certificate = self._certificate(connection, renewed, key, profile, now)
            cards.add_key(connection, replace(key, certificate=certificate))
            fresh[key.key_ref] = replace(key, certificate=certificate)
        recording.record(connection, fresh.values())
        fresh |= self._rename(connection, card, renewed, now)
        objects = self._renew_objects(connection, card, renewed, now)
        return Changes(objects, {**retired, **fresh})

    def succeed(
        self, connection: Connection, card: Card, keys: Collection[HeldKey], end: datetime
    ) -> Changes:
        """Let the card end later, with keys that another authority has certified, which take the
        places of those under their references as in `prolong`. Where the certificates name the
        card, they name it as those before (RFC 7030, 4.2.2), and it keeps its GUID.

        Raises IllegalCardChange if the card has no room for another retired key.
        """
        now, retired = self.clock(), dict[int, Key]()
        named = any(_urn(card) in key.certificate for key in keys)
        guid = card.guid if named else new_guid(self.random)
        renewed = replace(card, guid=guid, expire_time=end)
        cards.prolong(connection, renewed)
        for key in keys:
            if key.key_ref == KeyRef.KEY_MANAGEMENT:
                retired |= self._retire(connection, card, now)
            else:
                self._remove(connection, card, key.key_ref, supersede=False)
            next_keys.put_on_card(connection, key.id, key.certificate)
        fresh: dict[int, Key] = {key.key_ref: key for key in keys}
        if not named:
            fresh |= self._rename(connection, card, renewed, now)
        objects = self._renew_objects(connection, card, renewed, now)
        return Changes(objects, {**retired, **fresh})

    def place_for_retired(self, connection: Connection, card: Card) -> int:
        """The reference under which the card can keep its key management key of now; raises
        IllegalCardChange if all are taken.
        """
        there = {key.key_ref for key in cards.keys(connection, card.id)}
        objects = data_objects.of_card(connection, card.id)
        for key_ref in RETIRED:
            if key_ref not in there and CERTIFICATE_OF_KEY[key_ref] not in objects:
                return key_ref
        raise IllegalCardChange(
            f"card {card.serial} has no room for another retired key: issue another card"
        )

    def _renew_objects(
        self, connection: Connection, card: Card, renewed: Card, now: datetime
    ) -> dict[int, bytes]:
        """Replace the objects of a card that is now another, with its keys of now."""
        user, keys = people.holder(connection, card), cards.keys(connection, card.id)
        objects = contents.renew(
            renewed, user, keys, self._contents(connection, card), self.authorities, now
        )
        self._put(connection, card, objects)
        return objects

    def _give_up_next(self, connection: Connection, card: Card, now: datetime) -> None:
        """Destroy keys for which certificates were asked under the names that the card had."""
        given_up = csrs.give_up(connection, card.id)
        destroying.destroy_next(connection, given_up, now, KEYSTORE)

    def _retire(self, connection: Connection, card: Card, now: datetime) -> dict[int, Key]:
        """Keep the key management key under another reference, with its certificate."""
        key = cards.key_under(connection, card.id, KeyRef.KEY_MANAGEMENT)
        if key is None:
            return {}
        to = self.place_for_retired(connection, card)
        moved = replace(key, key_ref=to, pin_policy=key.asks_for_pin)
        cards.move_key(connection, key.id, to, moved.pin_policy)
        recording.supersede(connection, card.id, key.id, now)
        self._put(connection, card, {CERTIFICATE_OF_KEY[to]: encode.certificate(key.certificate)})
        return {to: moved}

    def _renew(
        self, connection: Connection, card: Card, changed: Mapping[int, Key | None]
    ) -> Changes:
        """Give the card a new GUID, and replace everything that names the GUID."""
        now = self.clock()
        self._give_up_next(connection, card, now)
        renamed = replace(card, guid=new_guid(self.random))
        cards.set_guid(connection, card.id, renamed.guid)
        certified = self._rename(connection, card, renamed, now)
        fresh = self._rebuild(connection, renamed, now, new_guid=True, keys=certified.values())
        return Changes(fresh, {**changed, **certified})

    def _rename(
        self, connection: Connection, card: Card, renamed: Card, now: datetime
    ) -> dict[int, Key]:
        """Certify anew the keys whose certificates name the GUID that the card had."""
        certified = {
            key.key_ref: self._certify(connection, renamed, key, now)
            for key in cards.keys(connection, card.id)
            if key.key_ref == KeyRef.SECURE_MESSAGING or _urn(card) in key.certificate
        }
        for key in certified.values():
            cards.set_certificate(connection, key.id, key.certificate)
            recording.supersede(connection, card.id, key.id, now)
        recording.record(connection, certified.values())
        return certified

    def _remove(
        self, connection: Connection, card: Card, key_ref: int, *, supersede: bool = True
    ) -> bool:
        """Take a key off the card, and destroy it; its certificate is revoked unless that can wait
        until its end. False if there is none.
        """
        now, key = self.clock(), cards.key_under(connection, card.id, key_ref)
        if key is not None and supersede:
            recording.supersede(connection, card.id, key.id, now)
        return destroying.remove_key(connection, card.id, key_ref, now, KEYSTORE)

    def _certify(self, connection: Connection, card: Card, key: Key, now: datetime) -> Key:
        if key.key_ref == KeyRef.SECURE_MESSAGING:
            authorities = self.authorities.of_cards(PROFILES[card.profile])
            certificate = cvc.issue(key.algorithm, key.public_key, card.guid, authorities)
            return replace(key, certificate=certificate)
        profile = certificates.naming_profile(key.certificate)
        return replace(key, certificate=self._certificate(connection, card, key, profile, now))

    def _certificate(
        self,
        connection: Connection,
        card: Card,
        key: Key,
        profile: CertificateProfile,
        now: datetime,
    ) -> bytes:
        of_card = PROFILES[card.profile]
        return certificates.issue(
            profile,
            public_keys.load(key.public_key),
            certificates.Subject(card, people.holder(connection, card)),
            self.authorities.of_cards(of_card).cards,
            now,
            NOWHERE if of_card.developer else self.published,
        )

    def _rebuild(
        self,
        connection: Connection,
        card: Card,
        now: datetime,
        *,
        new_guid: bool,
        keys: Collection[Key] = (),
        touched: Collection[int] = (),
    ) -> dict[int, bytes]:
        fresh = contents.rebuild(
            card,
            keys,
            self._contents(connection, card),
            self.authorities,
            now,
            new_guid=new_guid,
            touched=touched,
        )
        self._put(connection, card, fresh)
        return fresh

    def _contents(self, connection: Connection, card: Card) -> Contents:
        stored = data_objects.of_card(connection, card.id)
        written = frozenset(tag for tag, each in stored.items() if each.written)
        return Contents(self.data_objects.all_of(connection, card.id), written)

    def _put(self, connection: Connection, card: Card, objects: Mapping[int, bytes]) -> None:
        for tag, value in objects.items():
            self.data_objects.put(connection, card.id, tag, value, written=False)


def _urn(card: Card) -> bytes:
    return UUID(bytes=card.guid).urn.encode("ascii")


def new_guid(random: Random) -> bytes:
    """A GUID that no other card has or had: a UUID of version 4."""
    return UUID(bytes=random(16), version=4).bytes
