"""Holders add passkeys at the portal, and log in by password and passkey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from cloud_keystore.custody.credentials.challenges import LATE
from cloud_keystore.model.errors import (
    AddressUnreachable,
    IdentityNotFound,
    IdentityRejected,
    InvalidInput,
    TokenRejected,
    TooManyCalls,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.assents import AssentState
from cloud_keystore.model.portal.codes import HOUR
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.portal.passkeys import MOST_PASSKEYS
from cloud_keystore.model.rights.log_ins import CHALLENGE_TIME
from cloud_keystore.model.rights.visits import OWN_PREFIX, text_sha256
from cloud_keystore.people.portal.passkeys import COPIED, UNKNOWN, PasskeyChange
from cloud_keystore.people.portal.visits import Entered
from cloud_keystore.people.rights.log_in_passkeys import PasskeyAnswer
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.authenticator.passkey import USER_PRESENT, SoftwarePasskey
from support.keystore_world import RELYING_PARTY, World
from support.outbox import Told
from support.portal import EMAIL, PASSWORD, Portal, other_than
from support.second_factors import answered, registered

GRACE = "grace@example.org"


@dataclass
class Key:
    """A holder's authenticator, with one passkey."""

    world: World
    own: SoftwarePasskey

    @classmethod
    def added(
        cls, portal: Portal, holder: Identity, name: str = "Key ring", code: str = ""
    ) -> tuple[Key, PasskeyChange]:
        """One that its holder adds, with the code that is mailed, or another one."""
        world = portal.told.world
        if not code:
            world.portal_passkeys.send_code(holder)
            code = portal.code()
        asked = world.portal_passkeys.ask_new(holder)
        own = passkey.new(asked.asked.rp_id, asked.asked.origin, asked.user_handle)
        made = registered(own, asked.asked.challenge)
        done = world.portal_passkeys.add(name, code, asked.asked.challenge, made, holder)
        return cls(world, own), done

    def answer(self, step: str) -> PasskeyAnswer:
        """What it says to a log-in that waits."""
        return self.answer_to(self.world.portal_visits.ask_passkey(step).asked.challenge)

    def answer_to(self, challenge: bytes) -> PasskeyAnswer:
        said, self.own = answered(self.own, challenge)
        return said

    def log_in(self, email: str = EMAIL) -> Entered:
        step = step_of(self.world, email)
        return self.world.portal_visits.begin(step, "", self.answer(step))


def step_of(world: World, email: str = EMAIL) -> str:
    """What a browser keeps after the right password."""
    found = world.portal_visits.ask(email, PASSWORD)
    assert found is not None
    return found.text


def visitor(world: World, secret: str) -> Identity:
    found = text_sha256(OWN_PREFIX, secret)
    assert found is not None
    return world.portal_visits.find(found)


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def holder(world: World, portal: Portal) -> Identity:
    """Ada, who has logged in by a mailed code."""
    return visitor(world, world.portal_visits.begin(step_of(world), portal.code()).secret)


@pytest.fixture
def key(portal: Portal, holder: Identity) -> Key:
    """A passkey of hers, which her log-ins need from now on."""
    world = portal.told.world
    made, done = Key.added(portal, holder)
    assert done.is_done
    choose(portal, Factor.PASSKEY, holder)
    world.clock.now += HOUR
    return made


def choose(portal: Portal, factor: Factor, holder: Identity) -> None:
    factors = portal.told.world.log_in_factors
    factors.ask(factor, holder)
    assert factors.change(factor, portal.code(), holder).is_set


def somebody_else(world: World, portal: Portal) -> tuple[Portal, Identity]:
    """Grace, who has logged in too."""
    user, phone = portal.told.enrolled(GRACE)
    other = Portal(portal.told, user, phone, portal.actor)
    other.verify(phone)
    assert world.portal_passwords.set_own(PASSWORD, phone.identity).is_set
    secret = world.portal_visits.begin(step_of(world, GRACE), other.code()).secret
    return other, visitor(world, secret)


