"""Visits of operators at the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloud_keystore.model.errors import IdentityRejected, NotAllowed, TokenRejected, UserNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloud_keystore.model.rights.visits import (
    CODE_TIME,
    IDLE_TIME,
    LONGEST_VISIT,
    MOST_VISITS,
    SECRET_PREFIX,
    text_sha256,
)
from support.keystore_world import LOG_IN_PAGE, OPERATOR, World

MINUTE = timedelta(minutes=1)


@pytest.fixture
def olga(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def visit(world: World, olga: Identity) -> Callable[[], bytes]:
    """Logs Olga in: the hash of the new secret."""
    return lambda: hashed(world.visits.begin(world.visits.make_code(olga).text))


def hashed(secret: str) -> bytes:
    found = text_sha256(SECRET_PREFIX, secret)
    assert found is not None
    return found


def test_a_code_begins_one_visit(world: World, olga: Identity) -> None:
    """Who logs in is known, and the journal has code, log-in and log-out."""
    made = world.visits.make_code(olga)
    assert made.address == LOG_IN_PAGE
    assert made.expire_time == world.clock() + CODE_TIME
    secret = world.visits.begin(f" {made.text} ")
    assert world.visits.find(hashed(secret)) == olga
    for _ in range(2):
        world.visits.end(hashed(secret))
        with pytest.raises(IdentityRejected):
            world.visits.find(hashed(secret))
    told = [each for each in world.journal() if each.kind.value.startswith("visit.")]
    assert [each.kind for each in told] == [Kind.VISIT_ASKED, Kind.VISIT_BEGUN, Kind.VISIT_ENDED]
    assert {each.actor for each in told} == {olga.actor}
    assert secret not in repr(told)


def test_a_code_is_good_once_and_for_a_time(world: World, olga: Identity) -> None:
    used = world.visits.make_code(olga).text
    world.visits.begin(used)
    replaced = world.visits.make_code(olga).text
    late = world.visits.make_code(olga).text
    world.clock.now += CODE_TIME
    for code in (used, replaced, late, "", "ccvisit_", "ccvisit_" + "A" * 43, used.upper()):
        with pytest.raises(TokenRejected):
            world.visits.begin(code)


def test_neither_code_nor_certificate_is_a_secret_of_a_visit(world: World, olga: Identity) -> None:
    code = world.visits.make_code(olga).text
    secret = world.visits.begin(code)
    assert secret != code
    for other in (olga.certificate_sha256 or b"", bytes(32)):
        with pytest.raises(IdentityRejected):
            world.visits.find(other)
    assert text_sha256(SECRET_PREFIX, code) is None


def test_a_visit_ends_when_nothing_is_done(world: World, visit: Callable[[], bytes]) -> None:
    secret = visit()
    for _ in range(3):
        world.clock.now += IDLE_TIME - MINUTE
        world.visits.find(secret)
    world.clock.now += IDLE_TIME
    with pytest.raises(IdentityRejected):
        world.visits.find(secret)


def test_a_visit_ends_in_any_case(world: World, visit: Callable[[], bytes]) -> None:
    secret = visit()
    for _ in range(LONGEST_VISIT // (IDLE_TIME - MINUTE)):
        world.clock.now += IDLE_TIME - MINUTE
        world.visits.find(secret)
    world.clock.now += IDLE_TIME - MINUTE
    with pytest.raises(IdentityRejected):
        world.visits.find(secret)


def test_a_visit_ends_with_the_operator(
    world: World, olga: Identity, visit: Callable[[], bytes]
) -> None:
    secret, code = visit(), world.visits.make_code(olga).text
    world.operator()
    world.identities.remove(olga.role, olga.id, "left", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.visits.find(secret)
    with pytest.raises(TokenRejected):
        world.visits.begin(code)


def test_so_many_visits_at_the_same_time(world: World, visit: Callable[[], bytes]) -> None:
    secrets = []
    for _ in range(MOST_VISITS + 1):
        secrets.append(visit())
        world.clock.now += MINUTE
    with pytest.raises(IdentityRejected):
        world.visits.find(secrets[0])
    for each in secrets[1:]:
        world.visits.find(each)


def test_rights_are_those_where_a_person_is(world: World, olga: Identity) -> None:
    ours, theirs = (world.organisations.add(name, olga).id for name in ("Ours", "Theirs"))
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, ours, actor=OPERATOR)
    ida = world.enrol(token.text).identity
    people = world.people
    here, there = (
        people.add_user(f"Ada {place}", "", organisation_id=place, actor=OPERATOR)[0].id
        for place in (ours, theirs)
    )
    held = world.visits.held(ida)
    assert set(held.somewhere) == RIGHTS[BuiltIn.RA_AGENT]
    assert held.everywhere == ()
    assert set(world.visits.rights(here, ida)) == RIGHTS[BuiltIn.RA_AGENT]
    below = world.organisations.add("Below", olga, ours).id
    assert set(world.visits.places(Right.ISSUE, ida)) == {ours, below}
    assert world.visits.places(Right.POLICY, ida) == ()
    with pytest.raises(UserNotFound):
        world.visits.rights(there, ida)


def test_who_sees_nothing_does_not_log_in(world: World, olga: Identity) -> None:
    for granted in world.roles.list_all(actor=OPERATOR):
        if granted.identity.id == olga.id:
            world.operator()
            world.roles.withdraw(granted.assignment.id, actor=OPERATOR)
    with pytest.raises(NotAllowed):
        world.visits.make_code(olga)
