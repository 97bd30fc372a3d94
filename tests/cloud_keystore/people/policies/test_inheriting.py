"""Organisations inherit policies: what is in force is what the tree says, at once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import text

from cloud_keystore.model.errors import (
    InvalidInput,
    NotAllowed,
    OrganisationNotFound,
    SecondNeeded,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy, PolicyVersion, Term, decode
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.model.terms.resolving import Origin
from cloud_keystore.people.policies import settling
from cloud_keystore.people.policies.explaining import Source
from cloud_keystore.storage import policies
from support.keystore_world import OPERATOR, SECOND, World

BATCH, FREE = [Term.BATCH], [Term.PASSWORDLESS]


class Tree:
    """A region, a trust below it, a ward below that, and another trust."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.operator = world.operator().identity
        self.region = self.add("Region")
        self.trust = self.add("Trust", self.region)
        self.ward = self.add("Ward", self.trust)
        self.other = self.add("Other")

    def add(self, name: str, parent: str = "") -> str:
        return self.world.organisations.add(name, self.operator, parent).id

    def set(
        self, place: str, policy: Policy, own: list[Term] | None = None, profile: str = ""
    ) -> PolicyVersion:
        return self.world.organisations.set_policy(
            place, profile, policy, self.operator, None if own is None else tuple(own)
        )

    def holds(self, place: str, profile: str = "v2") -> Policy:
        with self.world.database.read() as connection:
            return policies.in_force(connection, place, profile).policy

    def sources(self, place: str, who: Identity | None = None) -> Mapping[Term, Source]:
        actor = OPERATOR if who is None else who.actor
        return self.world.explaining.of_organisation(place, "v2", actor=actor).sources


@pytest.fixture
def tree(world: World) -> Tree:
    return Tree(world)


def test_a_child_inherits_until_it_sets_its_own(tree: Tree, world: World) -> None:
    """USER-26, AUTH-02: what a parent sets holds below it at once, and the journal has old and
    new of each organisation.
    """
    first = tree.set(tree.region, Policy(passwordless=True), FREE)
    assert [tree.holds(each).passwordless for each in (tree.ward, tree.other)] == [True, False]
    tree.set(tree.trust, Policy(largest_batch=5), BATCH)
    tree.set("", Policy(largest_batch=9, survey_after=3), [Term.BATCH, Term.SURVEY])
    assert tree.holds(tree.ward) == Policy(passwordless=True, largest_batch=5, survey_after=3)
    assert tree.holds(tree.other) == Policy(largest_batch=9, survey_after=3)
    tree.set(tree.region, Policy(passwordless=False), FREE)
    assert not tree.holds(tree.ward).passwordless
    tree.set(tree.trust, Policy(), [])
    assert tree.holds(tree.ward).largest_batch == 9

    (of_ward,) = [
        each.details
        for each in world.journal(Kind.POLICY_INHERITED)
        if str(each.details["policy"]).startswith(tree.ward)
        and each.details["because"] == first.name
    ]
    old, new = (decode(str(of_ward[name])) for name in ("old_document", "document"))
    assert (old.passwordless, new.passwordless) == (False, True)
    set_ = world.journal(Kind.POLICY_SET)[-1].details
    assert (decode(str(set_["old_document"])).largest_batch, set_["own"]) == (5, "")


def test_a_profile_inherits_of_its_organisation_first(tree: Tree) -> None:
    tree.set(tree.region, Policy(largest_batch=2), BATCH, "v2")
    tree.set(tree.trust, Policy(largest_batch=3), BATCH)
    assert (tree.holds(tree.ward).largest_batch, tree.holds(tree.region).largest_batch) == (3, 2)
    tree.set(tree.trust, Policy(passwordless=True), FREE, "v2")
    assert tree.holds(tree.ward) == Policy(largest_batch=3, passwordless=True)
    assert tree.holds(tree.ward, "p256") == Policy(largest_batch=3)


def test_policies_of_before_keep_their_meaning(tree: Tree, world: World) -> None:
    """What was set before organisations inherited holds there alone, and as a whole."""
    old = PolicyVersion(tree.trust, "", 1, Policy(largest_batch=7), world.clock(), here_alone=True)
    with world.database.write() as connection:
        policies.add(connection, old, tree.operator.id)
        stored = connection.execute(text("SELECT terms FROM policy")).scalar_one()
    assert stored == "*"
    tree.set(tree.region, Policy(largest_batch=2, passwordless=True))
    assert tree.holds(tree.trust) == Policy(largest_batch=7)
    assert tree.holds(tree.ward) == Policy(largest_batch=2, passwordless=True)
    (listed,) = [
        each
        for each in world.organisations.list_policies(earlier=False, actor=OPERATOR)
        if each.organisation_id == tree.trust
    ]
    assert listed == old
    tree.set(tree.trust, Policy(largest_batch=8))
    assert tree.holds(tree.ward).largest_batch == 8


