"""OPS-05: how long the push to the phone is waited for before a QR code is offered."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.prompts.later import Later
from support.polling import until

PROMPT = Prompt("1", "7", "42", "code", datetime.now(UTC), "", seconds=120.0, qr_seconds=60.0)


class Screen:
    """Notes what is shown and cleared."""

    def __init__(self) -> None:
        self.seen: list[Prompt | Outcome] = []

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        del withdraw
        self.seen.append(prompt)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        del operation_id
        self.seen.append(outcome)


def test_the_code_comes_later_with_the_time_that_is_left() -> None:
    """OPS-05."""
    screen = Screen()
    later = Later(screen, 0.2)
    later.show(PROMPT, lambda: None)
    assert screen.seen == [replace(PROMPT, qr_text="", qr_seconds=0.0)]
    until(lambda: len(screen.seen) == 2)
    assert screen.seen[1] == replace(PROMPT, seconds=119.8, qr_seconds=59.8)
    later.clear("1", Outcome.APPROVED)
    assert screen.seen[2:] == [Outcome.APPROVED]


def test_what_has_ended_gets_no_code() -> None:
    screen = Screen()
    later = Later(screen, 0.1)
    later.show(PROMPT, lambda: None)
    later.clear("1", Outcome.APPROVED)
    assert not threading.Event().wait(0.3)
    assert screen.seen[1:] == [Outcome.APPROVED]


@pytest.mark.parametrize("alone", [{"number": ""}, {"qr_text": ""}])
def test_what_has_one_way_alone_is_shown_at_once(alone: dict[str, str]) -> None:
    screen = Screen()
    prompt = replace(PROMPT, **alone)  # type: ignore[arg-type]
    Later(screen, 30).show(prompt, lambda: None)
    assert screen.seen == [prompt]
