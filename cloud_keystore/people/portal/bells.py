"""Bells: a holder's page lets itself be rung while it is closed (Web Push)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials import bell_addresses, push_keys, push_messages
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.bells import Address, Bell, PushTerms, checked
from cloud_keystore.model.people import Identity
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import bells as rows


@dataclass(frozen=True, slots=True)
class Bells:
    """What devices do with their own bells."""

    database: Database
    clock: Clock
    seal: Seal = field(repr=False)
    terms: PushTerms

    def key(self) -> bytes:
        """The key from which a browser is to take rings, an uncompressed point of P-256."""
        with self.database.read() as connection:
            found = push_keys.find(connection, self.seal)
        if found is None:
            with self.database.write() as connection:
                found = push_keys.find_or_make(connection, self.seal)
        return found.public

    def hang(self, address: Address, device: Identity) -> None:
        """Ring this device there from now on, of what is asked for from now on; the same address
        again changes nothing. Raises InvalidInput, IdentityRejected, UserClosed, TooManyCalls.
        """
        now = self.clock()
        host = checked(address, self.terms)
        push_messages.browser_key(address.public_key)
        with self.database.write() as connection:
            user = owner(connection, device, now)
            before = rows.find(connection, device.id)
            sealed = rows.sealed_of(connection, device.id)
            if sealed is not None and bell_addresses.open_(self.seal, device.id, sealed) == address:
                return
            hung = Bell(device.id, user.id, host, now, now, now, tries=0, next_time=now)
            rows.put(connection, hung, bell_addresses.close(self.seal, device.id, address))
            old = "" if before is None or before.end_time is not None else before.host
            said = {"host": host, "old_host": old, "name": device.display_name}
            told = entries.about_identity(Kind.BELL_HUNG, device, now, device.actor, said)
            journal.append(connection, told)

    def take_down(self, device: Identity) -> None:
        """Ring this device no longer; nothing is done if it is not rung. Raises IdentityRejected,
        UserClosed, TooManyCalls.
        """
        now = self.clock()
        with self.database.write() as connection:
            owner(connection, device, now)
            gone = rows.find(connection, device.id)
            if gone is not None and rows.end(connection, device.id, now):
                said = {"host": gone.host, "why": "by its holder"}
                told = entries.about_identity(Kind.BELL_GONE, device, now, device.actor, said)
                journal.append(connection, told)
