"""Cards out of use and back, and what is left of a revoked one."""

from __future__ import annotations

from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import text

from cloud_keystore.model.cards import CARD_TRANSITIONS, CardEvent, CardState
from cloud_keystore.model.errors import IllegalCardChange
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.people import User
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, Enrolled, World

ACTIONS = {
    CardEvent.SUSPEND: lambda world, serial: world.cards.suspend(serial, actor=OPERATOR),
    CardEvent.RESUME: lambda world, serial: world.cards.resume(serial, actor=OPERATOR),
    CardEvent.REVOKE: lambda world, serial: world.cards.revoke(serial, "left", actor=OPERATOR),
}


@pytest.mark.parametrize(("state", "event"), list(product(CardState, ACTIONS)))
def test_every_state_and_event_follows_the_table(
    world: World, ada: tuple[User, Enrolled], state: CardState, event: CardEvent
) -> None:
    serial = world.card(ada[0])
    with world.database.write() as connection:
        rows.change(connection, tables.card, [], {"state": state})
    expected = CARD_TRANSITIONS.get((state, event))
    if expected is None:
        with pytest.raises(IllegalCardChange):
            ACTIONS[event](world, serial)
    else:
        assert ACTIONS[event](world, serial).card.state is expected


def test_a_revoked_card_has_no_keys(
    world: World, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = world.card(ada[0])
    with world.database.read() as connection:
        query = text("SELECT sealed_private FROM key")
        sealed = [row.sealed_private for row in connection.execute(query)]
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    with world.database.read() as connection:
        assert all(row.sealed_private is None for row in connection.execute(query))
    world.database.close()  # checkpoints: what was erased is gone from the files too
    files = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert not any(each in files for each in sealed)


def test_a_revoked_card_leaves_proof_that_its_keys_are_destroyed(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    serial = world.card(ada[0])
    held = {key.id: key for key in world.keys(serial)}
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    with world.database.read() as connection:
        entries = connection.execute(text("SELECT entry FROM journal")).scalars().all()
    told = [entry for entry in map(decode, entries) if entry.kind is Kind.KEY_DESTROYED]
    assert sorted(entry.key_id or "" for entry in told) == sorted(held)
    for entry in told:
        key = held[entry.key_id or ""]
        assert entry.details == {"backend": "software", "algorithm": key.algorithm.name}
        assert entry.evidence == {"public_key_sha256": sha256(key.public_key).digest()}
