"""Four eyes: what an organisation has named as of high risk is done by two operators, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from cloud_keystore.cards.requests import RequestListing
from cloud_keystore.model.actors import DATA_FOLDER, Actor
from cloud_keystore.model.cards import CardState, Replacement
from cloud_keystore.model.errors import (
    IllegalCardChange,
    InvalidInput,
    NobodyElse,
    NotAllowed,
    OrganisationNotFound,
    RecordDamaged,
    RequestClosed,
    RequestNotFound,
    SecondNeeded,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role, UserState
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.rights import requests as model
from cloud_keystore.model.rights.requests import (
    REQUEST_TIME,
    HighRisk,
    RequestState,
    decode,
    encode,
    parsed,
    spelled,
)
from cloud_keystore.model.rights.roles import BuiltIn, Right
from cloud_keystore.people.roles import Wish
from cloud_keystore.storage.rights import requests as rows
from support.keystore_world import OPERATOR, SECOND, World

COMPROMISED = RevocationReason.KEY_COMPROMISE


@pytest.fixture
def ours(world: World) -> str:
    return world.organisations.add("Ours", world.operator().identity).id


def operator(world: World, role: str, place: str, name: str = "Ida") -> Identity:
    return world.enrol(world.people.add_operator(name, role, place, actor=OPERATOR).text).identity


def require(world: World, *operations: HighRisk, place: str = ROOT) -> None:
    world.four_eyes.require(operations, place, actor=OPERATOR)


def waiting(world: World) -> RequestListing:
    """The one request that is open."""
    (found,) = world.requests.list_all(decided=False, actor=OPERATOR)
    return found


def revoke(world: World, serial: str, actor: Actor = OPERATOR) -> None:
    world.cards.revoke(serial, "stolen", COMPROMISED, actor=actor)


def asked(world: World, serial: str, actor: Actor = OPERATOR) -> str:
    """A request to revoke a card; returns its identifier."""
    with pytest.raises(SecondNeeded, match="cloudcard ra request approve"):
        revoke(world, serial, actor)
    return waiting(world).request.id


def _terms(listing: RequestListing) -> str:
    return encode(listing.request.wanted.terms)


def test_a_card_is_revoked_by_two(world: World) -> None:
    """And nothing of it changes, nor is anybody told, until the second one has approved."""
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE_COMPROMISED)
    mails = len(world.journal(Kind.CARD_REVOKED))
    request = asked(world, serial)
    assert world.find(serial).card.state is CardState.ACTIVE
    assert not world.journal(Kind.CARD_REVOKED)[mails:]
    wanted = waiting(world).request.wanted
    assert (wanted.about, wanted.right) == (serial, Right.REVOKE)
    assert wanted.terms == {"card": serial, "reason": "stolen", "code": COMPROMISED.value}
    done = world.requests.approve(request, actor=SECOND)
    assert (done.state, done.request.decided_by) == (RequestState.APPROVED, SECOND.id)
    assert world.find(serial).card.state is CardState.REVOKED
    (revoked,) = world.journal(Kind.CARD_REVOKED)
    assert revoked.actor == OPERATOR
    (made,), (approved,) = world.journal(Kind.REQUEST_MADE), world.journal(Kind.REQUEST_APPROVED)
    assert made.actor == OPERATOR
    assert approved.actor == SECOND
    assert made.details == approved.details
    assert approved.details["asked_by"] == OPERATOR.id
    assert decode(str(approved.details["terms"])) == wanted.terms


def test_nobody_approves_what_they_have_asked_for(world: World) -> None:
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    request = asked(world, serial)
    with pytest.raises(NotAllowed, match="another operator"):
        world.requests.approve(request, actor=OPERATOR)
    assert asked(world, serial) == request  # nor does asking twice
    assert world.find(serial).card.state is CardState.ACTIVE


def test_whoever_approves_needs_the_right_there(world: World, ours: str) -> None:
    """What one does not see does not exist."""
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    request = asked(world, serial)
    agent = operator(world, BuiltIn.RA_AGENT, ROOT)
    for decide in (world.requests.approve, world.requests.refuse):
        with pytest.raises(NotAllowed, match="'revoke'"):
            decide(request, actor=agent.actor)
        with pytest.raises(RequestNotFound):
            decide(request, actor=operator(world, BuiltIn.RA_MANAGER, ours).actor)
        with pytest.raises(RequestNotFound):
            decide("0192", actor=SECOND)
    assert world.requests.list_all(decided=True, actor=agent.actor)
    elsewhere = operator(world, BuiltIn.RA_MANAGER, ours, "Eve")
    assert not world.requests.list_all(decided=True, actor=elsewhere.actor)
    assert world.find(serial).card.state is CardState.ACTIVE


@pytest.mark.parametrize("lost", ["removed", "withdrawn"])
def test_whoever_has_asked_still_needs_the_right(world: World, lost: str) -> None:
    user, _ = world.user()
    serial = world.card(user)
    ida = operator(world, BuiltIn.RA_AGENT_ADVANCED, ROOT)
    require(world, HighRisk.REVOKE)
    request = asked(world, serial, ida.actor)
    if lost == "removed":
        world.identities.remove(Role.OPERATOR, ida.id, "left", world.operator().identity)
    else:
        granted = world.roles.list_all(actor=OPERATOR)
        own = next(each for each in granted if each.identity.id == ida.id)
        world.roles.withdraw(own.assignment.id, actor=OPERATOR)
    with pytest.raises(RequestClosed, match="Ida, who has asked for this, may not"):
        world.requests.approve(request, actor=SECOND)
    assert world.find(serial).card.state is CardState.ACTIVE
    assert world.requests.refuse(request, actor=SECOND).state is RequestState.REFUSED


def test_an_approval_counts_once(world: World) -> None:
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    request = asked(world, serial)
    world.requests.approve(request, actor=SECOND)
    for decide in (world.requests.approve, world.requests.refuse):
        with pytest.raises(RequestClosed, match="approved"):
            decide(request, actor=SECOND)
    assert len(world.journal(Kind.CARD_REVOKED)) == 1


def test_a_request_ends_by_the_clock_and_by_a_refusal(world: World) -> None:
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    first = asked(world, serial)
    world.clock.now += REQUEST_TIME - timedelta(seconds=1)
    assert waiting(world).state is RequestState.OPEN
    world.clock.forward(seconds=1)
    with pytest.raises(RequestClosed, match="expired"):
        world.requests.approve(first, actor=SECOND)
    assert asked(world, serial) != first
    world.requests.refuse(waiting(world).request.id, actor=OPERATOR)  # takes it back
    world.requests.refuse(asked(world, serial), actor=SECOND)
    states = [each.state for each in world.requests.list_all(decided=True, actor=SECOND)]
    assert states == [RequestState.EXPIRED, RequestState.REFUSED, RequestState.REFUSED]
    told = world.journal(Kind.REQUEST_REFUSED)
    assert [each.actor for each in told] == [OPERATOR, SECOND]
    assert world.find(serial).card.state is CardState.ACTIVE


def test_what_cannot_be_done_any_more_is_told_and_not_approved(world: World) -> None:
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    request = asked(world, serial)
    world.cards.revoke(serial, "lost", actor=DATA_FOLDER)  # whoever has the folder needs nobody
    with pytest.raises(IllegalCardChange):
        world.requests.approve(request, actor=SECOND)
    assert not world.journal(Kind.REQUEST_APPROVED)


def test_a_request_holds_where_it_was_made(world: World, ours: str) -> None:
    """Who moves a person to another organisation has another request to make."""
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    request = asked(world, serial)
    world.people.change_user(user.id, None, None, organisation_id=ours, actor=OPERATOR)
    with pytest.raises(RequestClosed, match="not what was asked for"):
        world.requests.approve(request, actor=SECOND)
    assert world.find(serial).card.state is CardState.ACTIVE


def test_the_rule_of_an_organisation_holds_below_it_and_nowhere_else(
    world: World, ours: str
) -> None:
    manager = world.operator().identity
    ward = world.organisations.add("Ward 7", manager, ours).id
    require(world, HighRisk.CLOSE_USER, place=ours)
    require(world, HighRisk.REVOKE, place=ward)
    elsewhere, _ = world.user("Bo")
    user, _ = world.people.add_user("Ada", "", organisation_id=ward, actor=OPERATOR)
    world.leaving.close(elsewhere.id, "left", manager)
    with pytest.raises(SecondNeeded):
        world.leaving.close(user.id, "left", manager)
    world.requests.approve(waiting(world).request.id, actor=SECOND)
    assert world.showing.show(user.id, manager).user.state is UserState.CLOSED


def test_each_operation_waits_and_is_done(world: World, ours: str) -> None:
    """What becomes of the request is what would have become of the call."""
    manager = world.operator().identity
    user, _ = world.user()
    other, _ = world.user("Bo")
    serial = world.card(other)
    ida = operator(world, BuiltIn.SUPPORT, ours)
    role = world.custom_roles.define("ward-clerk", ["view"], ours, actor=OPERATOR).id
    until = world.clock() + timedelta(days=9)
    require(world, *HighRisk)
    calls: list[Callable[[], object]] = [
        lambda: world.leaving.close(user.id, "left", manager),
        lambda: world.replacing.replace(serial, Replacement.COMPROMISED, actor=OPERATOR),
        lambda: world.roles.grant(
            Wish(ida.id, "ward-clerk", ours, until_time=until), actor=OPERATOR
        ),
        lambda: world.custom_roles.change(role, None, ["view", "issue"], actor=OPERATOR),
        lambda: world.organisations.set_policy(ours, "v2", Policy(largest_batch=7), manager),
        lambda: world.four_eyes.require([], ROOT, actor=OPERATOR),
    ]
    for call in calls:
        with pytest.raises(SecondNeeded):
            call()
        done = world.requests.approve(waiting(world).request.id, actor=SECOND)
        assert done.state is RequestState.APPROVED
    assert world.showing.show(user.id, manager).user.state is UserState.CLOSED
    assert world.find(serial).card.state is CardState.REVOKED
    (told,) = [
        each.assignment
        for each in world.roles.list_all(actor=OPERATOR)
        if each.role_name == "ward-clerk"
    ]
    assert (told.until_time, told.granted_by) == (until, str(OPERATOR))
    (clerk,) = [each for each in world.roles.known(actor=OPERATOR) if each.name == "ward-clerk"]
    assert clerk.rights == (Right.VIEW, Right.ISSUE)
    (policy,) = world.organisations.list_policies(earlier=False, actor=OPERATOR)
    assert policy.policy.largest_batch == 7
    assert not world.four_eyes.list_all(actor=OPERATOR)


def test_who_is_invited_has_no_role_until_another_one_approves(world: World) -> None:
    """So nobody makes a second operator of their own to approve with."""
    require(world, HighRisk.GRANT_ROLE)
    ida = operator(world, "", ROOT)
    with pytest.raises(NotAllowed):
        world.people.list_users(actor=ida.actor)
    request = waiting(world).request
    assert request.wanted.about == "Ida"
    with pytest.raises(RequestNotFound):
        world.requests.approve(request.id, actor=ida.actor)
    world.requests.approve(request.id, actor=SECOND)
    assert world.people.list_users(actor=ida.actor) == []


def test_a_client_is_added_without_roles_until_another_one_approves(world: World) -> None:
    require(world, HighRisk.GRANT_ROLE)
    made = world.clients.add("HR system", ["support"], actor=OPERATOR)
    client = made.listing.client
    assert made.listing.roles == ()
    with pytest.raises(NotAllowed):
        world.people.list_users(actor=client.actor)
    world.requests.approve(waiting(world).request.id, actor=SECOND)
    assert world.people.list_users(actor=client.actor) == []


def test_a_rule_is_not_loosened_by_one(world: World, ours: str) -> None:
    require(world, HighRisk.REVOKE, HighRisk.POLICY)
    require(world, HighRisk.REVOKE, HighRisk.POLICY, HighRisk.CLOSE_USER)
    for fewer in ([], [HighRisk.REVOKE]):
        with pytest.raises(SecondNeeded):
            require(world, *fewer)
    (rule,) = world.four_eyes.list_all(actor=SECOND)
    assert rule.operations == (HighRisk.REVOKE, HighRisk.CLOSE_USER, HighRisk.POLICY)
    last = max(world.requests.list_all(decided=False, actor=SECOND), key=_terms)
    world.requests.approve(last.request.id, actor=SECOND)
    told = [each.details["operations"] for each in world.journal(Kind.FOUR_EYES_SET)]
    assert told == ["revoke policy", "revoke close-user policy", "revoke"]
    mine = operator(world, BuiltIn.RA_MANAGER, ours)
    with pytest.raises(OrganisationNotFound):
        world.four_eyes.require([HighRisk.REVOKE], ROOT, actor=mine.actor)


def test_an_organisation_does_not_leave_a_rule_behind(world: World, ours: str) -> None:
    ward = world.organisations.add("Ward 7", world.operator().identity, ours).id
    require(world, HighRisk.REVOKE, place=ours)
    with pytest.raises(InvalidInput, match="named revoke as of high risk"):
        world.organisations.change(ward, parent_id=ROOT, actor=OPERATOR)
    require(world, HighRisk.REVOKE, place=ward)
    world.organisations.change(ward, parent_id=ROOT, actor=OPERATOR)


def test_a_rule_needs_somebody_who_could_approve(world: World) -> None:
    """Nobody locks themselves out: who is only invited, or has another right, does not count."""
    only = world.operator().identity
    world.custom_roles.define("planner", ["view", "policy"], actor=only.actor)
    for known in (OPERATOR, SECOND):
        world.identities.remove(Role.OPERATOR, known.id, "left", only)

    def revocations() -> None:
        world.four_eyes.require([HighRisk.REVOKE], actor=only.actor)

    for role, lacks in (("planner", "revoke"), (BuiltIn.RA_AGENT_ADVANCED, "policy")):
        token = world.people.add_operator("Ida", role, actor=only.actor)
        with pytest.raises(NobodyElse):
            revocations()
        ida = world.enrol(token.text).identity
        with pytest.raises(NobodyElse, match=lacks):
            revocations()
        world.identities.remove(Role.OPERATOR, ida.id, "left", only)
    world.enrol(world.people.add_operator("Ida", actor=only.actor).text)
    revocations()


def test_a_rule_that_was_changed_in_the_database_lets_nobody_through(world: World) -> None:
    user, _ = world.user()
    serial = world.card(user)
    require(world, HighRisk.REVOKE)
    with world.database.write() as connection:
        connection.execute(update(rows.four_eyes).values(operations=""))
    with pytest.raises(RecordDamaged):
        revoke(world, serial)
    assert world.find(serial).card.state is CardState.ACTIVE


def test_a_request_that_was_changed_in_the_database_is_not_done(world: World) -> None:
    user, _ = world.user()
    first, other = world.card(user), world.card(user)
    require(world, HighRisk.REVOKE)
    request = asked(world, first)
    terms = encode({"card": other, "reason": "stolen", "code": COMPROMISED.value})
    for forged in ({"terms": terms}, {"asked_by": SECOND.id}, {"organisation_id": "x"}):
        with world.database.write() as connection:
            this = rows.request.c.id == request
            before = connection.execute(rows.request.select().where(this)).mappings().one()
            connection.execute(update(rows.request).where(this).values(**forged))
        with pytest.raises(RecordDamaged):
            world.requests.approve(request, actor=SECOND)
        with world.database.write() as connection:
            connection.execute(update(rows.request).where(this).values(**before))
    world.requests.approve(request, actor=SECOND)


def test_an_operator_does_not_ask_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_keystore.audit.acting.MOST_OPEN", 2)
    user, _ = world.user()
    serials = [world.card(user) for _ in range(3)]
    require(world, HighRisk.REVOKE)
    told = []
    for serial in serials:
        with pytest.raises(SecondNeeded) as refused:
            revoke(world, serial)
        told.append("let some be decided first" in str(refused.value))
    assert told == [False, False, True]
    assert len(world.requests.list_all(decided=True, actor=OPERATOR)) == 2


def test_what_is_no_operation(world: World) -> None:
    with pytest.raises(InvalidInput, match="operations has 'all'"):
        world.four_eyes.require(["all"], actor=OPERATOR)


@given(st.sets(st.sampled_from(HighRisk)), st.dictionaries(st.text(), st.text()))
def test_operations_and_terms_are_read_as_they_were_written(
    operations: set[HighRisk], terms: dict[str, str]
) -> None:
    assert parsed(f"{spelled(frozenset(operations))} later") == operations
    assert decode(encode(terms)) == terms


@given(st.text())
def test_terms_are_read_or_refused(text: str) -> None:
    try:
        terms = model.decode(text)
    except (ValueError, RecursionError):
        return
    assert isinstance(terms, dict)