def test_a_log_in_needs_the_password_and_the_passkey(
    world: World, portal: Portal, key: Key
) -> None:
    """AUTH-07, AUTH-08: no code is mailed any more, and none lets in."""
    step = step_of(world)
    assert world.portal_visits.needed(step).factor is Factor.PASSKEY
    assert portal.told.subjects() == []
    assert world.portal_visits.begin(step, "12345678").secret == ""
    (own,) = world.portal_visits.ask_passkey(step).allowed
    assert own == key.own.credential_id
    secret = world.portal_visits.begin(step, "", key.answer(step)).secret
    assert visitor(world, secret).user_id == portal.user.id
    begun = world.journal(Kind.VISIT_BEGUN)[-1]
    assert begun.details["factor"] == "passkey"
    (told,) = world.journal(Kind.PORTAL_PASSKEY_ADDED)
    assert (told.details["name"], told.details["synced"]) == ("Key ring", False)
    (kept,) = world.portal_passkeys.list_own(visitor(world, secret))
    assert begun.details["passkey"] == kept.id
    assert (kept.display_name, kept.use_time) == ("Key ring", world.clock())


def test_a_passkey_is_chosen_only_if_there_is_one(world: World, holder: Identity) -> None:
    assert not world.log_in_factors.look(holder).can_passkey
    with pytest.raises(InvalidInput, match="add one first"):
        world.log_in_factors.ask(Factor.PASSKEY, holder)


def test_an_open_browser_is_not_enough_to_add_one(
    world: World, portal: Portal, holder: Identity
) -> None:
    """The attack: a thief sits at a browser in which the holder is logged in."""
    with pytest.raises(AddressUnreachable):
        Key.added(portal, holder, code="12345678")
    world.log_in_factors.ask(Factor.EMAIL, holder)
    for_another_use = portal.code()
    world.portal_passkeys.send_code(holder)
    right = portal.code()
    _, done = Key.added(portal, holder, code=other_than(right))
    assert (done.is_done, done.tries_left) == (False, 4)
    if for_another_use != right:
        assert not Key.added(portal, holder, code=for_another_use)[1].is_done
    assert world.portal_passkeys.list_own(holder) == []
    assert world.journal(Kind.FACTOR_CODE_WRONG)
    assert Key.added(portal, holder, code=right)[1].is_done
    with pytest.raises(AddressUnreachable):
        Key.added(portal, holder, "Another", code=right)


def test_codes_for_passkeys_are_few(world: World, holder: Identity) -> None:
    for _ in range(3):
        world.portal_passkeys.send_code(holder)
    with pytest.raises(TooManyCalls):
        world.portal_passkeys.send_code(holder)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda own: replace(own, origin="https://evil.example"),
        lambda own: replace(own, rp_id="evil.example"),
        lambda own: replace(own, flags=USER_PRESENT),
        lambda own: replace(own, private=passkey.new("x", "y", b"").private),
    ],
    ids=["origin", "party", "unverified", "key"],
)
def test_an_answer_from_elsewhere_is_none(
    key: Key, wrong: Callable[[SoftwarePasskey], SoftwarePasskey]
) -> None:
    """Phishing: what another site, or a key without its person, has got logs in nobody."""
    good, key.own = key.own, wrong(key.own)
    assert key.log_in() == Entered("", passkey=UNKNOWN)
    key.own = good
    assert key.log_in().secret


@pytest.mark.parametrize(
    "wrong",
    [
        lambda own: replace(own, origin="https://evil.example"),
        lambda own: replace(own, rp_id="evil.example"),
        lambda own: replace(own, flags=USER_PRESENT),
    ],
    ids=["origin", "party", "unverified"],
)
def test_a_passkey_from_elsewhere_is_not_added(
    world: World,
    portal: Portal,
    holder: Identity,
    wrong: Callable[[SoftwarePasskey], SoftwarePasskey],
) -> None:
    world.portal_passkeys.send_code(holder)
    asked = world.portal_passkeys.ask_new(holder).asked
    made = registered(wrong(passkey.new(asked.rp_id, asked.origin, b"x")), asked.challenge)
    with pytest.raises(InvalidInput):
        world.portal_passkeys.add("Mine", portal.code(), asked.challenge, made, holder)
    assert world.portal_passkeys.list_own(holder) == []