def test_what_is_inherited_follows_the_place(tree: Tree, world: World) -> None:
    """New, moved and migrated organisations have what is set above them now."""
    tree.set(tree.region, Policy(largest_batch=2), BATCH)
    tree.set(tree.other, Policy(largest_batch=6), BATCH)
    assert tree.holds(tree.add("New", tree.ward)).largest_batch == 2
    world.organisations.change(tree.trust, parent_id=tree.other, actor=OPERATOR)
    assert tree.holds(tree.ward).largest_batch == 6
    world.migrating.migrate(tree.other, tree.region, with_policies=False, operator=tree.operator)
    assert tree.holds(tree.ward).largest_batch == 2
    because = [each.details["because"] for each in world.journal(Kind.POLICY_INHERITED)]
    assert because[-1] == f"organisation {tree.trust}"


def test_policies_are_copied_with_what_they_set(tree: Tree, world: World) -> None:
    tree.set(tree.region, Policy(passwordless=True), FREE)
    tree.set(tree.trust, Policy(largest_batch=3), BATCH)
    moved = world.migrating.migrate(
        tree.trust, tree.other, with_policies=True, operator=tree.operator
    )
    assert moved.moved["policies"] == 1
    assert tree.holds(tree.ward) == tree.holds(tree.other) == Policy(largest_batch=3)


def test_nothing_is_written_where_nothing_changes(tree: Tree, world: World) -> None:
    tree.set("", Policy(largest_batch=4))
    tree.set(tree.region, Policy(largest_batch=4), BATCH)
    assert not world.journal(Kind.POLICY_INHERITED)
    tree.set("", Policy(largest_batch=5))
    assert tree.holds(tree.ward).largest_batch == 4


