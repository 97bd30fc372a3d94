"""What a directory says, and what holds."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.directories.entries import (
    DirectoryEntry,
    Field,
    Word,
    settle,
    value,
    with_value,
)
from cloud_keystore.model.people import User

THEN = datetime(2026, 11, 23, tzinfo=UTC)
TEXTS = st.sampled_from(["", "a", "b", "c"])
# Who says what of a field, in turn: the directory, or an operator by hand.
TURNS = st.lists(st.tuples(st.booleans(), st.sampled_from(list(Field)), TEXTS), max_size=12)


def entry() -> DirectoryEntry:
    return DirectoryEntry("1", "2", "1", "ada", THEN, THEN)


@given(turns=TURNS)
def test_what_was_set_by_hand_is_never_overwritten(
    turns: list[tuple[bool, Field, str]],
) -> None:
    """USER-16."""
    said = entry()
    user = User("1", "first", "first", THEN, organisation_id="first", phone="first")
    by_hand = dict.fromkeys(Field, "first")
    for by_directory, field, text in turns:
        if by_directory:
            before = user
            said, user = settle(said, user, {field: text})
            if field in by_hand:
                changed = value(user, field) != value(before, field)
                # Only what was not set yet, or is the same, becomes the directory's.
                assert not changed or by_hand[field] == ""
                if said.word(field).given == value(user, field):
                    del by_hand[field]
        else:
            if text != value(user, field):
                by_hand[field] = text
            user = with_value(user, field, text)


@given(
    texts=st.lists(TEXTS.filter(bool), min_size=1, max_size=6), field=st.sampled_from(list(Field))
)
def test_what_a_directory_has_given_follows_it(texts: list[str], field: Field) -> None:
    """USER-16."""
    user = with_value(User("1", "x", "x", THEN, organisation_id="x"), field, texts[0])
    said = entry().having(field, Word(texts[0], texts[0]))
    for text in texts:
        said, user = settle(said, user, {field: text})
        assert value(user, field) == text
        assert not said.word(field).differs(text)


def test_nobody_is_without_a_name_or_a_place_and_an_address_can_end() -> None:
    user = User("1", "Ada", "ada@example.org", THEN, organisation_id="default")
    said = entry()
    for field in Field:
        said = said.having(field, Word(value(user, field), value(user, field)))
    for field in Field:
        said, user = settle(said, user, {field: ""})
    assert (user.display_name, user.email, user.organisation_id) == ("Ada", "", "default")


def test_a_difference_that_was_decided_about_is_none_until_something_else_is_said() -> None:
    user = User("1", "Ada Byron", "", THEN)
    said, user = settle(entry(), user, {Field.NAME: "Ada"})
    word = said.word(Field.NAME)
    assert word.differs(user.display_name)
    kept = Word(word.said, word.given, word.said)
    assert not kept.differs(user.display_name)
    said, user = settle(said.having(Field.NAME, kept), user, {Field.NAME: "A. Byron"})
    assert user.display_name == "Ada Byron"
    assert said.word(Field.NAME).differs(user.display_name)
