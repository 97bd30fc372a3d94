"""Keys that are made in advance: each is on one card at most, and everything works without any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from threading import Barrier, Thread

import pytest
from sqlalchemy import select, update

from card_os.piv.names import Algorithm
from cloud_keystore.cards import leases
from cloud_keystore.cards import spares as spares_module
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.spares import KINDS, NewKey, Spares
from cloud_keystore.model.cards import PKCS11
from cloud_keystore.model.people import User
from cloud_keystore.run import restoring
from cloud_keystore.storage.issuing import spare_keys
from cloud_keystore.storage.issuing.spare_keys import spare_key
from support.crashing import Crash, crashing
from support.keystore_world import DIGEST, OPERATOR, Enrolled, World, verify

P256 = Algorithm.ECC_P256


def spares_of(world: World, size: int, *, idle: bool = True) -> Spares:
    return Spares(
        world.database, world.custody, world.clock, os.urandom, size, is_idle=lambda: idle
    )


def filled(world: World, size: int) -> Spares:
    """As many spare keys of P-256 as there are to be."""
    filling = spares_of(world, size)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spares_module, "KINDS", (P256,))
        while filling.fill():
            pass
    return filling


def taken_from(spares: Spares, *algorithms: Algorithm) -> list[NewKey]:
    """New keys, for no card."""
    with spares.new("", algorithms) as fresh:
        return fresh.keys


def levels(world: World) -> dict[int, int]:
    with world.database.read() as connection:
        return dict(spare_keys.levels(connection))


def issuing(world: World, spares: Spares) -> Issuing:
    return replace(world.issuing, spares=spares)


def names(world: World) -> list[str]:
    with world.database.read() as connection:
        return list(connection.execute(select(spare_key.c.id).order_by(spare_key.c.id)).scalars())


def test_the_pool_fills_while_there_is_nothing_else_to_do(world: World) -> None:
    assert not spares_of(world, 2, idle=False).fill()
    assert levels(world) == {}
    spares = spares_of(world, 2)
    assert [spares.fill() for _ in range(5)] == [True] * 4 + [False]
    assert levels(world) == dict.fromkeys(KINDS, 2)


def test_a_card_of_spare_keys_is_like_any_other(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """CARD-06: keys come from the pool, each under its own identifier."""
    spares = filled(world, 4)
    taken = names(world)
    world.issuing = issuing(world, spares)
    serial = world.card(ada[0])
    assert levels(world) == {}
    assert sorted(key.id for key in world.keys(serial)) == taken
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    verify(world, serial, 0x9A, world.perform(operation, pc), DIGEST)


def test_what_the_pool_lacks_is_made(world: World, ada: tuple[User, Enrolled]) -> None:
    world.issuing = issuing(world, filled(world, 1))
    [spare] = names(world)
    keys = {key.id for key in world.keys(world.card(ada[0]))}
    assert len(keys) == 4
    assert spare in keys


def test_no_two_take_the_same(world: World) -> None:
    """Processes and replicas take at the same time."""
    spares, taken = filled(world, 12), list[str]()
    barrier = Barrier(3)

    def take() -> None:
        barrier.wait()
        for _ in range(2):
            taken.extend(new.id for new in taken_from(spares, P256, P256))

    threads = [Thread(target=take) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(taken) == len(set(taken)) == 12
    assert levels(world) == {}


def test_a_key_that_is_put_back_gets_on_no_second_card(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """Somebody writes the database, and puts back what was taken."""
    world.issuing = issuing(world, filled(world, 4))
    with world.database.read() as connection:
        rows = [dict(row) for row in connection.execute(select(spare_key)).mappings()]
    first = {key.id for key in world.keys(world.card(ada[0]))}
    with world.database.write() as connection:
        connection.execute(spare_key.insert(), rows)
    second = {key.id for key in world.keys(world.card(ada[0]))}
    assert not first & second
    assert len(world.cards.list_all(actor=world.actor)) == 2


def test_a_key_that_somebody_has_written_is_not_taken(world: World) -> None:
    """The public key of somebody else would be certified."""
    filled(world, 2)
    first, second = names(world)
    with world.database.write() as connection:
        connection.execute(
            update(spare_key).where(spare_key.c.id == first).values(public_key=b"another")
        )
    [new] = taken_from(spares_of(world, 2), P256)
    assert new.id not in {first, second}  # the forged one is in the way, and is passed over


@pytest.mark.parametrize("made", [(), (P256,)])
def test_without_a_pool_nothing_is_kept(world: World, made: Sequence[Algorithm]) -> None:
    for _ in made:
        filled(world, 1)
    off = spares_of(world, 0)
    assert len(taken_from(off, P256)) == 1
    assert levels(world) == dict.fromkeys(made, 1)
    assert not off.fill()
    assert levels(world) == {}


def test_keys_of_a_token_are_not_made_in_advance(world: World) -> None:
    filled(world, 1)
    spares = spares_of(world, 1)
    on_token = replace(spares, custody=replace(spares.custody, new=PKCS11))
    assert not on_token.fill()
    assert levels(world) == {}


def test_a_restored_database_has_none(world: World) -> None:
    """Cards that were made after the backup can have them."""
    filled(world, 2)
    restoring.end_the_past(world.database, world.clock(), {})
    assert levels(world) == {}


def test_a_crash_while_a_card_is_issued_leaves_one_card_or_none(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """CARD-07, BUG-19: kill -9 at each statement, a start, and the same call again: one card, whose
    keys nobody else has, and no certificate and no key without a card.
    """
    request_id = bytes(16)
    cards = issuing(world, filled(world, 250))
    for number in range(1, 1000):
        before = levels(world).get(P256, 0)
        try:
            with crashing(number):
                cards.issue(request_id, ada[0].id, "p256", actor=OPERATOR)
        except Crash:
            assert len(world.cards.list_all(actor=world.actor)) <= 1
            assert levels(world).get(P256, 0) in (before, before - 4)
            leases.end(world.database, None, world.clock())
        else:
            break
    assert number > 15
    [listing] = world.cards.list_all(actor=world.actor)
    keys = {key.id for key in world.keys(listing.card.serial)}
    assert len(keys) == 4
    assert not keys.intersection(names(world))
    again = cards.issue(request_id, ada[0].id, "p256", actor=OPERATOR)
    assert again.card == listing.card
    assert len(world.cards.list_all(actor=world.actor)) == 1
