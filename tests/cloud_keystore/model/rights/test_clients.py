"""The tokens of API clients."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.rights.clients import PREFIX, new_token, token_sha256


def test_each_token_is_another_and_has_a_hash() -> None:
    one, other = new_token(os.urandom), new_token(os.urandom)
    assert one != other
    assert len({token_sha256(one), token_sha256(other), None}) == 3


def test_the_hash_is_none_that_a_certificate_has() -> None:
    token = new_token(lambda length: b"\x11" * length)
    assert token_sha256(token) != sha256(token.encode()).digest()


@pytest.mark.parametrize("text", ["", PREFIX, "x" * 49, PREFIX + "a" * 42, PREFIX + "a" * 44])
def test_what_is_no_token(text: str) -> None:
    assert token_sha256(text) is None


@given(st.text())
def test_any_text_is_looked_at(text: str) -> None:
    found = token_sha256(text)
    assert found is None or text.startswith(PREFIX)
