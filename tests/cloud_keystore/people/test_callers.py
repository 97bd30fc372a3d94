"""What is kept of clients that call."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import pytest

from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.fields.software import Contact, Software
from cloud_keystore.model.people import Role
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.organisations import Organisations
from support.keystore_world import OPERATOR, Enrolled, World

OLD, NEW = "cloudcard/1.9 (android 14)", "cloudcard/1.10 (android 15; sign-in)"


def heard_of(world: World, *who: Enrolled) -> list[Contact | None]:
    found = world.identities.contacts([each.identity.id for each in who], actor=OPERATOR)
    return [found.get(each.identity.id) for each in who]


def test_what_a_client_says_is_kept_with_when(world: World) -> None:
    """DEV-01: version, platform type and platform version, filled at each contact, but not written
    with each call.
    """
    _, phone = world.user()
    pc = world.workstation()
    assert heard_of(world, phone, pc) == [None, None]
    world.callers.heard(OLD, phone.identity)
    begin = world.clock()
    first = Contact(Software("1.9", "android", "14"), begin)
    assert heard_of(world, phone, pc) == [first, None]
    world.clock.forward(minutes=59)
    world.callers.heard(OLD, phone.identity)
    assert heard_of(world, phone) == [first]
    world.callers.heard(NEW, phone.identity)
    second = Contact(Software("1.10", "android", "15", ("sign-in",)), world.clock())
    assert heard_of(world, phone) == [second]
    world.clock.forward(seconds=59)
    world.callers.heard(OLD, phone.identity)
    assert heard_of(world, phone) == [second]
    world.clock.forward(minutes=59, seconds=1)
    world.callers.heard(NEW, phone.identity)
    assert heard_of(world, phone) == [replace(second, seen_time=world.clock())]


def test_a_client_that_says_nothing_was_seen_all_the_same(world: World) -> None:
    pc = world.workstation()
    world.callers.heard("grpc-node/1.0", pc.identity)
    assert heard_of(world, pc) == [Contact(Software(), world.clock())]


def test_only_those_whom_an_operator_sees_are_told(world: World) -> None:
    _, phone = world.user()
    pc = world.workstation()
    for each in (phone, pc):
        world.callers.heard(NEW, each.identity)
    organisations = Organisations(world.database, world.clock, os.urandom)
    other = organisations.add("St Elsewhere", world.operator().identity)
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER.value, other.id, actor=OPERATOR)
    elsewhere = world.enrol(token.text).identity.actor
    ids = [each.identity.id for each in (phone, pc)]
    assert not world.identities.contacts(ids, actor=elsewhere)
    assert world.identities.contacts(ids, actor=OPERATOR).keys() == set(ids)
    assert not world.identities.list_of(Role.WORKSTATION, actor=elsewhere)


@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
def test_who_is_removed_while_being_heard_stays_removed(world: World) -> None:
    """Calls that were let in before bring nobody back, and none of them fails."""
    pc, begun = world.workstation(), threading.Barrier(2)

    def beat() -> None:
        begun.wait()
        for each in range(20):
            world.callers.heard(f"cloudcard/1.{each} (linux 6)", pc.identity)
            world.clock.forward(minutes=2)

    with ThreadPoolExecutor(1) as program:
        beats = program.submit(beat)
        begun.wait()
        world.identities.remove(Role.WORKSTATION, pc.identity.id, "lost", world.operator().identity)
        beats.result()
    world.callers.heard(NEW, pc.identity)
    with pytest.raises(IdentityRejected, match="removed"):
        world.callers.identify(sha256(pc.certificate).digest(), Role.WORKSTATION)
