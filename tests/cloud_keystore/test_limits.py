"""How fast one caller may call."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import TooManyCalls
from cloud_keystore.rpc import limits
from cloud_keystore.rpc.limits import Buckets
from keystore_world import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limiter(clock: FakeClock) -> Buckets:
    return Buckets(per_second=2, burst=3, monotonic=lambda: clock.now.timestamp())


def test_a_burst_and_then_the_rate(limiter: Buckets, clock: FakeClock) -> None:
    for _ in range(3):
        limiter.admit("Ada")
    with pytest.raises(TooManyCalls):
        limiter.admit("Ada")
    clock.forward(seconds=0.5)
    limiter.admit("Ada")
    with pytest.raises(TooManyCalls):
        limiter.admit("Ada")


def test_callers_do_not_share(limiter: Buckets) -> None:
    for _ in range(3):
        limiter.admit("Mallory")
    limiter.admit("Ada")


def test_a_long_silence_is_no_credit(limiter: Buckets, clock: FakeClock) -> None:
    limiter.admit("Ada")
    clock.forward(hours=1)
    for _ in range(3):
        limiter.admit("Ada")
    with pytest.raises(TooManyCalls):
        limiter.admit("Ada")


def test_memory_is_bounded(limiter: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CALLERS", 10)
    for caller in range(100):
        limiter.admit(caller)
    assert len(limiter._buckets) == 10
