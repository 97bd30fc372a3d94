"""Operators log in by an OpenID provider: what custody finds out about what comes from there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import (
    IdentityRejected,
    InvalidInput,
    NotAllowed,
    TokenRejected,
    TooManyCalls,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.rights.oidc import (
    OidcAnswer,
    OidcState,
    OidcTerms,
    encoded,
    sealed_context,
)
from cloud_keystore.model.rights.visits import SECRET_PREFIX, text_sha256
from cloud_keystore.people.programs.operators import Operators
from cloud_keystore.people.rights import oidc_log_ins
from cloud_keystore.people.rights.oidc_log_ins import (
    ELSEWHERE,
    LATE,
    NONE,
    REFUSED,
    SEVERAL,
    SILENT,
    UNASKED,
    UNKNOWN,
)
from cloud_keystore.storage.rights import oidc
from support.keystore_world import OIDC, REDIRECT_URI, World
from support.openid_tokens import RSA, STRANGER, SUBJECT, Asked, facts, key_set, log_in

BROWSER, OTHER_BROWSER = b"\x01" * 32, b"\x02" * 32


@pytest.fixture
def person(world: World) -> User:
    return world.user("Olga Hopper")[0]


@pytest.fixture
def olga(world: World, person: User) -> Identity:
    """An operator whom the provider knows."""
    world.oidc_log_ins.learn(facts())
    operator = world.operator().identity
    world.operators.identify(operator.id, person.id, "", SUBJECT, actor=world.actor)
    return operator


def whose(world: World, secret: str) -> Identity:
    found = text_sha256(SECRET_PREFIX, secret)
    assert found is not None
    return world.visits.find(found)


def refused(world: World, why: str, state: str, browser: bytes = BROWSER) -> None:
    with pytest.raises(TokenRejected) as told:
        world.oidc_log_ins.begin(state, browser)
    assert str(told.value) == why


def test_the_provider_logs_its_operator_in(world: World, olga: Identity) -> None:
    """The journal has by which provider and as whom; the log-in is a proof for what is of high
    risk, as the provider was to ask anew.
    """
    secret = world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)
    assert whose(world, secret) == olga
    world.visits.prove(text_sha256(SECRET_PREFIX, secret) or b"")
    (told,) = world.journal(Kind.VISIT_BEGUN)
    assert told.actor == olga.actor
    by, issuer, subject = (told.details[each] for each in ("by", "issuer", "subject"))
    assert (by, issuer, subject) == ("oidc", OIDC.issuer, SUBJECT)
    (said,) = world.journal(Kind.OPERATOR_IDENTIFIED)
    assert (said.details["issuer"], said.details["subject"]) == (OIDC.issuer, SUBJECT)


@pytest.mark.usefixtures("olga")
def test_what_a_browser_takes_there(world: World) -> None:
    """A code for the keystore alone, by PKCE (RFC 7636), and a log-in of now."""
    first, second = (Asked.of(world.oidc_log_ins.ask(BROWSER)).query for _ in range(2))
    assert first["redirect_uri"] == REDIRECT_URI
    assert (first["response_type"], first["client_id"]) == ("code", OIDC.client_id)
    assert (first["scope"], first["max_age"], first["ui"]) == ("openid", "60", "plain")
    assert first["code_challenge_method"] == "S256"
    for drawn in ("state", "nonce", "code_challenge"):
        assert first[drawn] != second[drawn]
    world.oidc_log_ins.bring(first["state"], "code", OIDC.issuer, BROWSER)
    (errand,) = world.oidc_log_ins.take()
    assert (errand.code, errand.redirect_uri) == ("code", REDIRECT_URI)
    assert encoded(sha256(errand.verifier.encode()).digest()) == first["code_challenge"]
    assert "code='code'" not in repr(errand)
    assert errand.verifier not in repr(errand)


@pytest.mark.usefixtures("olga")
def test_a_browser_waits_for_the_provider(world: World) -> None:
    """And is told when there is no answer."""
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    world.oidc_log_ins.bring(state, "code", OIDC.issuer, BROWSER)
    assert world.oidc_log_ins.begin(state, BROWSER) == ""
    world.clock.forward(minutes=1)
    refused(world, SILENT, state)


@pytest.mark.usefixtures("olga")
def test_a_log_in_is_good_once_and_for_a_time(world: World) -> None:
    state, late = log_in(world, BROWSER), log_in(world, BROWSER)
    world.oidc_log_ins.begin(state, BROWSER)
    refused(world, LATE, state)
    with pytest.raises(TokenRejected, match=LATE):
        world.oidc_log_ins.bring(state, "another", OIDC.issuer, BROWSER)
    world.clock.forward(minutes=1)
    refused(world, LATE, late)
    world.clock.forward(minutes=9)
    with pytest.raises(TokenRejected, match=LATE):
        world.oidc_log_ins.bring(state, "another", OIDC.issuer, BROWSER)
    assert len(world.journal(Kind.VISIT_BEGUN)) == 1


@pytest.mark.usefixtures("olga")
def test_a_state_from_before_the_clock_was_set_back_is_none(world: World) -> None:
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    world.clock.forward(seconds=-1)
    with pytest.raises(TokenRejected, match=LATE):
        world.oidc_log_ins.bring(state, "code", OIDC.issuer, BROWSER)


@pytest.mark.usefixtures("olga")
def test_a_state_is_for_one_browser(world: World) -> None:
    """Log-in of a victim as the attacker, and of a thief of a code as the victim."""
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    for browser in (OTHER_BROWSER, b""):
        with pytest.raises(TokenRejected, match=LATE):
            world.oidc_log_ins.bring(state, "code", OIDC.issuer, browser)
    with pytest.raises(TokenRejected, match=LATE):
        world.oidc_log_ins.ask(b"")
    done = log_in(world, BROWSER)
    refused(world, LATE, done, OTHER_BROWSER)
    world.oidc_log_ins.begin(done, BROWSER)


@pytest.mark.usefixtures("olga")
def test_a_state_is_the_keystores_own(world: World) -> None:
    made = OidcState.parse(Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"])
    assert made is not None
    for changed in (
        replace(made, drawn=bytes(24)),
        replace(made, create_time=made.create_time + timedelta(seconds=-1)),
        replace(made, mac=bytes(32)),
    ):
        with pytest.raises(TokenRejected, match=LATE):
            world.oidc_log_ins.bring(str(changed), "code", OIDC.issuer, BROWSER)


@given(text=st.text() | st.from_regex(r"ccoidc_[A-Za-z0-9_-]{84,88}", fullmatch=True))
def test_any_text_is_a_state_or_none(text: str) -> None:
    found = OidcState.parse(text)
    assert found is None or str(found) == text


@pytest.mark.usefixtures("olga")
def test_answers_of_other_providers_are_not_taken(world: World) -> None:
    """Mix-up (RFC 9207): who names itself always has to, and nobody names another one."""
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    for issuer in ("", "https://evil.example.org", f"{OIDC.issuer}/"):
        with pytest.raises(TokenRejected, match=ELSEWHERE):
            world.oidc_log_ins.bring(state, "code", issuer, BROWSER)
    world.oidc_log_ins.learn(facts(names_itself=False))
    with pytest.raises(TokenRejected, match=ELSEWHERE):
        world.oidc_log_ins.bring(state, "code", "https://evil.example.org", BROWSER)
    world.oidc_log_ins.bring(state, "code", "", BROWSER)


@pytest.mark.usefixtures("olga")
@pytest.mark.parametrize("code", ["", " ", "a b", "ä", "c" * 2001, "\n"])
def test_what_is_no_code_is_refused(world: World, code: str) -> None:
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    with pytest.raises(TokenRejected, match=REFUSED):
        world.oidc_log_ins.bring(state, code, OIDC.issuer, BROWSER)


@pytest.mark.usefixtures("olga")
def test_codes_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are too old make room."""
    monkeypatch.setattr(oidc_log_ins, "MOST_RETURNED", 1)
    states = [Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"] for _ in range(2)]
    world.oidc_log_ins.bring(states[0], "code", OIDC.issuer, BROWSER)
    with pytest.raises(TooManyCalls):
        world.oidc_log_ins.bring(states[1], "code", OIDC.issuer, BROWSER)
    world.clock.forward(minutes=10, seconds=1)
    oidc_log_ins.remove_old(world.database, world.clock())
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    world.oidc_log_ins.bring(state, "code", OIDC.issuer, BROWSER)


@pytest.mark.usefixtures("olga")
def test_a_code_that_is_over_makes_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many may log in one after the other, and whoever was refused takes nobody's place."""
    monkeypatch.setattr(oidc_log_ins, "MOST_RETURNED", 1)
    for answer in (None, OidcAnswer(why="the OpenID provider is not reached")):
        log_in(world, BROWSER, answer)
    assert log_in(world, BROWSER)


@pytest.mark.usefixtures("olga")
def test_a_code_is_exchanged_once(world: World) -> None:
    """Also by a process that has ended on the way, after which nobody is logged in."""
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    world.oidc_log_ins.bring(state, "code", OIDC.issuer, BROWSER)
    (errand,) = world.oidc_log_ins.take()
    assert world.oidc_log_ins.take() == []
    world.clock.forward(seconds=30)
    assert world.oidc_log_ins.take() == []
    world.oidc_log_ins.tell(errand.id, errand.tries, OidcAnswer(why="too late"))
    refused(world, SILENT, state)


@pytest.mark.usefixtures("olga")
def test_codes_are_sealed(world: World) -> None:
    state = Asked.of(world.oidc_log_ins.ask(BROWSER)).query["state"]
    world.oidc_log_ins.bring(state, "some-code", OIDC.issuer, BROWSER)
    parsed = OidcState.parse(state)
    assert parsed is not None
    with world.database.read() as connection:
        kept = oidc.find(connection, parsed.sha256.hex())
    assert kept is not None
    assert b"some-code" not in kept.sealed
    assert world.seal.open(kept.sealed, sealed_context(kept.id)) == b"some-code"


@pytest.mark.usefixtures("olga")
def test_why_there_is_no_token_is_told(world: World) -> None:
    state = log_in(world, BROWSER, OidcAnswer(why="the OpenID provider is not reached"))
    refused(world, "the OpenID provider is not reached", state)


@pytest.mark.usefixtures("olga")
@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "somebody-else"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"auth_time": 1},
        {"auth_time": None},
        {"sub": None},
    ],
)
def test_a_token_that_does_not_count_logs_in_nobody(
    world: World, changed: dict[str, object]
) -> None:
    state = log_in(world, BROWSER, **changed)
    with pytest.raises(TokenRejected, match="ID token of the OpenID provider does not count"):
        world.oidc_log_ins.begin(state, BROWSER)
    assert world.journal(Kind.VISIT_BEGUN) == []


