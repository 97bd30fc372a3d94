"""What documents are called under an approval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.documents import (
    LARGEST_DOCUMENTS,
    LONGEST_DOCUMENT,
    documents_field,
)


def test_one_for_each_input_in_order() -> None:
    assert documents_field([" two  items", "one"], 2) == ("two items", "one")
    assert documents_field([], 250) == ()
    assert len(documents_field(["x" * LONGEST_DOCUMENT] * 250, 250)) == 250


@pytest.mark.parametrize(
    ("documents", "inputs", "said"),
    [
        (["one"], 2, "1 documents for 2 inputs"),
        (["one"] * 251, 250, "251 documents for 250 inputs"),
        (["one"], 0, "1 documents for 0 inputs"),
        (["one", ""], 2, "document 2 is empty"),
        (["one", " \t"], 2, "document 2 is empty"),
        (["x" * (LONGEST_DOCUMENT + 1)], 1, "document 1 has 65 characters"),
        (["x" * 10_000_000], 1, "at most 64"),
        (["one\u202eowt"], 1, "RIGHT-TO-LEFT OVERRIDE"),
        (["one\x1b[2J"], 1, "a control character"),
        (["one\ntwo"], 1, "a control character"),
        (["\u6f22" * LONGEST_DOCUMENT] * 250, 250, "more than 16000 bytes"),
    ],
)
def test_what_no_phone_could_show_is_refused(documents: list[str], inputs: int, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        documents_field(documents, inputs)


@given(st.lists(st.text(max_size=70), max_size=5))
def test_what_is_kept_is_bounded_and_kept_as_it_is(documents: list[str]) -> None:
    try:
        found = documents_field(documents, len(documents))
    except InvalidInput:
        return
    assert documents_field(found, len(documents)) == found
    assert all(0 < len(each) <= LONGEST_DOCUMENT for each in found)
    assert sum(len(each.encode()) for each in found) <= LARGEST_DOCUMENTS