def test_an_answer_is_for_one_log_in_and_taken_once(world: World, key: Key) -> None:
    """Replay: the answer to another log-in that waits, or to one that has begun, is none; also from
    an authenticator without a counter.
    """
    key.own = replace(key.own, sign_count=-1)
    mine, theirs = step_of(world), step_of(world)
    answer = key.answer(mine)
    assert world.portal_visits.begin(theirs, "", answer) == Entered("", passkey=LATE)
    assert world.portal_visits.begin(mine, "", answer).secret
    with pytest.raises(TokenRejected):
        world.portal_visits.begin(mine, "", answer)
    assert world.portal_visits.begin(theirs, "", answer).secret == ""


def test_a_challenge_is_ours_fresh_and_for_log_ins(world: World, key: Key) -> None:
    holder = visitor(world, key.log_in().secret)
    step = step_of(world)
    for_adding = world.portal_passkeys.ask_new(holder).asked.challenge
    for_operators = world.log_in_passkeys.ask().challenge
    for wrong in (for_adding, for_operators, b"?" * 64, b""):
        said = world.portal_visits.begin(step, "", key.answer_to(wrong))
        assert said == Entered("", passkey=LATE)
    late = key.answer(step)
    world.clock.now += CHALLENGE_TIME
    assert world.portal_visits.begin(step, "", late) == Entered("", passkey=LATE)
    assert world.portal_visits.begin(step, "", key.answer(step)).secret


def test_the_passkey_of_somebody_else_logs_in_nobody(
    world: World, portal: Portal, key: Key
) -> None:
    """The attack: somebody knows the password of another person, and has a passkey of their own."""
    other, grace = somebody_else(world, portal)
    theirs, done = Key.added(other, grace)
    assert done.is_done
    step = step_of(world)
    assert world.portal_visits.begin(step, "", theirs.answer(step)).passkey == UNKNOWN
    claimed = replace(key.answer(step), user_handle=grace.id.encode())
    assert world.portal_visits.begin(step, "", claimed).passkey == UNKNOWN
    (own,) = world.portal_passkeys.list_own(grace)
    holder = visitor(world, key.log_in().secret)
    with pytest.raises(IdentityNotFound):
        world.portal_passkeys.remove_own(own.id, "12345678", holder)
    asked = world.portal_passkeys.ask_new(grace).asked
    made = registered(passkey.new(asked.rp_id, asked.origin, b"x"), asked.challenge)
    with pytest.raises(TokenRejected):
        world.portal_passkeys.add("Mine", "12345678", asked.challenge, made, holder)


def test_wrong_answers_are_told_alike_and_without_a_password_none_is_asked(
    world: World, key: Key
) -> None:
    """Enumeration: nobody learns which passkeys there are."""
    step = step_of(world)
    answer = key.answer(step)
    for wrong in (
        replace(answer, credential_id=b"?" * 32),
        replace(answer, signature=b"?" * 70),
        replace(answer, client_data=b"?"),
        replace(answer, authenticator_data=b""),
    ):
        assert world.portal_visits.begin(step, "", wrong) == Entered("", passkey=UNKNOWN)
    with pytest.raises(TokenRejected):
        world.portal_visits.ask_passkey("ccstep_" + "A" * 43)
    assert world.portal_visits.ask(EMAIL, "Wrong-" + PASSWORD) is None
    assert world.portal_visits.begin(step, "", answer).secret


def test_a_copied_passkey_is_removed_and_its_holder_told(
    world: World, portal: Portal, key: Key
) -> None:
    """A counter that goes back is that of a copy: neither logs in any more, whoever has logged in
    is logged out, and what is asked then is a mailed code.
    """
    copy = Key(world, key.own)
    secret = key.log_in().secret
    assert copy.log_in() == Entered("", passkey=COPIED)
    with pytest.raises(IdentityRejected):
        visitor(world, secret)
    (told,) = world.journal(Kind.PORTAL_PASSKEY_COPIED)
    assert told.details["name"] == "Key ring"
    assert portal.told.subjects() == ["A passkey of yours was removed"]
    step = step_of(world)
    assert world.portal_visits.needed(step).factor is Factor.EMAIL
    assert world.portal_visits.begin(step, portal.code()).secret