@pytest.mark.usefixtures("olga")
def test_keys_are_those_that_the_provider_has_now(world: World) -> None:
    """A key that it has withdrawn signs no more."""
    world.oidc_log_ins.learn(facts(key_set(STRANGER)))
    with pytest.raises(TokenRejected, match="its signature is wrong"):
        world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)
    world.oidc_log_ins.learn(facts(key_set(RSA)))
    world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)


@pytest.mark.usefixtures("olga")
def test_nothing_is_learnt_of_another_provider(world: World) -> None:
    for changed in (
        replace(facts(), issuer="https://evil.example.org"),
        replace(facts(), keys="[]"),
        replace(facts(), keys="{"),
        replace(facts(), keys='{"keys": 1}'),
    ):
        with pytest.raises(TokenRejected):
            world.oidc_log_ins.learn(changed)
    with pytest.raises(InvalidInput):
        world.oidc_log_ins.learn(replace(facts(), authorization_endpoint="http://example.org"))
    world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)


def test_whom_the_provider_alone_knows_is_refused(world: World, olga: Identity) -> None:
    """Until somebody has said it, and no longer."""
    refused(world, UNKNOWN, log_in(world, BROWSER, sub="somebody"))
    state = log_in(world, BROWSER)
    world.operators.forget(olga.id, actor=world.actor)
    refused(world, UNKNOWN, state)


