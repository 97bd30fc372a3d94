"""What there is to do for whoever begins by an invitation."""

from __future__ import annotations

import base64
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.portal.beginnings import Facts, Stage, Task, secret_in, stages

ALL = tuple(each.name for each in fields(Facts))
FACTS = st.builds(Facts, **{each: st.booleans() for each in ALL})
RAW = bytes(range(48))
TOKEN = f"cc1.{base64.urlsafe_b64encode(RAW).decode()}"


def facts(*true: str) -> Facts:
    return Facts(**{each: each in true for each in ALL})


@given(found=FACTS)
def test_there_is_always_a_next_task_until_the_card_is_what_others_do(found: Facts) -> None:
    """No list is a dead end: what cannot start waits for a task before it, or for the card."""
    made = stages(found)
    assert list(made) == [each for each in Task if each in made]
    open_ = [each for each, stage in made.items() if stage is Stage.OPEN]
    later = [each for each, stage in made.items() if stage is Stage.LATER]
    assert open_ or later in ([], [Task.PASSCODE])
    if Task.PASSWORD in later:
        assert Task.EMAIL in open_
    if not open_ and later:
        assert found.enrolled
        assert not found.has_card


@given(found=FACTS)
def test_a_password_needs_the_mail_in_this_beginning(found: Facts) -> None:
    if stages(found).get(Task.PASSWORD) is Stage.OPEN:
        assert found.proved
        assert found.offered
        assert not found.has_password


def test_tasks_that_are_not_offered_are_left_out() -> None:
    assert list(stages(facts())) == [Task.PHONE, Task.PASSCODE]
    assert list(stages(facts("reachable"))) == [Task.EMAIL, Task.PHONE, Task.PASSCODE]
    everything = stages(facts("reachable", "offered"))
    assert list(everything) == list(Task)
    assert [*everything.values()] == [Stage.OPEN, Stage.LATER, Stage.OPEN, Stage.LATER]
    assert set(stages(facts(*ALL)).values()) == {Stage.DONE}


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f" {TOKEN}@localhost:50052\n",
        f"{TOKEN}@[::1]:50052",
        f"https://cards.example.org/me/begin#{TOKEN}%40localhost:50052",
        f"http://localhost:8080/authenticator#{TOKEN[:30]}\n{TOKEN[30:]}",
    ],
)
def test_a_token_is_read_as_it_is_copied(text: str) -> None:
    assert secret_in(text) == RAW[32:]


@given(text=st.one_of(st.text(), st.text().map(lambda each: TOKEN + each)))
def test_any_text_is_a_token_or_none(text: str) -> None:
    assert secret_in(text) in (None, RAW[32:])


@pytest.mark.parametrize("text", ["", "cc1.", TOKEN[:-1], TOKEN + "A", f"x{TOKEN}", "BCDF-GHJK"])
def test_other_texts_are_none(text: str) -> None:
    assert secret_in(text) is None
