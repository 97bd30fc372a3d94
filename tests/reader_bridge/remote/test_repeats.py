"""An application's retry is known, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from card_os.keys import Refusal, UseKey
from card_os.uses import KeyUse
from reader_bridge.remote.repeats import RETRY_SECONDS, Repeats

ASKED = UseKey(bytes(16), KeyUse.SIGN, 0x9A, 0x11, b"digest", b"proof")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_retry_is_known_for_a_while() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert not repeats.why(ASKED)
    repeats.remember(ASKED, Refusal.UNAVAILABLE)
    clock.now += RETRY_SECONDS - 0.1
    assert repeats.why(replace(ASKED, request_id=b"\x01" * 16)) is Refusal.UNAVAILABLE
    clock.now += 0.1
    assert not repeats.why(ASKED)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, input=b"another"),
        replace(ASKED, key_ref=0x9C),
        replace(ASKED, use=KeyUse.AGREE),
    ],
)
def test_another_request_is_no_retry(other: UseKey) -> None:
    repeats = Repeats(Clock())
    repeats.remember(ASKED, Refusal.UNAVAILABLE)
    assert not repeats.why(other)


def test_what_is_forgotten_is_no_retry() -> None:
    repeats = Repeats(Clock())
    repeats.remember(ASKED, Refusal.UNAVAILABLE)
    repeats.forget()
    assert not repeats.why(ASKED)


def test_a_passcode_given_again_does_not_undo_a_cancel() -> None:
    """OpenSC 0.26 gives it before it repeats: the window opened again, and the phone rang."""
    repeats = Repeats(Clock())
    repeats.remember(ASKED, Refusal.CANCELLED)
    repeats.forget()
    assert repeats.why(ASKED) is Refusal.CANCELLED
