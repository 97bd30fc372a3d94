"""Which terms hold: the nearest that sets one, and never half of what belongs together."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.policies import EVERY_TERM, Policy, PolicyVersion, Term
from cloud_keystore.model.terms.resolving import FIELDS, Origin, by_scope, resolve

PARENTS = {"ward": "trust", "trust": "region"}
PLACES = ("", "default", "region", "trust", "ward")
VERSIONS = st.builds(
    PolicyVersion,
    organisation_id=st.sampled_from(PLACES),
    profile=st.sampled_from(("", "v2", "p256")),
    version=st.just(1),
    policy=st.sampled_from(
        (
            Policy(),
            Policy(passkeys=False, passwordless=True),
            Policy(passkey_models=frozenset({"2fc0579f-8113-47ea-b116-bb5a8db9202a"})),
            Policy(portal_passwords=True, security_answers=2, largest_batch=9),
        )
    ),
    own=st.sets(st.sampled_from(Term)).map(frozenset),
)


def test_each_field_of_a_policy_belongs_to_one_term() -> None:
    named = [name for names in FIELDS.values() for name in names]
    assert sorted(named) == sorted(each.name for each in fields(Policy))
    assert FIELDS.keys() == set(Term)


@given(st.lists(VERSIONS), st.sampled_from(PLACES), st.sampled_from(("", "v2", "p256", "mine")))
def test_a_term_is_of_the_nearest_policy_that_sets_it(
    versions: list[PolicyVersion], place: str, profile: str
) -> None:
    """USER-26: a policy that is put together is one that could be set as a whole."""
    said = by_scope(versions)
    found = resolve(said, place, profile, PARENTS)
    above = {"": [], "default": ["default"]}.get(
        place, [*("ward", "trust", "region", "default")][3 - PLACES.index(place) + 1 :]
    )
    for term in Term:
        wanted = next(
            (
                version
                for each in (*above, "")
                for of in (profile, "")
                if (version := said.get((each, of))) is not None and term in version.own
            ),
            None,
        )
        assert found.sources.get(term) == wanted
        for name in FIELDS[term]:
            assert getattr(found.policy, name) == getattr(
                Policy() if wanted is None else wanted.policy, name
            )


def test_a_policy_of_before_holds_for_its_organisation_alone() -> None:
    old = PolicyVersion("trust", "", 1, Policy(largest_batch=7), here_alone=True)
    said = by_scope([old])
    assert old.own == EVERY_TERM
    assert resolve(said, "trust", "v2", PARENTS).policy.largest_batch == 7
    below = resolve(said, "ward", "v2", PARENTS)
    assert (below.policy, below.origin(Term.BATCH, "ward")) == (Policy(), Origin.DEFAULT)


def test_where_a_term_is_from() -> None:
    own = frozenset({Term.BATCH})
    said = by_scope(
        [
            PolicyVersion("ward", "", 1, Policy(), own=frozenset({Term.SURVEY})),
            PolicyVersion("trust", "v2", 1, Policy(), own=own),
            PolicyVersion("", "", 1, Policy(), own=own | {Term.SESSION}),
        ]
    )
    found = resolve(said, "ward", "v2", PARENTS)
    assert {term: found.origin(term, "ward") for term in Term if term in found.sources} == {
        Term.SURVEY: Origin.OWN,
        Term.BATCH: Origin.INHERITED,
        Term.SESSION: Origin.ALL,
    }
    assert found.origin(Term.CHANNELS, "ward") is Origin.DEFAULT


@given(
    st.lists(
        VERSIONS.flatmap(
            lambda each: st.sets(st.sampled_from(Term)).map(
                lambda locked: replace(each, locked=each.own & locked)
            )
        )
    ),
    st.sampled_from(("", "v2", "p256")),
)
def test_what_is_locked_above_holds_whatever_is_said_below(
    versions: list[PolicyVersion], profile: str
) -> None:
    """USER-26: the attack: an organisation loosens what the one above has locked."""
    said = by_scope(versions)
    places = [*reversed(("ward", "trust", "region", "default"))]
    for above, below in pairwise(places):
        outer, inner = (resolve(said, each, profile, PARENTS) for each in (above, below))
        for term, place in outer.locked.items():
            assert inner.locked[term] == place
            assert inner.sources[term] == outer.sources[term]
        for term, place in inner.locked.items():
            assert place in (below, outer.locked.get(term))


def test_a_lock_holds_below_and_not_where_it_is_set() -> None:
    """For a profile, an organisation can still set something else than for all of them."""
    own = frozenset({Term.BATCH})
    said = by_scope(
        [
            PolicyVersion("trust", "", 1, Policy(largest_batch=3), own=own, locked=own),
            PolicyVersion("trust", "v2", 1, Policy(largest_batch=4), own=own),
            PolicyVersion("ward", "", 1, Policy(largest_batch=9), own=own),
            PolicyVersion("ward", "v2", 1, Policy(largest_batch=9), own=own),
        ]
    )
    batches = {
        (place, profile): resolve(said, place, profile, PARENTS).policy.largest_batch
        for place in ("trust", "ward")
        for profile in ("v2", "p256")
    }
    assert batches == {
        ("trust", "v2"): 4,
        ("trust", "p256"): 3,
        ("ward", "v2"): 4,
        ("ward", "p256"): 3,
    }
