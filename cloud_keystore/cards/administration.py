"""What an administrator, who knows a card's management key, does with the card.

Each change and its consequences are one transaction: after a failure the card is unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from sqlalchemy import Connection

from card_os.piv.names import ATTESTATION_CERTIFICATE, Algorithm, KeyRef
from card_os.piv.sizes import TRIES
from cloud_keystore.audit import entries, journal
from cloud_keystore.cards import allowed
from cloud_keystore.cards.renewal import Changes, Renewal
from cloud_keystore.cards.spares import Fresh, Spares
from cloud_keystore.custody.backends.keys import MadeKey
from cloud_keystore.custody.backends.software import import_key
from cloud_keystore.custody.credentials.management_keys import ManagementKeys, put_key
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_sessions, withdraw
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import Card, HeldKey, Key, KeyPolicies
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    CardNotBlocked,
    InvalidInput,
    KeyNotFound,
    KeyReferenceTaken,
    NotAttested,
    PasscodeNeeded,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.management_keys import factory_key
from cloud_keystore.model.passcodes import ALLOWED_TRIES
from cloud_keystore.model.people import Identity
from cloud_keystore.model.profiles import PROFILES, CardProfile
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.pki import attestation
from cloud_keystore.storage import cards, data_objects, operations, passcodes
from cloud_keystore.storage.credentials import unlock_codes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sessions import Which


@dataclass(frozen=True, slots=True)
class Administrator:
    """An administrator of a card at a workstation; `proof` shows that the management key was
    proved.
    """

    card_serial: str
    proof: bytes = field(repr=False)
    workstation: Identity


@dataclass(frozen=True, slots=True)
class Administration:
    """The use cases of administrators.

    All raise CardNotFound, CardNotInUse, and AdministrationRefused if the card's profile does not
    allow the change; those that take an `Administrator` also raise AdministratorNeeded.
    """

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    spares: Spares
    renewal: Renewal
    management_keys: ManagementKeys
    passcodes: Passcodes
    wake: Wake

    def write_object(self, who: Administrator, tag: int, contents: bytes) -> Changes:
        """Replace a data object's contents; empty contents remove it.

        Raises InvalidInput for an object that administrators cannot write, CardFull.
        """

        def write(connection: Connection, card: Card) -> Changes:
            there = self.renewal.data_objects.all_of(connection, card.id)
            allowed.check_object(PROFILES[card.profile], tag, contents, there)
            return self.renewal.write_object(connection, card, tag, contents)

        return self._change(who, Kind.CARD_WRITTEN, write, tag=f"{tag:X}", removed=not contents)

    def generate_key(
        self, who: Administrator, key_ref: int, algorithm: int, policies: KeyPolicies
    ) -> Changes:
        """Make a key in place of the one before, which is destroyed.

        Raises KeyNotFound for a reference that administrators cannot use, InvalidInput for an
        algorithm that the card does not allow there.
        """
        with self.database.read() as connection:
            profile = self._profile(connection, who)
            card_id = cards.in_use(connection, who.card_serial).id
        checked = allowed.key_algorithm(profile, algorithm)
        allowed.check_key(profile, key_ref, checked, policies)
        with self.spares.new(card_id, [checked]) as fresh:
            [new] = fresh.keys
            key = self._key(new.id, key_ref, checked, new.made, policies)
            return self._put_key(who, key, fresh)

    def import_key(
        self,
        who: Administrator,
        key_ref: int,
        algorithm: int,
        private: bytes,
        policies: KeyPolicies,
    ) -> Changes:
        """Put a key that was made elsewhere in place of the one before, which is destroyed.

        Raises the errors of `generate_key`, and MalformedKeyInput for bytes that are no such key.
        """
        with self.database.read() as connection:
            profile = self._profile(connection, who, extension=True)
        checked = allowed.key_algorithm(profile, algorithm)
        allowed.check_key(profile, key_ref, checked, policies)
        key_id = new_id(self.clock(), self.random)
        made = import_key(key_id, checked, private, self.seal)
        key = self._key(key_id, key_ref, checked, made, policies)
        return self._put_key(who, replace(key, imported=True))

    def move_key(self, who: Administrator, source: int, destination: int | None) -> Changes:
        """Put a key under another reference, or destroy it if `destination` is None.

        Raises KeyNotFound, KeyReferenceTaken, and InvalidInput if the destination does not allow
        the key's algorithm.
        """

        def move(connection: Connection, card: Card) -> Changes:
            key = cards.key_under(connection, card.id, source)
            if key is None or source == KeyRef.SECURE_MESSAGING:
                raise KeyNotFound(f"card {card.serial} has no key {source:02X} to be moved")
            if destination is None:
                return self.renewal.remove_key(connection, card, source)
            profile = PROFILES[card.profile]
            allowed.check_key(profile, destination, key.algorithm, KeyPolicies())
            if cards.key_under(connection, card.id, destination) is not None:
                raise KeyReferenceTaken(f"there is a key {destination:02X} already: erase it first")
            return self.renewal.move_key(connection, card, source, destination)

        to = "none" if destination is None else f"{destination:02X}"
        moved = {"key_ref": f"{source:02X}", "to": to}
        return self._change(who, Kind.KEY_MOVED, move, extension=True, **moved)

    def set_management_key(self, who: Administrator, algorithm: int, key: bytes) -> Changes:
        """Replace the management key; raises InvalidInput for a key that is not allowed.

        The proof of this administrator still holds; all other proofs are dropped.
        """

        def set_key(connection: Connection, card: Card) -> Changes:
            cipher = allowed.management_cipher(PROFILES[card.profile], algorithm)
            self.management_keys.set_key(connection, card, cipher, key, who.proof)
            return Changes(management=cipher, factory_management_key=key == factory_key(cipher))

        return self._change(
            who, Kind.MANAGEMENT_KEY_SET, set_key, extension=True, algorithm=algorithm
        )

    def set_tries(
        self, who: Administrator, passcode_proof: bytes, pin_tries: int, puk_tries: int
    ) -> Changes:
        """Set how many tries PIN and PUK have, and set both to their factory values.

        Raises InvalidInput, PasscodeNeeded.
        """
        if pin_tries not in ALLOWED_TRIES or puk_tries not in ALLOWED_TRIES:
            raise InvalidInput(f"a passcode has {ALLOWED_TRIES[0]} to {ALLOWED_TRIES[-1]} tries")
        with self.database.read() as connection:
            allowed.check_resettable(self._profile(connection, who, extension=True))
            card_id = cards.in_use(connection, who.card_serial).id
        hashes = self.passcodes.factory(card_id)

        def set_both(connection: Connection, card: Card) -> Changes:
            if not passcodes.use_proof(
                connection,
                sha256(passcode_proof).digest(),
                card.id,
                who.workstation.id,
                self.clock(),
                once=False,
            ):
                raise PasscodeNeeded("give the passcode again")
            for key_ref, tries in ((KeyRef.PIN, pin_tries), (KeyRef.PUK, puk_tries)):
                passcodes.put(connection, card.id, key_ref, hashes[key_ref], tries, factory=True)
            passcodes.drop_proofs(connection, card.id)
            unlock_codes.end_all(connection, card.id, self.clock())
            end_sessions(
                connection, self.clock(), KEYSTORE, "passcode changed", Which(card_id=card.id)
            )
            return Changes()

        tries = {"pin_tries": pin_tries, "puk_tries": puk_tries}
        return self._change(who, Kind.PASSCODE_SET, set_both, extension=True, **tries)

    def reset_card(self, serial: str, workstation: Identity) -> Changes:
        """Make a card as it was issued, but without keys: written objects are removed, passcodes
        and management key get their factory values.

        No proof of the management key is needed, but PIN and PUK must be blocked; otherwise raises
        CardNotBlocked.
        """
        with self.database.read() as connection:
            card = self._resettable(connection, serial)
        hashes = self.passcodes.factory(card.id)
        with self.database.write() as connection:
            card = self._resettable(connection, serial)
            keys = cards.keys(connection, card.id)
            changes = self.renewal.reset(connection, card)
            withdrawn = self._withdraw(connection, keys)
            for key_ref, hashed in hashes.items():
                passcodes.put(connection, card.id, key_ref, hashed, TRIES, factory=True)
            passcodes.drop_proofs(connection, card.id)
            unlock_codes.end_all(connection, card.id, self.clock())
            end_sessions(
                connection, self.clock(), KEYSTORE, "passcode changed", Which(card_id=card.id)
            )
            if (cipher := PROFILES[card.profile].management) is not None:
                put_key(connection, card, cipher, factory_key(cipher), self.seal)
                changes = replace(changes, management=cipher, factory_management_key=True)
            now, actor = self.clock(), workstation.actor
            journal.append(connection, entries.about_card(Kind.CARD_RESET, card, now, actor))
        self.wake([card.user_id, *withdrawn])
        return changes

    def attest_key(self, serial: str, key_ref: int, workstation: Identity) -> bytes:
        """A certificate that the keystore made a key, DER. The journal has its entry before it is
        signed. Raises KeyNotFound, and NotAttested for an imported key.
        """
        now = self.clock()
        with self.database.write() as connection:
            card = cards.in_use(connection, serial)
            allowed.check_changeable(PROFILES[card.profile], extension=True)
            key = cards.key_under(connection, card.id, key_ref)
            if key is None or key_ref == KeyRef.SECURE_MESSAGING:
                raise KeyNotFound(f"card {serial} has no key {key_ref:02X} to attest")
            if key.imported:
                raise NotAttested(f"key {key_ref:02X} was made elsewhere")
            said = {"key_ref": f"{key_ref:02X}", "key": key.id}
            attested = entries.about_card(Kind.KEY_ATTESTED, card, now, workstation.actor, said)
            journal.append(connection, attested)
            kept = data_objects.of_card(connection, card.id).get(ATTESTATION_CERTIFICATE)
        # The card shows the certificate of the authority that was the present one for it.
        issuer = self.renewal.authorities.attestation_of(b"" if kept is None else kept.value)
        return attestation.attest(card, key, issuer, now)

    def _change(
        self,
        who: Administrator,
        kind: Kind,
        change: Callable[[Connection, Card], Changes],
        *,
        extension: bool = False,
        **details: Detail,
    ) -> Changes:
        """Make a change in one transaction, and withdraw the operations of the keys that it
        changed.
        """
        with self.database.write() as connection:
            self._profile(connection, who, extension=extension)
            card = cards.in_use(connection, who.card_serial)
            before = cards.keys(connection, card.id)
            changes = change(connection, card)
            actor = who.workstation.actor
            told = entries.about_card(kind, card, self.clock(), actor, details)
            journal.append(connection, told)
            touched = [key for key in before if key.key_ref in changes.keys]
            withdrawn = self._withdraw(connection, touched)
        if withdrawn:
            self.wake([card.user_id, *withdrawn])
        return changes

    def _put_key(self, who: Administrator, key: HeldKey, fresh: Fresh | None = None) -> Changes:
        def put(connection: Connection, card: Card) -> Changes:
            if fresh is not None:
                self.spares.keep(connection, fresh)
            return self.renewal.replace_key(connection, card, replace(key, card_id=card.id))

        kind = Kind.KEY_IMPORTED if key.imported else Kind.KEY_MADE
        said = {"key_ref": f"{key.key_ref:02X}", "algorithm": key.algorithm.name, "key": key.id}
        return self._change(who, kind, put, extension=key.imported, **said)

    def _key(
        self, key_id: str, key_ref: int, algorithm: Algorithm, made: MadeKey, policies: KeyPolicies
    ) -> HeldKey:
        """A key without a certificate, whose card is set later."""
        return HeldKey(
            id=key_id,
            card_id="",
            key_ref=key_ref,
            algorithm=algorithm,
            certificate=b"",
            create_time=self.clock(),
            public_key=made.public_der,
            pin_policy=policies.pin,
            touch_policy=policies.touch,
            private=made.private,
        )

    def _withdraw(self, connection: Connection, keys: Iterable[Key]) -> list[str]:
        now = self.clock()
        found = []
        for key in keys:
            end_sessions(connection, now, KEYSTORE, "key changed", Which(key_id=key.id))
            found += operations.open_of(connection, key.card_id, key.id)
        return withdraw(connection, found, now, KEYSTORE, "key changed")

    def _profile(
        self, connection: Connection, who: Administrator, *, extension: bool = False
    ) -> CardProfile:
        """The profile of the administrator's card; raises AdministrationRefused or
        AdministratorNeeded unless the change is allowed.
        """
        card = cards.in_use(connection, who.card_serial)
        profile = PROFILES[card.profile]
        allowed.check_changeable(profile, extension=extension)
        self.management_keys.check(connection, card, who.proof, who.workstation.id)
        return profile

    def _resettable(self, connection: Connection, serial: str) -> Card:
        card = cards.in_use(connection, serial)
        allowed.check_resettable(PROFILES[card.profile])
        if any(
            passcodes.tries_left(connection, card.id, each) != 0
            for each in (KeyRef.PIN, KeyRef.PUK)
        ):
            raise CardNotBlocked("only a card whose PIN and PUK are blocked is reset")
        return card
