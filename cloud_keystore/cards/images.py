"""What a reader needs to present a card: everything of the card that is not secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from card_os.piv.algorithms import SUITE_OF
from card_os.piv.names import Cipher, CipherSuite, KeyRef
from card_os.piv.rules import PIN_OBJECTS
from cloud_keystore.custody.credentials.management_keys import ManagementKeys
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.profiles import PROFILES, CardProfile
from cloud_keystore.storage import cards, data_objects, management_keys, policies
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class CardImage:
    """Everything of a card that is not secret. `keys` are those that applications can use, without
    the key of secure messaging.
    """

    card: Card
    profile: CardProfile
    objects: Mapping[int, bytes]
    withheld: frozenset[int]  # tags of the other objects, which require the PIN
    keys: tuple[Key, ...]
    secure_messaging: Key | None  # key 04; its certificate is the card verifiable certificate
    management: Cipher | None  # algorithm of key 9B
    factory_management_key: bool  # whether that key is the well-known one
    policy: Policy  # in force

    @property
    def cipher_suite(self) -> CipherSuite | None:
        """The cipher suite of secure messaging; None if the card has no secure messaging."""
        key = self.secure_messaging
        return None if key is None else SUITE_OF[key.algorithm]


@dataclass(frozen=True, slots=True)
class Images:
    """Reads cards for readers."""

    database: Database
    management_keys: ManagementKeys

    def read(self, serial: str) -> CardImage:
        """A card in use; raises CardNotFound, CardNotInUse."""
        with self.database.read() as connection:
            card = cards.in_use(connection, serial)
            stored = data_objects.of_card(connection, card.id)
            keys = {key.key_ref: key for key in cards.keys(connection, card.id)}
            management = management_keys.find_key(connection, card.id)
            factory = self.management_keys.is_factory(connection, card)
            in_force = policies.in_force(connection, card.organisation_id, card.profile)
        secure_messaging = keys.pop(KeyRef.SECURE_MESSAGING, None)
        return CardImage(
            card=card,
            profile=PROFILES[card.profile],
            objects={tag: each.value for tag, each in stored.items() if tag not in PIN_OBJECTS},
            withheld=PIN_OBJECTS.intersection(stored),
            keys=tuple(keys.values()),
            secure_messaging=secure_messaging,
            management=None if management is None else management[0],
            factory_management_key=factory,
            policy=in_force.policy,
        )