def test_a_person_who_is_known_without_a_subject_is_not_logged_in(
    world: World, person: User
) -> None:
    world.oidc_log_ins.learn(facts())
    operator = world.operator().identity
    world.operators.identify(operator.id, person.id, actor=world.actor)
    refused(world, UNKNOWN, log_in(world, BROWSER, email="olga@example.org"))


def test_a_removed_operator_is_refused(world: World, olga: Identity) -> None:
    state = log_in(world, BROWSER)
    secret = world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)
    remover = world.operator().identity
    world.identities.remove(Role.OPERATOR, olga.id, "left", remover)
    refused(world, UNKNOWN, state)
    with pytest.raises(IdentityRejected):
        whose(world, secret)


@pytest.mark.usefixtures("olga")
def test_who_has_left_is_refused(world: World, person: User) -> None:
    state = log_in(world, BROWSER)
    world.leaving.close(person.id, "left", world.operator().identity)
    with pytest.raises(TokenRejected):
        world.oidc_log_ins.begin(state, BROWSER)


@pytest.mark.usefixtures("olga")
def test_who_is_several_operators_has_to_say_who(world: World, person: User) -> None:
    other = world.operator().identity
    world.operators.identify(other.id, person.id, "", SUBJECT, actor=world.actor)
    refused(world, SEVERAL, log_in(world, BROWSER))


