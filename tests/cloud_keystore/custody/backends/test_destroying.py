"""Keys that are destroyed: the journal tells it once the backend has done it, and not before."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from cloud_keystore.custody.backends.destroying import destroy_keys, remove_key, sweep
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import PKCS11, SOFTWARE, HeldKey, Key
from cloud_keystore.model.errors import KeyBackendUnavailable
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, World


@dataclass
class Token:
    """Destroys keys, unless it is away."""

    away: bool = False
    destroyed: list[str] = field(default_factory=list)

    def destroy(self, key: HeldKey) -> None:
        if self.away:
            raise KeyBackendUnavailable("away")
        self.destroyed.append(key.id)


def key_of(world: World, serial: str, key_ref: int = 0x9A) -> Key:
    return next(key for key in world.keys(serial) if key.key_ref == key_ref)


def put_on_token(world: World, *key_ids: str) -> None:
    """Let the rows be of keys in a token."""
    with world.database.write() as connection:
        there = {"backend": PKCS11, "handle": b"handle", "sealed_private": b"mark"}
        rows.change(connection, t.key, [t.key.c.id.in_(key_ids)], there)


def test_a_software_key_that_is_removed_is_destroyed_at_once(world: World, serial: str) -> None:
    key = key_of(world, serial)
    for removed in (True, False):
        with world.database.write() as connection:
            args = connection, key.card_id, key.key_ref, world.clock(), OPERATOR
            assert remove_key(*args) is removed
    (told,) = world.journal(Kind.KEY_DESTROYED)
    assert (told.key_id, told.card_id, told.actor) == (key.id, key.card_id, OPERATOR)
    assert told.details == {"backend": SOFTWARE, "algorithm": "ECC_P256"}
    with world.database.read() as connection:
        row = t.key.c.id == key.id
        public = connection.execute(t.key.select().where(row)).one().public_key
    assert told.evidence == {"public_key_sha256": sha256(public).digest()}


def test_a_key_in_the_token_is_told_when_the_token_has_done_it(world: World, serial: str) -> None:
    key, token = key_of(world, serial), Token(away=True)
    put_on_token(world, key.id)
    with world.database.write() as connection:
        assert remove_key(connection, key.card_id, key.key_ref, world.clock(), OPERATOR)
    with pytest.raises(KeyBackendUnavailable):
        sweep(world.database, token, world.clock())  # type: ignore[arg-type]
    assert world.journal(Kind.KEY_DESTROYED) == []
    token.away = False
    assert [sweep(world.database, token, world.clock()) for _ in range(2)] == [1, 0]  # type: ignore[arg-type]
    assert token.destroyed == [key.id]
    (told,) = world.journal(Kind.KEY_DESTROYED)
    assert (told.key_id, told.details["backend"], told.actor) == (key.id, PKCS11, KEYSTORE)


def test_all_keys_of_a_card(world: World, serial: str) -> None:
    keys = world.keys(serial)
    on_token = keys[0].id
    put_on_token(world, on_token)
    with world.database.write() as connection:
        destroy_keys(connection, keys[0].card_id, world.clock(), KEYSTORE)
    told = world.journal(Kind.KEY_DESTROYED)
    assert {entry.key_id for entry in told} == {key.id for key in keys} - {on_token}
    assert {entry.details["backend"] for entry in told} == {SOFTWARE}
    assert sweep(world.database, Token(), world.clock()) == 1  # type: ignore[arg-type]
