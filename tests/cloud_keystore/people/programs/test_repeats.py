"""Requests that API clients repeat: the first answer counts, for a day, for its client alone."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import (
    IdentityRejected,
    RequestIdReused,
    RequestUnderWay,
    TooManyCalls,
)
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.repeats import KEPT, UNDER_WAY
from cloud_keystore.people.programs import repeats
from support.keystore_world import OPERATOR, World

KEY, REQUEST, ANSWER = b"key", b"request", b"answer"


@pytest.fixture
def client(world: World) -> Identity:
    return world.clients.add("HR", ["support"], actor=OPERATOR).listing.client


def test_the_answer_of_the_first_time_is_given_again(world: World, client: Identity) -> None:
    assert world.repeats.begin(KEY, REQUEST, client) is None
    world.repeats.settle(KEY, ANSWER, client)
    assert [world.repeats.begin(KEY, REQUEST, client) for _ in range(2)] == [ANSWER, ANSWER]
    world.repeats.settle(KEY, b"other", client)
    assert world.repeats.begin(KEY, REQUEST, client) == ANSWER


def test_another_request_has_another_key(world: World, client: Identity) -> None:
    world.repeats.begin(KEY, REQUEST, client)
    for _ in range(2):
        with pytest.raises(RequestIdReused):
            world.repeats.begin(KEY, b"other", client)
        world.repeats.settle(KEY, ANSWER, client)


def test_it_is_not_done_twice_at_a_time(world: World, client: Identity) -> None:
    world.repeats.begin(KEY, REQUEST, client)
    with pytest.raises(RequestUnderWay):
        world.repeats.begin(KEY, REQUEST, client)
    world.clock.forward(seconds=UNDER_WAY.total_seconds())
    assert world.repeats.begin(KEY, REQUEST, client) is None


def test_what_was_not_done_is_done_anew(world: World, client: Identity) -> None:
    world.repeats.begin(KEY, REQUEST, client)
    world.repeats.settle(KEY, None, client)
    assert world.repeats.begin(KEY, b"other", client) is None


def test_a_key_is_good_for_a_day(world: World, client: Identity) -> None:
    world.repeats.begin(KEY, REQUEST, client)
    world.repeats.settle(KEY, ANSWER, client)
    world.clock.forward(seconds=KEPT.total_seconds())
    assert world.repeats.begin(KEY, b"other", client) is None


def test_each_client_has_its_own_keys(world: World, client: Identity) -> None:
    world.repeats.begin(KEY, REQUEST, client)
    world.repeats.settle(KEY, ANSWER, client)
    other = world.clients.add("Other", ["support"], actor=OPERATOR).listing.client
    assert world.repeats.begin(KEY, b"other", other) is None


def test_they_are_bounded(world: World, client: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_KEPT", 2)
    for number in range(3):
        world.repeats.begin(bytes([number]), REQUEST, client)
    with pytest.raises(TooManyCalls):
        world.repeats.begin(KEY, REQUEST, client)
    world.clock.forward(seconds=KEPT.total_seconds() + 1)
    assert world.repeats.begin(KEY, REQUEST, client) is None


def test_a_removed_client_gets_no_answer(world: World, client: Identity) -> None:
    world.repeats.begin(KEY, REQUEST, client)
    world.repeats.settle(KEY, ANSWER, client)
    world.identities.remove(Role.CLIENT, client.id, "gone", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.repeats.begin(KEY, REQUEST, client)