@pytest.mark.usefixtures("olga")
def test_another_provider_knows_nobody(world: World) -> None:
    """After a change of provider, its subjects are other people."""
    terms = replace(OIDC, issuer="https://other.example.org")
    other = replace(world.oidc_log_ins, terms=terms)
    other.learn(replace(facts(), issuer=terms.issuer))
    state = Asked.of(other.ask(BROWSER)).query["state"]
    changed = replace(world, oidc_log_ins=other)
    other.bring(state, "code", terms.issuer, BROWSER)
    (errand,) = other.take()
    with world.database.write() as connection:
        kept = oidc.find(connection, errand.id)
        assert kept is not None
        oidc.end(connection, kept, world.clock.now, SUBJECT, None)
    refused(changed, UNKNOWN, state)


def test_who_says_it_of_one_organisation_gives_nothing_elsewhere(
    world: World, person: User
) -> None:
    """An RA manager of a ward lets nobody log in as an operator of the whole."""
    world.oidc_log_ins.learn(facts())
    ward = world.organisations.add("Ward", world.operator().identity).id
    operator = world.operator().identity
    world.operators.identify(operator.id, person.id, ward, SUBJECT, actor=world.actor)
    refused(world, UNKNOWN, log_in(world, BROWSER))
    world.operators.forget(operator.id, actor=world.actor)
    clerk = world.people.add_operator("Clerk", organisation_id=ward, actor=world.actor)
    own = world.enrol(clerk.text).identity
    world.operators.identify(own.id, person.id, ward, SUBJECT, actor=world.actor)
    secret = world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)
    assert whose(world, secret) == own


def test_an_operator_without_a_role_is_refused(world: World, olga: Identity) -> None:
    world.operator()
    for each in world.roles.list_all(actor=world.actor):
        if each.identity.id == olga.id:
            world.roles.withdraw(each.assignment.id, actor=world.actor)
    with pytest.raises(NotAllowed):
        world.oidc_log_ins.begin(log_in(world, BROWSER), BROWSER)


@pytest.mark.usefixtures("olga")
def test_nobody_says_it_of_themselves(world: World, person: User) -> None:
    own = world.operator().identity
    with pytest.raises(NotAllowed):
        world.operators.identify(own.id, person.id, "", SUBJECT, actor=own.actor)


def test_what_is_no_subject_is_refused(world: World, olga: Identity, person: User) -> None:
    other = world.operator().identity
    for subject in ("a b", "ä", "s" * 256):
        with pytest.raises(InvalidInput, match="a subject has"):
            world.operators.identify(other.id, person.id, "", subject, actor=world.actor)
    none = Operators(world.database, world.clock, world.operators.random)
    with pytest.raises(InvalidInput, match="--web-oidc-issuer"):
        none.identify(other.id, person.id, "", SUBJECT, actor=world.actor)
    # Nobody gets another subject on the way
    with pytest.raises(InvalidInput, match="take that back first"):
        world.operators.identify(olga.id, person.id, "", "another", actor=world.actor)
    again = world.operators.identify(olga.id, person.id, "", SUBJECT, actor=world.actor)
    assert again.said.subject == SUBJECT


def test_without_a_provider_nobody_is_sent_anywhere(world: World) -> None:
    with pytest.raises(TokenRejected, match=UNASKED):
        world.oidc_log_ins.ask(BROWSER)
    none = replace(world.oidc_log_ins, terms=None)
    with pytest.raises(TokenRejected, match=NONE):
        none.ask(BROWSER)
    with pytest.raises(TokenRejected, match=LATE):
        none.begin("ccoidc_", BROWSER)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example.org",
        "http://login.example.org",
        "https://user@login.example.org",
        "https://login.example.org/#a",
        "https://login.example.org:0",
        "https://login.example.org:x",
        "https://Login.example.org\\@evil.example.org",
        "ftp://login.example.org",
        "https://login example.org",
        "https://login.example.org/" + "a" * 1000,
    ],
)
def test_what_is_no_issuer_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        OidcTerms(url, "keystore", "/nowhere")
    OidcTerms("http://127.0.0.1:8080", "keystore", "/nowhere")
    with pytest.raises(InvalidInput, match="client identifier"):
        OidcTerms("https://login.example.org", "", "/nowhere")
