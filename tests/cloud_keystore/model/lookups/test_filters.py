"""Filters of LDAP as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.lookups import filters
from cloud_keystore.model.lookups.filters import DEEPEST, Either, Equal, Every, Not, Present

ATTRIBUTES = st.from_regex(filters.ATTRIBUTE, fullmatch=True)
VALUES = st.text(min_size=1, max_size=6).filter(lambda value: value.isprintable())
FILTERS = st.recursive(
    st.builds(Equal, ATTRIBUTES.map(lambda name: name[:8]), VALUES)
    | st.builds(Present, ATTRIBUTES.map(lambda name: name[:8])),
    lambda parts: (
        st.builds(Every, st.lists(parts, min_size=1, max_size=2).map(tuple))
        | st.builds(Either, st.lists(parts, min_size=1, max_size=2).map(tuple))
        | st.builds(Not, parts)
    ),
    max_leaves=3,
)


@given(FILTERS)
def test_a_filter_that_is_shown_is_read_again(found: filters.Filter) -> None:
    text = filters.shown(found)
    try:
        assert filters.parse(text) == found
    except InvalidInput as refused:
        assert "deep" in str(refused) or "characters" in str(refused)


@given(st.text(alphabet="()&|!=*\\a2é", max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        found = filters.parse(text)
    except InvalidInput:
        return
    assert filters.parse(filters.shown(found)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(objectClass=user)", Equal("objectClass", "user")),
        ("(mail=*)", Present("mail")),
        ("(cn=a\\2ab)", Equal("cn", "a*b")),
        ("(cn=caf\\c3\\a9)", Equal("cn", "café")),
        ("(cn=café)", Equal("cn", "café")),
        ("(&(a=b)(!(c=d)))", Every((Equal("a", "b"), Not(Equal("c", "d"))))),
        ("(|(a=b)(c=*))", Either((Equal("a", "b"), Present("c")))),
    ],
)
def test_filters(text: str, found: filters.Filter) -> None:
    assert filters.parse(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "a=b", "(a=b", "(a=b))", "(a=b)(c=d)", "()", "(&)", "(!(a=b)(c=d))", "(=b)", "(a=)"),
        *("(a=b*)", "(a>=b)", "(a~=b)", "(a:=b)", "(a:1.2.840.113556.1.4.803:=2)", "(a=\\2)"),
        *("(a=b(c)", "(a=\x1b)", "(a=\\ff)", "(a b=c)", "(a=" + "b" * 500 + ")"),
        "(!" * DEEPEST + "(a=b)" + ")" * DEEPEST,
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="filter"):
        filters.parse(text)
