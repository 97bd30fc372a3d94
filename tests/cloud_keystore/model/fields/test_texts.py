"""Names and other texts that people give."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.emails import email
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field

PERSIAN = "علی‌رضا"  # Alireza, with a ZWNJ between its letters
SINHALA = "ශ්‍රී"  # Sri, with a ZWJ


@pytest.mark.parametrize(
    "name", [PERSIAN, SINHALA, "Łucja Ḥasan", "O\u2019Brien-Smith, Jr.", "李明"]
)
def test_names_of_people(name: str) -> None:
    assert text_field("name", name, 64) == name


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("  Ada \t Byron\u00a0King\u3000", "Ada Byron King"),
        (unicodedata.normalize("NFD", "Zoë Müller"), "Zoë Müller"),
        ("\uff21da", "\uff21da"),  # a letter of its own: NFC, not NFKC
    ],
)
def test_one_form(given_: str, kept: str) -> None:
    assert text_field("name", given_, 64) == kept


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Ada\u202eByron", "U\\+202E \\(RIGHT-TO-LEFT OVERRIDE\\)"),
        ("Ada\x07", "U\\+0007 \\(a control character\\)"),
        ("Ada\nByron", "U\\+000A \\(a control character\\)"),
        ("Ada\u200dByron", "ZERO WIDTH JOINER"),  # between letters that do not join
        (PERSIAN + "\u200c", "ZERO WIDTH NON-JOINER"),
        ("عل\u200c\u200cی", "ZERO WIDTH NON-JOINER"),
        ("Ada\u200b", "ZERO WIDTH SPACE"),
        ("\ufeffAda", "ZERO WIDTH NO-BREAK SPACE"),
        (" \u3000", "is empty"),
        ("a" * 65, "at most 64"),
        ("a" * 10_000_000, "at most 64"),
    ],
)
def test_what_cannot_be_shown_is_named(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        text_field("name", name, 64)


@given(st.text())
def test_a_kept_text_is_kept_as_it_is(text: str) -> None:
    try:
        kept = text_field("name", text, LONGEST_LABEL)
    except InvalidInput:
        return
    assert text_field("name", kept, LONGEST_LABEL) == kept


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org",
        "ada.byron+cards@ward7.example.org",
        "o'brien@example.org",
        "żółć@bücher.example",
        "用户@例子.公司",
        "ada@xn--bcher-kva.example",
        "a@trust.local",
        "a" * 64 + "@example.org",
        "",
    ],
)
def test_addresses(address: str) -> None:
    assert email(f" {address} ") == address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ada@@x.org", "one @"),
        ("ada.x.org", "one @"),
        ("ada@b@x.org", "one @"),
        ("@x.org", "before the @"),
        (".ada@x.org", "before the @"),
        ("ada.@x.org", "before the @"),
        ("a..da@x.org", "before the @"),
        ("ada byron@x.org", "before the @"),
        ("Ada <ada@x.org>", "before the @"),
        ("ada,bob@x.org", "before the @"),
        ("a" * 65 + "@x.org", "before the @"),
        ("ada@", "no domain"),
        ("ada@localhost", "no domain"),
        ("ada@x..org", "no domain"),
        ("ada@.x.org", "no domain"),
        ("ada@x.org.", "no domain"),
        ("ada@-x.org", "no domain"),
        ("ada@x_y.org", "no domain"),
        ("ada@192.0.2.1", "no domain"),
        ("ada@x.org, bob@x.org", "one @"),
        ("ada@" + "a" * 64 + ".org", "no domain"),
        ("ada@" + "a." * 130 + "org", "at most 254"),
    ],
)
def test_addresses_that_are_none(address: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        email(address)