@pytest.mark.usefixtures("key")
def test_who_has_lost_the_passkey_asks_the_phone(world: World, portal: Portal) -> None:
    """The phone's yes is enough in its place; with it the passkey is removed, with a code."""
    step = step_of(world)
    assert world.portal_visits.needed(step).can_phone
    assert world.portal_visits.begin(step, "").phone is AssentState.OVER
    world.portal_visits.again(step, by_phone=True)
    number = world.portal_visits.needed(step).number
    assert world.portal_visits.begin(step, "").phone is AssentState.WAITING
    assert portal.say_yes(number) is AssentState.AGREED
    holder = visitor(world, world.portal_visits.begin(step, "").secret)
    assert world.journal(Kind.VISIT_BEGUN)[-1].details["factor"] == "phone"
    choose(portal, Factor.EMAIL, holder)
    (own,) = world.portal_passkeys.list_own(holder)
    world.portal_passkeys.send_code(holder)
    assert world.portal_passkeys.remove_own(own.id, portal.code(), holder).is_done


def test_removing_one_needs_a_code_and_logs_out_everywhere(
    world: World, portal: Portal, key: Key
) -> None:
    """The attack: a thief with the open browser takes the passkey away, to log in by mail."""
    holder = visitor(world, key.log_in().secret)
    (own,) = world.portal_passkeys.list_own(holder)
    world.portal_passkeys.send_code(holder)
    code = portal.code()
    with pytest.raises(InvalidInput, match="choose something else first"):
        world.portal_passkeys.remove_own(own.id, code, holder)
    choose(portal, Factor.EMAIL, holder)
    wrong = world.portal_passkeys.remove_own(own.id, other_than(code), holder)
    assert (wrong.is_done, wrong.tries_left) == (False, 4)
    assert world.portal_passkeys.list_own(holder) == [own]
    assert world.portal_passkeys.remove_own(own.id, code, holder).is_done
    with pytest.raises(IdentityRejected):
        world.portal_passkeys.list_own(holder)
    (told,) = world.journal(Kind.PORTAL_PASSKEY_REMOVED)
    assert told.details["name"] == "Key ring"


def test_a_removed_passkey_logs_in_no_more(world: World, portal: Portal, key: Key) -> None:
    holder = visitor(world, key.log_in().secret)
    (first,) = world.portal_passkeys.list_own(holder)
    second, done = Key.added(portal, holder, "Laptop")
    assert done.is_done
    world.portal_passkeys.send_code(holder)
    assert world.portal_passkeys.remove_own(first.id, portal.code(), holder).is_done
    step = step_of(world)
    assert world.portal_visits.ask_passkey(step).allowed == (second.own.credential_id,)
    assert world.portal_visits.begin(step, "", key.answer(step)).passkey == UNKNOWN
    assert world.portal_visits.begin(step, "", second.answer(step)).secret


def test_passkeys_are_few_and_have_names(world: World, portal: Portal, holder: Identity) -> None:
    for number in range(MOST_PASSKEYS):
        assert Key.added(portal, holder, f"Key {number}")[1].is_done
        world.clock.now += timedelta(minutes=25)
        holder = visitor(world, world.portal_visits.begin(step_of(world), portal.code()).secret)
    for name, why in (("Another", "remove one"), ("", "name"), ("x" * 61, "name")):
        with pytest.raises(InvalidInput, match=why):
            Key.added(portal, holder, name, code="12345678")


def test_a_passkey_is_added_once(world: World, portal: Portal, holder: Identity) -> None:
    world.portal_passkeys.send_code(holder)
    asked = world.portal_passkeys.ask_new(holder).asked
    made = registered(passkey.new(asked.rp_id, asked.origin, b"x"), asked.challenge)
    code = portal.code()
    assert world.portal_passkeys.add("One", code, asked.challenge, made, holder).is_done
    with pytest.raises(InvalidInput, match="give another name"):
        world.portal_passkeys.add("ONE", code, asked.challenge, made, holder)
    with pytest.raises(InvalidInput, match="added before"):
        world.portal_passkeys.add("Two", code, asked.challenge, made, holder)


def test_who_has_left_has_no_passkeys(world: World, portal: Portal, key: Key) -> None:
    step = step_of(world)
    answer = key.answer(step)
    world.leaving.close(portal.user.id, "left", world.operator().identity)
    with pytest.raises(TokenRejected):
        world.portal_visits.begin(step, "", answer)


def test_the_party_is_that_of_the_pages(world: World, holder: Identity) -> None:
    asked = world.portal_passkeys.ask_new(holder).asked
    assert (asked.rp_id, asked.origin) == (RELYING_PARTY.id, RELYING_PARTY.origin)
