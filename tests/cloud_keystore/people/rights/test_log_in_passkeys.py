"""Passkeys by which operators log in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.custody.credentials.challenges import LATE
from cloud_keystore.model.errors import (
    IdentityNotFound,
    IdentityRejected,
    InvalidInput,
    NotAllowed,
    TokenRejected,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.log_ins import (
    CHALLENGE_BYTES,
    CHALLENGE_TIME,
    MOST_PASSKEYS,
    Challenge,
)
from cloud_keystore.model.rights.visits import MOST_VISITS, SECRET_PREFIX, text_sha256
from cloud_keystore.people.rights.log_in_passkeys import COPIED, UNKNOWN, PasskeyAnswer
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.authenticator.passkey import USER_PRESENT, SoftwarePasskey
from support.keystore_world import OPERATOR, RELYING_PARTY, World


@dataclass
class Key:
    """An operator's authenticator, with one passkey."""

    world: World
    own: SoftwarePasskey

    @classmethod
    def added(cls, world: World, operator: Identity, name: str = "Key ring") -> Key:
        """One that the operator has added."""
        asked = world.log_in_passkeys.ask_new(operator)
        own = passkey.new(asked.asked.rp_id, asked.asked.origin, asked.user_handle)
        world.log_in_passkeys.add(
            name, asked.asked.challenge, registered(own, asked.asked.challenge), operator
        )
        return cls(world, own)

    def answer(self) -> PasskeyAnswer:
        """What it says to whoever asks at the log-in."""
        challenge = self.world.log_in_passkeys.ask().challenge
        said, self.own = self.own.get(challenge)
        return PasskeyAnswer(
            challenge,
            said.credential_id,
            self.own.user_handle,
            said.authenticator_data,
            said.client_data,
            said.signature,
        )

    def log_in(self) -> str:
        return self.world.log_in_passkeys.begin(self.answer())


def registered(own: SoftwarePasskey, challenge: bytes) -> Registration:
    """What a browser says of a passkey that was made."""
    made = own.create(challenge)
    return Registration(made.attestation_object, made.client_data)


def whose(world: World, secret: str) -> Identity:
    """The operator whose visit has a secret."""
    found = text_sha256(SECRET_PREFIX, secret)
    assert found is not None
    return world.visits.find(found)


