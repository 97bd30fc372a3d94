"""Names of Windows accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.accounts import FORBIDDEN, account_name, name_key

PARTS = st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"CORP\ada", ("CORP", "ada")),
        (r" corp.example.org\a.b-c_d ", ("corp.example.org", "a.b-c_d")),
        (r"CORP\zoë byron", ("CORP", "zoë byron")),
    ],
)
def test_accounts(text: str, found: tuple[str, str]) -> None:
    assert account_name(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "ada", "ada@corp.example", "CORP/ada", "\\ada", "CORP\\", "CORP\\a\\b", "CO RP\\ada"),
        *(".CORP\\ada", "CORP\\ada.", "CORP\\" + "a" * 21, "C" * 256 + "\\a", "CORP\\a\x00"),
        *(f"CORP\\a{each}b" for each in sorted(FORBIDDEN)),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="account"):
        account_name(text)


@given(domain=PARTS, sam=PARTS)
def test_a_name_is_read_as_it_was_written(domain: str, sam: str) -> None:
    found = account_name(rf"{domain}\{sam}")
    assert name_key(*found) == name_key(domain, sam) == name_key(domain.casefold(), sam)
