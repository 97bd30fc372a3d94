"""What a window shows while one or several operations wait."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reader_bridge.prompt_program import lines, texts
from reader_bridge.prompt_program.lines import Approval
from reader_bridge.prompt_program.waiting import SAID_SECONDS, View, Waiting
from reader_bridge.prompts.json_lines import drawn
from support.prompts import BOTH, PUSHED, SCANNED, prompt

NOW = 1000.0


def approval(operation: str = "id") -> Approval:
    told = lines.parsed(json.dumps(drawn(replace(BOTH, operation_id=operation))).encode())
    assert isinstance(told, Approval)
    return told


def view(waiting: Waiting, now: float = NOW) -> View:
    shown = waiting.view(now)
    assert shown is not None
    return shown


def test_nothing_waits() -> None:
    waiting = Waiting()
    assert waiting.view(NOW) is None
    waiting.end("unknown", "approved", NOW)
    waiting.turn(1)
    assert waiting.view(NOW) is None


def test_one_waits() -> None:
    waiting = Waiting()
    waiting.add(approval(), NOW)
    shown = view(waiting, NOW + 10)
    assert (shown.number, shown.left, shown.whole) == ("42", 110.0, 120.0)
    assert (shown.which, shown.count, shown.said) == (1, 1, "")
    assert dict(shown.rows) == {
        texts.PURPOSE: "Sign with the authentication key (9A)",
        texts.PROGRAM: "pkcs11-tool",
        texts.WORKSTATION: "WARD7-PC3",
        texts.CARD: "1000",
    }
    assert shown.check_code == "7MYH 57PF"
    assert view(waiting, NOW + 999).left == 0.0


def test_an_unknown_program_is_said_to_be_unknown() -> None:
    waiting = Waiting()
    waiting.add(replace(approval(), program=""), NOW)
    assert dict(view(waiting).rows)[texts.PROGRAM] == texts.UNKNOWN_PROGRAM


@pytest.mark.parametrize(
    ("asked", "at_first", "later"),
    [
        (BOTH, texts.OR_SCAN, texts.CODE_OVER),
        (SCANNED, texts.SCAN, texts.CODE_OVER_ALONE),
        (PUSHED, "", ""),
    ],
)
def test_a_code_is_shown_while_it_is_good(asked: object, at_first: str, later: str) -> None:
    told = lines.parsed(json.dumps(drawn(asked)).encode())
    waiting = Waiting()
    waiting.add(told, NOW)
    assert view(waiting).qr_label == at_first
    assert bool(view(waiting).qr_modules) == bool(at_first)
    assert view(waiting, NOW + 60).qr_label == later
    assert view(waiting, NOW + 60).qr_modules == ()


@pytest.mark.parametrize("outcome", ["approved", "cancelled"])
def test_what_the_holder_did_needs_no_words(outcome: str) -> None:
    waiting = Waiting()
    waiting.add(approval(), NOW)
    waiting.end("id", outcome, NOW)
    assert waiting.view(NOW) is None


@pytest.mark.parametrize("outcome", ["expired", "failed", "unavailable", "denied"])
def test_how_it_ended_is_said_for_a_moment(outcome: str) -> None:
    waiting = Waiting()
    waiting.add(approval(), NOW)
    waiting.end("id", outcome, NOW)
    assert view(waiting).said == texts.OUTCOMES[outcome]
    assert view(waiting, NOW + SAID_SECONDS - 0.1)
    assert waiting.view(NOW + SAID_SECONDS) is None


def test_several_wait_in_the_order_in_which_they_came() -> None:
    waiting = Waiting()
    for operation in ("a", "b", "c"):
        waiting.add(approval(operation), NOW)
    seen = []
    for _ in range(4):
        shown = view(waiting)
        seen.append((shown.operation, shown.which, shown.count))
        waiting.turn(1)
    assert seen == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3), ("a", 1, 3)]
    waiting.turn(-1)
    assert view(waiting).operation == "a"
    waiting.end("a", "expired", NOW)  # no words: others wait
    assert (view(waiting).operation, view(waiting).count) == ("b", 2)
    waiting.end("c", "approved", NOW)
    assert (view(waiting).operation, view(waiting).count) == ("b", 1)


def test_a_new_one_takes_the_place_of_words() -> None:
    waiting = Waiting()
    waiting.add(approval("a"), NOW)
    waiting.end("a", "denied", NOW)
    waiting.add(approval("b"), NOW)
    assert view(waiting).operation == "b"
    waiting.forget("a")
    waiting.forget("b")
    assert waiting.view(NOW) is None


def test_the_same_operation_again_is_still_one() -> None:
    waiting = Waiting()
    waiting.add(approval(), NOW)
    waiting.add(approval(), NOW + 1)
    assert view(waiting).count == prompt().inputs == 1
