"""Sessions as their holder sees and ends them, and how others learn of what has changed."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import SessionClosed, SessionNotFound
from cloud_keystore.model.people import User
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.operations.watching import LOOK_SECONDS, Watching
from support.keystore_world import SESSIONS, Enrolled, World


def test_a_holder_sees_and_ends_sessions(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    world.set_policy(SESSIONS)
    serial, (_, phone) = world.card(ada[0]), ada
    session = world.session(serial, pc, phone)
    holders = Sessions(world.database, world.clock)
    (seen,) = holders.list_open(phone.identity)
    assert (seen.session, seen.card_serial, seen.key_ref) == (session, serial, 0x9A)
    assert (seen.workstation, seen.site) == ("WARD7-PC3", "Ward 7")
    mallory = world.user("Mallory")[1].identity
    assert holders.list_open(mallory) == []
    for session_id in (session.id, "none"):
        with pytest.raises(SessionNotFound):
            holders.end(session_id, mallory)
    world.use(session, pc)
    for _ in range(2):  # one that has ended stays so
        holders.end(session.id, phone.identity)
        assert holders.list_open(phone.identity) == []
    with pytest.raises(SessionClosed):
        world.use(session, pc)


def test_changes_are_told_once_and_not_all_the_time(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial, now = world.card(ada[0]), 0.0

    def monotonic() -> float:
        return now

    changes = Watching(world.database, monotonic)
    assert changes.topics() == set()  # what was before is for who begins to wait
    operation = world.ask(serial, pc)
    assert changes.topics() == set()
    now += LOOK_SECONDS
    assert changes.topics() == {ada[0].id}
    world.decide(operation, ada[1])
    now += LOOK_SECONDS
    assert changes.topics() == {operation.id, ada[0].id}
    now += LOOK_SECONDS
    assert changes.topics() == set()
