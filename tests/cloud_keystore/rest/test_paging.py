"""Pages of lists: together they are the list, and no other text is taken for a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.rest.paging import cut, page_of

NAMES = st.lists(st.uuids().map(str), unique=True, max_size=20).map(sorted)


@given(NAMES, st.integers(1, 5))
def test_pages_are_the_whole_list(names: list[str], limit: int) -> None:
    found: list[str] = []
    token: str | None = ""
    while token is not None:
        page = page_of("users", limit, token)
        rest = [each for each in names if each > page.after][: page.size]
        items, token = cut("users", rest, limit, str)
        assert len(items) <= limit
        found += items
    assert found == names


@given(st.text(max_size=300))
def test_any_text_is_a_page_or_refused(text: str) -> None:
    try:
        assert page_of("users", 10, text).size == 11
    except InvalidInput as error:
        assert "page_token" in str(error)


def test_a_page_of_another_list_is_refused() -> None:
    _, token = cut("cards", ["1", "2"], 1, str)
    with pytest.raises(InvalidInput):
        page_of("users", 10, token or "")