def test_one_change_writes_a_bounded_number_of_versions(
    tree: Tree, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be too much for one transaction is refused whole, by a place and by a policy."""
    monkeypatch.setattr(settling, "MOST_INHERITED", 3)
    tree.set(tree.region, Policy(largest_batch=4), BATCH)
    low = [tree.add(f"Ward {each}", tree.trust) for each in range(2)]
    told = len(world.journal(Kind.POLICY_SET, Kind.POLICY_INHERITED))
    with pytest.raises(InvalidInput, match="more than 3 policies of organisations below"):
        tree.set(tree.region, Policy(largest_batch=5), BATCH)
    assert tree.holds(tree.region) == tree.holds(low[0]) == Policy(largest_batch=4)
    with pytest.raises(InvalidInput, match="change it for those below it first"):
        world.organisations.change(tree.trust, parent_id=tree.other, actor=OPERATOR)
    assert len(world.journal(Kind.POLICY_SET, Kind.POLICY_INHERITED)) == told
    monkeypatch.setattr(settling, "MOST_INHERITED", 5)
    tree.set(tree.region, Policy(largest_batch=5), BATCH)
    assert tree.holds(low[1]) == Policy(largest_batch=5)


def test_where_each_term_is_from(tree: Tree, world: World) -> None:
    """USER-26: whoever sees only a child learns that a value is inherited, not from whom."""
    all_ = tree.set("", Policy(survey_after=3), [Term.SURVEY])
    above = tree.set(tree.region, Policy(passwordless=True), FREE)
    own = tree.set(tree.trust, Policy(largest_batch=3), BATCH)
    sources = tree.sources(tree.trust)
    assert sources[Term.PASSWORDLESS] == Source(Origin.INHERITED, tree.region, above.name)
    assert sources[Term.BATCH] == Source(Origin.OWN, tree.trust, own.name)
    assert sources[Term.SURVEY] == Source(Origin.ALL, "", all_.name)
    assert sources[Term.SESSION] == Source(Origin.DEFAULT)
    token = world.people.add_operator("Ida", BuiltIn.SUPPORT, tree.trust, actor=OPERATOR)
    ida = world.enrol(token.text).identity
    assert tree.sources(tree.trust, ida)[Term.PASSWORDLESS] == Source(Origin.INHERITED)
    assert tree.sources("", ida) == tree.sources(tree.trust, ida)
    for hidden in (tree.region, tree.other):
        with pytest.raises(OrganisationNotFound):
            tree.sources(hidden, ida)
    with pytest.raises(NotAllowed):
        world.organisations.set_policy(tree.trust, "", Policy(), ida)


def test_a_person_and_a_card_have_their_own(tree: Tree, world: World) -> None:
    user, _ = world.people.add_user("Ada", "", organisation_id=tree.ward, actor=OPERATOR)
    serial = world.card(user)
    tree.set(tree.region, Policy(largest_batch=3), BATCH, "p256")
    of_card = world.explaining.of_card(serial, actor=OPERATOR)
    assert (of_card.profile, of_card.version.policy.largest_batch) == ("p256", 3)
    of_user = world.explaining.of_user(user.id, actor=OPERATOR)
    assert (of_user.organisation_id, of_user.version.policy) == (tree.ward, Policy())
    with pytest.raises(InvalidInput):
        world.explaining.of_organisation(tree.ward, "v99", actor=OPERATOR)


def test_an_organisation_below_keeps_its_second(tree: Tree, world: World) -> None:
    """What needs another operator in a child is not done by one through its parent, nor by moving
    the child.
    """
    world.four_eyes.require([HighRisk.POLICY], tree.ward, actor=OPERATOR)
    with pytest.raises(SecondNeeded):
        tree.set(tree.region, Policy(largest_batch=2), BATCH)
    assert tree.holds(tree.ward) == Policy()
    (waiting,) = world.requests.list_all(decided=False, actor=SECOND)
    world.requests.approve(waiting.request.id, actor=SECOND)
    assert tree.holds(tree.ward).largest_batch == 2
    with pytest.raises(InvalidInput, match="of high risk"):
        world.organisations.change(tree.ward, parent_id=ROOT, actor=OPERATOR)
    tree.set(tree.other, Policy(largest_batch=9), BATCH)


def test_terms_that_there_are_not(tree: Tree) -> None:
    with pytest.raises(InvalidInput, match="own has 'colour'"):
        tree.world.organisations.set_policy("", "", Policy(), tree.operator, ("colour",))


def lock(tree: Tree, place: str, policy: Policy, own: list[Term], who: Identity) -> PolicyVersion:
    names = tuple(each.value for each in own)
    return tree.world.organisations.set_policy(place, "", policy, who, names, names)


def test_what_an_organisation_locks_holds_below_at_once(tree: Tree, world: World) -> None:
    """USER-26: what one below has set is gone with that; a lock is in the journal, and says who has
    set it.
    """
    tree.set(tree.ward, Policy(largest_batch=9), BATCH)
    tree.set(tree.ward, Policy(largest_batch=8), BATCH, "v2")
    made = lock(tree, tree.region, Policy(largest_batch=3), BATCH, tree.operator)
    assert [tree.holds(tree.ward, each).largest_batch for each in ("v2", "p256")] == [3, 3]
    assert world.journal(Kind.POLICY_SET)[-1].details["locked"] == "largest_batch"
    source = Source(Origin.INHERITED, tree.region, made.name, locked=True)
    assert tree.sources(tree.ward)[Term.BATCH] == source
    assert tree.sources(tree.region)[Term.BATCH] == Source(Origin.OWN, tree.region, made.name, True)
    below = world.enrol(
        world.people.add_operator("Ida", BuiltIn.RA_MANAGER, tree.ward, actor=OPERATOR).text
    ).identity
    assert tree.sources(tree.ward, below)[Term.BATCH] == Source(Origin.INHERITED, locked=True)
    tree.set(tree.region, Policy(largest_batch=4), BATCH)
    assert [tree.holds(tree.ward, each).largest_batch for each in ("v2", "p256")] == [4, 4]
    tree.set(tree.ward, Policy(largest_batch=9), BATCH)
    assert tree.holds(tree.ward).largest_batch == 9
    assert world.journal(Kind.POLICY_SET)[-2].details["old_locked"] == "largest_batch"


def test_what_is_locked_above_is_refused(tree: Tree, world: World) -> None:
    """The attack: an organisation sets what the one above has locked, as a whole policy too."""
    lock(tree, tree.region, Policy(), BATCH, tree.operator)
    for own in (BATCH, None):
        with pytest.raises(InvalidInput, match="largest_batch is locked by Region"):
            tree.set(tree.ward, Policy(largest_batch=9), own)
    ida = world.enrol(
        world.people.add_operator("Ida", BuiltIn.RA_MANAGER, tree.ward, actor=OPERATOR).text
    ).identity
    with pytest.raises(InvalidInput, match="locked by an organisation above"):
        lock(tree, tree.ward, Policy(largest_batch=9), BATCH, ida)
    tree.set(tree.ward, Policy(passwordless=True), FREE)
    assert tree.holds(tree.ward) == Policy(passwordless=True)
    lock(tree, "", Policy(), FREE, tree.operator)
    with pytest.raises(InvalidInput, match="locked by the policy for all"):
        tree.set(tree.other, Policy(passwordless=True), FREE)
    with pytest.raises(InvalidInput, match="which the policy does not set"):
        world.organisations.set_policy("", "", Policy(), tree.operator, (), ("session",))
    with pytest.raises(InvalidInput, match="use some of"):
        world.organisations.set_policy("", "", Policy(), tree.operator, (), ("none",))


def test_who_moves_below_a_lock_has_what_is_locked(tree: Tree, world: World) -> None:
    tree.set(tree.other, Policy(largest_batch=9), BATCH)
    lock(tree, tree.region, Policy(largest_batch=3), BATCH, tree.operator)
    world.organisations.change(tree.other, parent_id=tree.region, actor=OPERATOR)
    assert tree.holds(tree.other).largest_batch == 3


def test_a_lock_is_approved_as_it_was_asked_for(tree: Tree, world: World) -> None:
    """USER-24."""
    world.four_eyes.require([HighRisk.POLICY.value], ROOT, actor=OPERATOR)
    with pytest.raises(SecondNeeded):
        lock(tree, tree.region, Policy(largest_batch=3), BATCH, tree.operator)
    (asked,) = world.requests.list_all(decided=False, actor=SECOND)
    world.requests.approve(asked.request.id, actor=SECOND)
    with pytest.raises(InvalidInput, match="locked by Region"):
        tree.set(tree.trust, Policy(largest_batch=9), BATCH)
