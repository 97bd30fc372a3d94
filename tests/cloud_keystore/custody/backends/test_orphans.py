"""Keys in a token that no row knows: old ones are destroyed, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from cloud_keystore.custody.backends.destroying import ORPHAN_AGE, sweep_orphans
from cloud_keystore.model.cards import PKCS11
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import Enrolled, World


@dataclass
class Shelf:
    """A token's keys by their handles."""

    held: list[bytes] = field(default_factory=list)

    def handles(self) -> list[bytes]:
        return list(self.held)

    def destroy_handle(self, handle: bytes) -> None:
        self.held.remove(handle)


def made_at(time: datetime) -> bytes:
    """The identifier of a key that was made then (RFC 9562, 5.7)."""
    milliseconds = int(time.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62).bytes


def test_only_old_keys_that_no_row_knows_are_destroyed(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    now = world.clock()
    world.card(ada[0])
    long_ago = now - ORPHAN_AGE - timedelta(seconds=1)
    known, orphan = made_at(long_ago), made_at(long_ago - timedelta(days=1))
    young, foreign = made_at(now - ORPHAN_AGE), b"another program's key"
    with world.database.write() as connection:
        of_9a = tables.key.c.key_ref == 0x9A
        there = {"backend": PKCS11, "handle": known, "sealed_private": b""}
        rows.change(connection, tables.key, [of_9a], there)
    shelf = Shelf([known, orphan, young, foreign])
    assert sweep_orphans(world.database, shelf, now) == 1
    assert shelf.held == [known, young, foreign]
    (entry,) = world.journal(Kind.KEY_DESTROYED)
    assert entry.key_id == str(UUID(bytes=orphan))
    assert entry.details == {"backend": PKCS11, "orphan": True}
    assert sweep_orphans(world.database, shelf, now) == 0
