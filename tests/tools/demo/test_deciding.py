"""What the interactive demo asks, and that no answer makes it fail."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from cloudcard_tools.demo import deciding
from cloudcard_tools.demo.deciding import DENY, NOT_ME, SCAN
from cloudcard_tools.demo.timeline import Declined, StepFailed, Timeline, wrapped


def answered(ask: Callable[[], str], typed: str) -> tuple[str, str]:
    """What a question makes of what is typed, and what it prints."""
    found: list[str] = []

    @click.command()
    def command() -> None:
        found.append(ask())

    done = CliRunner().invoke(command, input=typed)
    assert done.exit_code == 0, done.output
    return found[0], done.output


@pytest.mark.parametrize(
    ("ask", "typed", "means"),
    [
        (lambda: deciding.ask_number("42"), "42\n", "42"),
        (lambda: deciding.ask_number("42"), "24\n", "24"),  # the one guess
        (lambda: deciding.ask_number("42"), "\n4\n421\nyes\n D \n", DENY),
        (lambda: deciding.ask_number("42"), "٤٢\nnot me\n", NOT_ME),
        (lambda: deciding.ask_to_deny("42"), "\nd\n", DENY),
        (lambda: deciding.ask_to_deny("42"), "42\n", "42"),
        (deciding.ask_scan, "\n", SCAN),
        (deciding.ask_scan, "42\nn\n", NOT_ME),
    ],
)
def test_an_answer_is_asked_for_until_it_means_something(
    ask: Callable[[], str], typed: str, means: str
) -> None:
    found, said = answered(ask, typed)
    assert found == means
    mistyped = [line for line in typed.splitlines()[:-1] if line]
    assert said.count("means nothing here") == len(mistyped)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: deciding.ask_number("42"),
        lambda: deciding.ask_to_deny("42"),
        deciding.ask_scan,
    ],
)
def test_a_question_says_what_each_answer_does(ask: Callable[[], str]) -> None:
    _, said = answered(ask, "d\n")
    words = " ".join(said.split())
    assert "d " in words
    assert "n " in words
    assert "not you who asked" in words
    assert max(map(len, said.splitlines())) <= 80


def test_it_says_who_you_are(capsys: pytest.CaptureFixture[str]) -> None:
    deciding.introduce()
    said = capsys.readouterr().out
    assert "You are Ada Byron" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_refusal_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline()
    with timeline.step("an application " + "signs " * 20):
        raise Declined("Your phone says: Denied.")
    with timeline.step("another"):
        pass
    timeline.end()
    said = capsys.readouterr().out
    assert "1 ended as you decided, 0 failed." in said
    assert max(map(len, said.splitlines())) <= 80
    with timeline.step("a third"):
        raise StepFailed("broken")
    with pytest.raises(StepFailed, match="a third"):
        timeline.end()


def test_line_ends_stay_and_words_are_not_broken() -> None:
    assert wrapped("a\n" + "x" * 90 + " b", "  ") == "  a\n  " + "x" * 90 + "\n  b"
