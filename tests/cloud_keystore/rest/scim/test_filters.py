"""What of a filter the keystore looks up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import SearchRequest

from cloud_keystore.model.directories.entries import Sought
from cloud_keystore.rest.scim.filters import EVERYBODY, sought
from cloud_keystore.rest.scim.models import Email, Person


def read(text: str) -> Sought:
    found = SearchRequest[Person](filter=text).filter
    assert found is not None
    return sought(found.ast)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName eq "ada"', Sought(user_name="ada")),
        ('USERNAME EQ "ada"', Sought(user_name="ada")),
        ('externalId eq "17"', Sought(external_id="17")),
        ('emails eq "a@b.example"', Sought(email="a@b.example")),
        ('emails.value eq "a@b.example"', Sought(email="a@b.example")),
        ('emails[type eq "work" and value eq "a@b.example"]', Sought(email="a@b.example")),
        ('active eq true and (id eq "1")', Sought(id="1")),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada"', Sought(user_name="ada")),
        ('userName sw "a"', EVERYBODY),
        ('userName ne "a"', EVERYBODY),
        ('not (userName eq "a")', EVERYBODY),
        ('userName eq "a" or externalId eq "1"', EVERYBODY),
        ('userName eq ""', EVERYBODY),
        ("active eq true", EVERYBODY),
        ("emails pr", EVERYBODY),
    ],
)
def test_what_everybody_meant_has(text: str, found: Sought) -> None:
    assert read(text) == found


NAMES = st.sampled_from(["ada", "bo", "ADA"])
TERMS = st.one_of(
    st.builds(lambda name: f'userName eq "{name}"', NAMES),
    st.builds(lambda name: f'externalId eq "{name}"', NAMES),
    st.builds(lambda name: f'emails.value eq "{name}"', NAMES),
    st.builds(lambda name: f'emails[value eq "{name}"]', NAMES),
    st.builds(lambda name: f'displayName sw "{name}"', NAMES),
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(lambda one, other: f"({one}) and ({other})", inner, inner),
        st.builds(lambda one, other: f"({one}) or ({other})", inner, inner),
        st.builds(lambda one: f"not ({one})", inner),
    ),
    max_leaves=5,
)
PEOPLE = st.builds(
    lambda name, other, email: Person(
        user_name=name, external_id=other, display_name=name, emails=[Email(value=email)]
    ),
    *(NAMES,) * 3,
)


@settings(max_examples=40)
@given(text=FILTERS, person=PEOPLE)
def test_nobody_who_is_meant_is_passed_over(text: str, person: Person) -> None:
    wanted = SearchRequest[Person](filter=text).filter
    assert wanted is not None
    if wanted.match(person):
        found, lower = sought(wanted.ast), str.lower
        assert lower(found.user_name) in ("", lower(person.user_name or ""))
        assert found.external_id in ("", person.external_id)
        assert person.emails
        assert lower(found.email) in ("", lower(person.emails[0].value or ""))
