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

from card_os.piv.names import Cipher, KeyRef
from cloud_keystore.cards import contents
from cloud_keystore.cards.contents import Contents
from cloud_keystore.custody.backends import destroying
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import Card, HeldKey, Key
from cloud_keystore.model.certificates import NOWHERE, Published
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import KeyNotFound
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki import certificates, cvc, public_keys
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.pki.revocation import recording
from cloud_keystore.storage import cards, people


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
        gone: dict[int, bytes | None] = dict.fromkeys(cards.objects(connection, card.id))
        for tag in gone:
            self.data_objects.put(connection, card.id, tag, b"", written=False)
        for tag, value in fresh.items():
            self.data_objects.put(connection, card.id, tag, value, written=False)
        return Changes({**gone, **fresh}, keys)

    def _renew(
        self, connection: Connection, card: Card, changed: Mapping[int, Key | None]
    ) -> Changes:
        """Give the card a new GUID, and replace everything that names the GUID."""
        now = self.clock()
        renamed = replace(card, guid=new_guid(self.random))
        cards.set_guid(connection, card.id, renamed.guid)
        certified = {
            key.key_ref: self._certify(connection, renamed, key, now)
            for key in cards.keys(connection, card.id)
            if key.key_ref == KeyRef.SECURE_MESSAGING or _urn(card) in key.certificate
        }
        for key in certified.values():
            cards.set_certificate(connection, key.id, key.certificate)
            recording.supersede(connection, card.id, key.id, now)
        recording.record(connection, certified.values())
        fresh = self._rebuild(connection, renamed, now, new_guid=True, keys=certified.values())
        return Changes(fresh, {**changed, **certified})

    def _remove(self, connection: Connection, card: Card, key_ref: int) -> bool:
        """Take a key off the card, and destroy it; its certificate is revoked. False if there is
        none.
        """
        now, key = self.clock(), cards.key_under(connection, card.id, key_ref)
        if key is not None:
            recording.supersede(connection, card.id, key.id, now)
        return destroying.remove_key(connection, card.id, key_ref, now, KEYSTORE)

    def _certify(self, connection: Connection, card: Card, key: Key, now: datetime) -> Key:
        profile = PROFILES[card.profile]
        authorities = self.authorities.of_cards(profile)
        if key.key_ref == KeyRef.SECURE_MESSAGING:
            certificate = cvc.issue(key.algorithm, key.public_key, card.guid, authorities)
            return replace(key, certificate=certificate)
        user = people.holder(connection, card)
        certificate = certificates.issue(
            certificates.naming_profile(key.certificate),
            public_keys.load(key.public_key),
            certificates.Subject(card, user),
            authorities.cards,
            now,
            NOWHERE if profile.developer else self.published,
        )
        return replace(key, certificate=certificate)

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
        stored = cards.objects(connection, card.id)
        written = frozenset(tag for tag, each in stored.items() if each.written)
        after = Contents(self.data_objects.all_of(connection, card.id), written)
        fresh = contents.rebuild(
            card,
            keys,
            after,
            self.authorities,
            now,
            new_guid=new_guid,
            touched=touched,
        )
        for tag, value in fresh.items():
            self.data_objects.put(connection, card.id, tag, value, written=False)
        return fresh


def _urn(card: Card) -> bytes:
    return UUID(bytes=card.guid).urn.encode("ascii")


def new_guid(random: Random) -> bytes:
    """A GUID that no other card has or had: a UUID of version 4."""
    return UUID(bytes=random(16), version=4).bytes