@pytest.fixture
def olga(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def key(world: World, olga: Identity) -> Key:
    return Key.added(world, olga)


def test_a_passkey_logs_in_and_the_journal_has_it(world: World, olga: Identity, key: Key) -> None:
    assert whose(world, key.log_in()) == olga
    world.clock.forward(minutes=1)
    assert whose(world, key.log_in()) == olga
    (own,) = world.log_in_passkeys.list_own(olga)
    assert (own.display_name, own.sign_count, own.use_time) == ("Key ring", 2, world.clock())
    secret = key.log_in()
    world.log_in_passkeys.remove_own(own.id, olga)
    with pytest.raises(IdentityRejected):
        whose(world, secret)
    assert world.log_in_passkeys.list_own(olga) == []
    with pytest.raises(TokenRejected, match="unknown"):
        key.log_in()
    with pytest.raises(IdentityNotFound):
        world.log_in_passkeys.remove_own(own.id, olga)
    told = world.journal(Kind.LOG_IN_PASSKEY_ADDED, Kind.VISIT_BEGUN, Kind.LOG_IN_PASSKEY_REMOVED)
    assert [each.kind for each in told] == [
        Kind.LOG_IN_PASSKEY_ADDED,
        *(Kind.VISIT_BEGUN, Kind.VISIT_BEGUN, Kind.VISIT_BEGUN),
        Kind.LOG_IN_PASSKEY_REMOVED,
    ]
    assert {each.actor for each in told} == {olga.actor}
    assert {each.details["passkey"] for each in told} == {own.id}
    assert {each.details["by"] for each in told if each.kind is Kind.VISIT_BEGUN} == {"passkey"}


def test_an_answer_is_good_once_and_for_a_time(world: World, key: Key) -> None:
    """Replay: whoever has read an answer does not log in by it; nor by an old one."""
    answer = key.answer()
    world.log_in_passkeys.begin(answer)
    late = key.answer()
    for _ in range(2):
        with pytest.raises(TokenRejected):
            world.log_in_passkeys.begin(answer)
    world.clock.now += CHALLENGE_TIME
    with pytest.raises(TokenRejected):
        world.log_in_passkeys.begin(late)
    with pytest.raises(TokenRejected):
        world.log_in_passkeys.begin(answer)
    key.log_in()


def test_a_replay_is_refused_without_a_counter_too(world: World, olga: Identity) -> None:
    key = Key.added(world, olga)
    key.own = replace(key.own, sign_count=-1)  # so that each use says 0
    answer = key.answer()
    world.log_in_passkeys.begin(answer)
    with pytest.raises(TokenRejected) as refused:
        world.log_in_passkeys.begin(answer)
    assert str(refused.value) == LATE
    key.own = replace(key.own, sign_count=-1)
    key.log_in()


def test_a_challenge_is_ours_and_for_one_use(world: World, olga: Identity, key: Key) -> None:
    """Nobody makes one, changes one, or answers one that was for something or somebody else."""
    other = world.operator().identity
    fresh = world.log_in_passkeys.ask().challenge
    for_adding = world.log_in_passkeys.ask_new(olga).asked.challenge
    later = fresh[:7] + bytes([fresh[7] ^ 1]) + fresh[8:]
    for challenge in (b"", bytes(CHALLENGE_BYTES), b"\xff" * CHALLENGE_BYTES, later, for_adding):
        said, key.own = key.own.get(challenge)
        answer = replace(
            key.answer(),
            challenge=challenge,
            authenticator_data=said.authenticator_data,
            client_data=said.client_data,
            signature=said.signature,
        )
        with pytest.raises(TokenRejected) as refused:
            world.log_in_passkeys.begin(answer)
        assert str(refused.value) == LATE
    own = passkey.new(RELYING_PARTY.id, RELYING_PARTY.origin, b"x")
    for challenge in (fresh, world.log_in_passkeys.ask_new(other).asked.challenge):
        with pytest.raises(TokenRejected):
            world.log_in_passkeys.add("Mine", challenge, registered(own, challenge), olga)
    said, _ = key.own.get(fresh)  # another challenge than the one that it signs
    with pytest.raises(TokenRejected):
        world.log_in_passkeys.begin(
            replace(
                key.answer(),
                authenticator_data=said.authenticator_data,
                client_data=said.client_data,
                signature=said.signature,
            )
        )


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
    with pytest.raises(TokenRejected) as refused:
        key.log_in()
    assert str(refused.value) == UNKNOWN
    key.own = good
    key.log_in()


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
    world: World, olga: Identity, wrong: Callable[[SoftwarePasskey], SoftwarePasskey]
) -> None:
    asked = world.log_in_passkeys.ask_new(olga).asked
    own = wrong(passkey.new(asked.rp_id, asked.origin, b"x"))
    with pytest.raises(InvalidInput):
        world.log_in_passkeys.add("Mine", asked.challenge, registered(own, asked.challenge), olga)
    assert world.log_in_passkeys.list_own(olga) == []


def test_nobody_learns_which_passkeys_there_are(world: World, olga: Identity, key: Key) -> None:
    """Enumeration: an unknown passkey, one of somebody else's and a wrong answer are told alike;
    what is asked names none.
    """
    answer = key.answer()
    for wrong in (
        replace(answer, credential_id=b"?" * 32),
        replace(answer, user_handle=b"somebody"),
        replace(answer, user_handle=b""),
        replace(answer, signature=b"?" * 70),
        replace(answer, client_data=b"?"),
        replace(answer, authenticator_data=b""),
    ):
        with pytest.raises(TokenRejected) as refused:
            world.log_in_passkeys.begin(wrong)
        assert str(refused.value) == UNKNOWN
    assert key.own.credential_id not in world.log_in_passkeys.ask().challenge
    assert whose(world, world.log_in_passkeys.begin(answer)) == olga


