"""Uses of key 04, only for secure messaging; they need no approval.

The key gives no access. It proves that a card is the one that its certificate names, and
establishes session keys with the client's point (SP 800-73-5 part 2, 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from card_os.piv.algorithms import SUITE_OF
from card_os.piv.names import KeyRef
from card_os.uses import KeyUse
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.use import padding
from cloud_keystore.model.cards import Destroyed
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeyNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.storage import cards
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class SecureMessaging:
    """Uses the keys of secure messaging."""

    database: Database
    clock: Clock
    custody: Keys

    def agree(self, serial: str, cipher_suite: int, point: bytes, workstation: Identity) -> bytes:
        """Return the secret Z of a card's key and the client's ephemeral `point`, uncompressed
        (step C5). The journal has its entry before the key is used.

        Raises CardNotFound, CardNotInUse, KeyNotFound if the card does not have this cipher suite,
        and MalformedKeyInput if the point is not on the suite's curve.
        """
        with self.database.write() as connection:
            card = cards.in_use(connection, serial)
            known = cards.key_under(connection, card.id, KeyRef.SECURE_MESSAGING)
            key = None if known is None else cards.find_key(connection, known.id)
            if (
                key is None
                or isinstance(key.private, Destroyed)
                or SUITE_OF[key.algorithm] != cipher_suite
            ):
                raise KeyNotFound(f"card {serial} has no cipher suite {cipher_suite:02X}")
            padding.check(KeyUse.AGREE, key.algorithm, point)
            agreed = entries.about_card(
                Kind.SECURE_MESSAGING_AGREED,
                card,
                self.clock(),
                workstation.actor,
                {"cipher_suite": f"{cipher_suite:02X}"},
                key=key,
            )
            journal.append(connection, agreed)
        (secret,) = self.custody.use(key, KeyUse.AGREE, [point])
        return secret
