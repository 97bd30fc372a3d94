"""Visits of holders at the portal: who is let in, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.errors import (
    AddressUnreachable,
    DeviceNotFound,
    IdentityRejected,
    SessionNotFound,
    TokenRejected,
    TooManyCalls,
    TooManyGuesses,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.codes import CODE_TRIES
from cloud_keystore.model.portal.passwords import MOST_WRONG
from cloud_keystore.model.rights.visits import (
    IDLE_TIME,
    LONGEST_VISIT,
    MOST_VISITS,
    OWN_PREFIX,
    STEP_TIME,
    text_sha256,
)
from cloud_keystore.people.portal.visits import Offer
from support.keystore_world import SESSIONS, World
from support.outbox import Told
from support.portal import EMAIL, OTHER, PASSWORD, Portal, other_than

MINUTE = timedelta(minutes=1)
WRONG = "not this one, Sir"


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def enter(world: World, portal: Portal) -> Callable[[], bytes]:
    """Logs Ada in: the hash of the new secret."""

    def entered() -> bytes:
        step = step_of(world)
        return hashed(world.portal_visits.begin(step, portal.code()).secret)

    return entered


def hashed(secret: str) -> bytes:
    found = text_sha256(OWN_PREFIX, secret)
    assert found is not None
    return found


def step_of(world: World) -> str:
    """What a browser keeps after the right password."""
    found = world.portal_visits.ask(EMAIL, PASSWORD)
    assert found is not None
    return found.text


def test_password_and_code_begin_a_visit(world: World, portal: Portal) -> None:
    """AUTH-13: one without the other does not, and the journal has it."""
    assert world.portal_visits.ask(EMAIL, WRONG) is None
    step, code = step_of(world), portal.code()
    wrong = world.portal_visits.begin(step, other_than(code))
    assert (wrong.secret, wrong.tries_left) == ("", CODE_TRIES - 1)
    secret = world.portal_visits.begin(step, f" {code} ").secret
    holder = world.portal_visits.find(hashed(secret))
    assert (holder.role, holder.user_id) == (Role.HOLDER, portal.user.id)
    assert holder.actor == Actor(ActorKind.HOLDER, portal.user.id)
    for text in (code, other_than(code)):
        with pytest.raises(TokenRejected):
            world.portal_visits.begin(step, text)
    for _ in range(2):
        world.portal_visits.end(hashed(secret))
        with pytest.raises(IdentityRejected):
            world.portal_visits.find(hashed(secret))
    kinds = (Kind.LOG_IN_CODE_SENT, Kind.LOG_IN_CODE_WRONG, Kind.VISIT_BEGUN, Kind.VISIT_ENDED)
    told = world.journal(*kinds)
    assert [each.kind for each in told] == [*kinds]
    assert {each.user_id for each in told} == {portal.user.id}
    assert [each.actor for each in told[2:]] == [holder.actor] * 2
    assert secret not in repr(told)
    assert code not in repr(told)


def test_a_code_is_tried_so_often_and_for_a_time(world: World, portal: Portal) -> None:
    step, code = step_of(world), portal.code()
    left = [world.portal_visits.begin(step, other_than(code)).tries_left for _ in range(6)]
    assert left == [4, 3, 2, 1, 0, 0]
    assert world.portal_visits.begin(step, code).secret == ""
    world.portal_visits.again(step)
    late = portal.code()
    world.clock.now += STEP_TIME
    with pytest.raises(TokenRejected):
        world.portal_visits.begin(step, late)


def test_a_code_of_before_is_void_and_codes_are_few(world: World, portal: Portal) -> None:
    """PORT-05: another code voids the one before, and a mailbox is not flooded."""
    step, code = step_of(world), portal.code()
    world.portal_visits.again(step)
    newer = portal.code()
    assert world.portal_visits.begin(step, code).secret == "" or code == newer
    world.portal_visits.again(step)
    with pytest.raises(TooManyCalls):
        world.portal_visits.again(step)
    assert world.portal_visits.begin(step, portal.code()).secret


def test_a_code_for_something_else_lets_nobody_in(world: World, portal: Portal) -> None:
    step = step_of(world)
    portal.code()
    reset = portal.forgotten()
    assert world.portal_visits.begin(step, reset).secret == ""


@pytest.mark.usefixtures("portal")
def test_whoever_guesses_learns_nothing_of_who_is_known(world: World) -> None:
    """The attack: names and passwords are tried. The answers, the lock and its text are the same
    for a name that nobody has, and for one whose organisation has no passwords.
    """
    mine = world.user("Bo Berg", upn="bo@corp.example")[0]
    said = []
    for name in (EMAIL, "nobody@example.org", mine.upn):
        for _ in range(MOST_WRONG):
            assert world.portal_visits.ask(name, WRONG) is None
        with pytest.raises(TooManyGuesses) as refused:
            world.portal_visits.ask(name, PASSWORD)
        said.append(str(refused.value))
    assert len(set(said)) == 1
    assert world.journal(Kind.LOG_IN_CODE_SENT) == []


def test_an_address_that_is_not_verified_gets_no_code(world: World, portal: Portal) -> None:
    user, phone = portal.told.enrolled("bea@example.org")
    assert world.portal_passwords.set_own(PASSWORD, phone.identity).is_set
    with pytest.raises(AddressUnreachable, match="verify it on your phone"):
        world.portal_visits.ask("bea@example.org", PASSWORD)
    assert user.email_verify_time is None


def test_it_is_off_unless_a_policy_says_so(world: World, enter: Callable[[], bytes]) -> None:
    """Whoever is logged in is logged out when a policy takes it away."""
    assert world.portal_visits.look() == Offer(by_policy=True, sends=True)
    secret, step = enter(), step_of(world)
    world.set_policy(Policy())
    assert world.portal_visits.look() == Offer(by_policy=False, sends=True)
    assert not world.portal_visits.look().is_open
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(secret)
    with pytest.raises(TokenRejected):
        world.portal_visits.again(step)
    assert world.portal_visits.ask(EMAIL, PASSWORD) is None


def test_a_visit_ends_by_itself(world: World, enter: Callable[[], bytes]) -> None:
    secret = enter()
    begun = world.clock.now
    while world.clock.now < begun + LONGEST_VISIT - IDLE_TIME:
        world.clock.now += IDLE_TIME - MINUTE
        world.portal_visits.find(secret)
    world.clock.now = begun + LONGEST_VISIT
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(secret)
    idle = enter()
    world.clock.now += IDLE_TIME + MINUTE
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(idle)


def test_a_holder_who_leaves_is_logged_out(
    world: World, portal: Portal, enter: Callable[[], bytes]
) -> None:
    secret = enter()
    world.leaving.close(portal.user.id, "left", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(secret)


def test_another_password_logs_everybody_out(
    world: World, portal: Portal, enter: Callable[[], bytes]
) -> None:
    """Whoever has got in by a password that was known loses it: visits, and codes on their way."""
    secret, step = enter(), step_of(world)
    code = portal.code()
    assert world.portal_passwords.set_own(OTHER, portal.phone.identity).is_set
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(secret)
    with pytest.raises(TokenRejected):
        world.portal_visits.begin(step, code)


def test_visits_at_the_same_time_are_few(world: World, enter: Callable[[], bytes]) -> None:
    secrets: list[bytes] = []
    for _ in range(MOST_VISITS + 1):
        for _ in range(3):  # more codes an hour are not mailed
            world.clock.now += IDLE_TIME / 2
            for each in secrets:
                world.portal_visits.find(each)
        secrets.append(enter())
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(secrets[0])
    holder = world.portal_visits.find(secrets[-1])
    assert world.holdings.show(holder).other_visits == MOST_VISITS - 1
    world.portal_visits.end_others(holder)
    assert world.holdings.show(holder).other_visits == 0
    world.portal_visits.find(secrets[-1])
    with pytest.raises(IdentityRejected):
        world.portal_visits.find(secrets[1])


def test_a_holder_at_the_portal_is_no_device_and_nobody_else(
    world: World, portal: Portal, enter: Callable[[], bytes]
) -> None:
    """The attack: what is somebody else's, by its identifier; and a visit that is over."""
    world.set_policy(Policy(portal_passwords=True, session=SESSIONS.session))
    other, stranger = world.user("Mallory")
    pc, serial = world.workstation(), world.card(other)
    session = world.session(serial, pc, stranger)
    secret = enter()
    holder = world.portal_visits.find(secret)
    with pytest.raises(DeviceNotFound):
        world.devices.remove_own(stranger.identity.id, holder)
    with pytest.raises(SessionNotFound):
        world.holdings.end_session(session.id, holder)
    own = world.holdings.show(holder)
    assert (own.user.id, own.cards, own.sessions) == (portal.user.id, (), ())
    assert [each.id for each in own.phones] == [portal.phone.identity.id]
    assert all("Mallory" not in each.text for each in world.holdings.events(holder))
    world.portal_visits.end(secret)
    for call in (
        lambda: world.holdings.show(holder),
        lambda: world.holdings.events(holder),
        lambda: world.devices.remove_own(portal.phone.identity.id, holder),
        lambda: world.addresses.send_own(holder),
        lambda: world.own_passwords.change(PASSWORD, OTHER, holder),
    ):
        with pytest.raises(IdentityRejected):
            call()


def test_staff_is_not_named_to_holders(
    world: World, portal: Portal, enter: Callable[[], bytes]
) -> None:
    olga = world.operator().identity
    world.people.change_user(portal.user.id, "Ada King", None, actor=olga.actor)
    said = [each.text for each in world.holdings.events(world.portal_visits.find(enter()))]
    assert any("of your registration authority changed the person" in each for each in said)
    assert all(olga.display_name not in each for each in said)


def test_a_lost_phone_is_removed(world: World, portal: Portal, enter: Callable[[], bytes]) -> None:
    """DEV-02: without another phone; the address is told."""
    holder: Identity = world.portal_visits.find(enter())
    portal.told.send()
    gone = world.devices.remove_own(portal.phone.identity.id, holder)
    assert not gone.is_active(world.clock())
    (letter,) = portal.told.send()
    assert "was removed from the portal" in " ".join(letter.text.split())
    (entry,) = world.journal(Kind.IDENTITY_REMOVED)
    assert entry.actor == holder.actor
    assert world.holdings.show(holder).phones == ()