def test_a_copied_passkey_is_removed(world: World, olga: Identity, key: Key) -> None:
    """A counter that goes back is that of a copy: neither logs in any more, and whoever has logged
    in by it is logged out.
    """
    copy = Key(world, key.own)
    secret = key.log_in()
    with pytest.raises(TokenRejected) as refused:
        copy.log_in()
    assert str(refused.value) == COPIED
    assert world.log_in_passkeys.list_own(olga) == []
    with pytest.raises(IdentityRejected):
        whose(world, secret)
    with pytest.raises(TokenRejected):
        key.log_in()
    (told,) = world.journal(Kind.LOG_IN_PASSKEY_COPIED)
    assert told.details["name"] == "Key ring"


def test_a_passkey_is_good_for_as_long_as_its_operator(
    world: World, olga: Identity, key: Key
) -> None:
    world.identities.remove(olga.role, olga.id, "left", world.operator().identity)
    with pytest.raises(TokenRejected) as refused:
        key.log_in()
    assert str(refused.value) == UNKNOWN
    with pytest.raises(IdentityRejected):
        Key.added(world, olga)


def test_who_sees_nothing_does_not_log_in(world: World, olga: Identity, key: Key) -> None:
    for granted in world.roles.list_all(actor=OPERATOR):
        if granted.identity.id == olga.id:
            world.operator()
            world.roles.withdraw(granted.assignment.id, actor=OPERATOR)
    with pytest.raises(NotAllowed):
        key.log_in()


def test_nobody_touches_the_passkeys_of_others(world: World, olga: Identity, key: Key) -> None:
    other = world.operator().identity
    (own,) = world.log_in_passkeys.list_own(olga)
    assert world.log_in_passkeys.list_own(other) == []
    assert world.log_in_passkeys.ask_new(other).present == ()
    with pytest.raises(IdentityNotFound):
        world.log_in_passkeys.remove_own(own.id, other)
    asked = world.log_in_passkeys.ask_new(other).asked
    with pytest.raises(InvalidInput, match="added before"):
        world.log_in_passkeys.add(
            "Theirs", asked.challenge, registered(key.own, asked.challenge), other
        )
    assert whose(world, key.log_in()) == olga


def test_what_was_asked_for_makes_one_passkey(world: World, olga: Identity) -> None:
    asked = world.log_in_passkeys.ask_new(olga).asked
    for number in range(2):
        own = passkey.new(asked.rp_id, asked.origin, b"x")
        made = registered(own, asked.challenge)
        if number == 0:
            world.log_in_passkeys.add("First", asked.challenge, made, olga)
            continue
        with pytest.raises(TokenRejected):
            world.log_in_passkeys.add("Second", asked.challenge, made, olga)
    assert len(world.log_in_passkeys.list_own(olga)) == 1


def test_there_are_so_many_passkeys_with_names(world: World, olga: Identity) -> None:
    with pytest.raises(InvalidInput, match="name is empty"):
        Key.added(world, olga, " ")
    for number in range(MOST_PASSKEYS):
        Key.added(world, olga, f"Key {number}")
        with pytest.raises(InvalidInput):
            Key.added(world, olga, f"KEY {number}")
    with pytest.raises(InvalidInput, match="remove one"):
        Key.added(world, olga, "One more")
    assert len(world.log_in_passkeys.ask_new(olga).present) == MOST_PASSKEYS


def test_so_many_visits_at_the_same_time(world: World, key: Key) -> None:
    secrets = []
    for _ in range(MOST_VISITS + 1):
        secrets.append(key.log_in())
        world.clock.forward(minutes=1)
    with pytest.raises(IdentityRejected):
        whose(world, secrets[0])
    for each in secrets[1:]:
        whose(world, each)


@given(raw=st.binary(max_size=2 * CHALLENGE_BYTES) | st.binary(min_size=64, max_size=64))
def test_a_challenge_is_read_as_it_is_written(raw: bytes) -> None:
    found = Challenge.parse(raw)
    assert (found is None and len(raw) != CHALLENGE_BYTES) or found is None or bytes(found) == raw


def test_a_challenge_ends(world: World) -> None:
    made = Challenge.parse(world.log_in_passkeys.ask().challenge)
    assert made is not None
    assert made.create_time == world.clock()
    assert made.is_fresh(world.clock() + CHALLENGE_TIME - timedelta(seconds=1))
    assert not made.is_fresh(made.expire_time)
