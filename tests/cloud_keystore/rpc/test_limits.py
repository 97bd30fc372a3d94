"""How fast one caller may call."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Event

import pytest

from cloud_keystore.model.errors import InvalidInput, Overloaded, TooManyCalls
from cloud_keystore.model.limits import Limits, Rate, with_limits
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rpc import limits
from cloud_keystore.rpc.limits import Buckets, Limiter, Workers
from support.keystore_world import FakeClock


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
    with pytest.raises(TooManyCalls):
        limiter.admit("Mallory")


def test_a_long_silence_is_no_credit(limiter: Buckets, clock: FakeClock) -> None:
    limiter.admit("Ada")
    clock.forward(hours=1)
    for _ in range(3):
        limiter.admit("Ada")
    with pytest.raises(TooManyCalls):
        limiter.admit("Ada")


def test_memory_is_bounded(limiter: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CALLERS", 10)
    for _ in range(3):
        limiter.admit("Ada")
    for caller in range(9):
        limiter.admit(caller)
    with pytest.raises(TooManyCalls):
        limiter.admit("Ada")
    for caller in range(10):
        limiter.admit(caller)
    limiter.admit("Ada")  # was forgotten, and begins anew


def test_among_many_callers_a_newcomer_is_limited_too(
    limiter: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has been silent longest is forgotten, or the eleventh could call without end."""
    monkeypatch.setattr(limits, "MOST_CALLERS", 10)
    for caller in range(10):
        limiter.admit(caller)
    for _ in range(3):
        limiter.admit("Mallory")
    with pytest.raises(TooManyCalls):
        limiter.admit("Mallory")


def test_the_refusal_says_when_to_come_back(limiter: Buckets, clock: FakeClock) -> None:
    for _ in range(3):
        limiter.admit("Ada")
    with pytest.raises(TooManyCalls) as refused:
        limiter.admit("Ada")
    assert refused.value.retry_seconds == 0.5
    clock.forward(seconds=refused.value.retry_seconds)
    limiter.admit("Ada")


def test_idle_streams_of_one_identity_are_bounded() -> None:
    limiter = Limiter(Limits(streams=30, streams_of_one=20), lambda: 0.0, Metrics())
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(limiter.stream("Mallory"))
        for _ in range(10_000):
            with pytest.raises(TooManyCalls), limiter.stream("Mallory"):
                pass
        for _ in range(10):
            stack.enter_context(limiter.stream("Ada"))
        with pytest.raises(Overloaded), limiter.stream("Bob"):
            pass
    with ExitStack() as stack:  # all places are free again
        for _ in range(20):
            stack.enter_context(limiter.stream("Mallory"))
        for _ in range(10):
            stack.enter_context(limiter.stream("Ada"))


def refused_by(metrics: Metrics, limit: str) -> float | None:
    return metrics.registry.get_sample_value("cloudcard_limits_hit_total", {"limit": limit})


def test_calls_under_way_are_bounded_and_their_places_come_back() -> None:
    metrics = Metrics()
    limiter = Limiter(Limits(under_way=2), lambda: 0.0, metrics)
    for _ in range(2):
        with limiter.call(), limiter.call():
            with pytest.raises(Overloaded) as refused, limiter.call():
                pass
            assert refused.value.retry_seconds == limits.STREAM_SECONDS
    with pytest.raises(KeyError), limiter.call():
        raise KeyError
    with limiter.call(), limiter.call():
        pass
    assert refused_by(metrics, "under way") == 2


def test_refused_and_open_streams_are_counted() -> None:
    metrics = Metrics()
    limiter = Limiter(Limits(streams=2, streams_of_one=1), lambda: 0.0, metrics)
    with limiter.stream("Ada"), limiter.stream("Bob"):
        assert metrics.registry.get_sample_value("cloudcard_rpc_streams") == 2
        with pytest.raises(TooManyCalls) as of_one, limiter.stream("Ada"):
            pass
        with pytest.raises(Overloaded) as of_all, limiter.stream("Eve"):
            pass
    assert of_one.value.retry_seconds == of_all.value.retry_seconds == limits.STREAM_SECONDS
    assert metrics.registry.get_sample_value("cloudcard_rpc_streams") == 0
    assert refused_by(metrics, "streams of one") == refused_by(metrics, "streams") == 1


def test_a_stream_that_closes_gives_back_its_own_place_alone() -> None:
    limiter = Limiter(Limits(streams=10, streams_of_one=2), lambda: 0.0, Metrics())
    with limiter.stream("Ada"):
        with limiter.stream("Ada"):
            pass
        with limiter.stream("Ada"), pytest.raises(TooManyCalls), limiter.stream("Ada"):
            pass


def test_a_rate_that_refuses_is_counted() -> None:
    metrics = Metrics()
    limiter = Limiter(with_limits(Limits(), ["card=1/1"]), lambda: 0.0, metrics)
    limiter.admit("card", "1000")
    assert refused_by(metrics, "card") is None
    with pytest.raises(TooManyCalls):
        limiter.admit("card", "1000")
    assert refused_by(metrics, "card") == 1


def test_a_queue_that_has_shut_down_keeps_no_place() -> None:
    workers = Workers(Limits(threads=1, calls=1))
    workers.shutdown()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="shutdown"):
            workers.submit(bool)


def test_guessing_enrolment_tokens_from_one_address() -> None:
    limiter = Limiter(Limits(), lambda: 0.0, Metrics())
    burst = int(Limits().rates["enrolment"].burst)
    for _ in range(burst):
        limiter.admit("enrolment", "ipv4:10.0.0.7")
    with pytest.raises(TooManyCalls):
        limiter.admit("enrolment", "ipv4:10.0.0.7")
    limiter.admit("enrolment", "ipv4:10.0.0.8")


def test_the_queue_of_use_cases_ends() -> None:
    gate = Event()
    with Workers(Limits(threads=2, calls=3)) as workers:
        futures = [workers.submit(gate.wait, 60) for _ in range(5)]
        with pytest.raises(Overloaded):
            workers.submit(gate.wait)
        gate.set()
        assert all(future.result() for future in futures)
        assert workers.submit(gate.wait).result()
        assert workers.submit(dict, [(1, 2)], three=4).result() == {1: 2, "three": 4}


@pytest.mark.parametrize(
    "text", ["", "card", "card=1", "nobody=1/1", "card=0/1", "card=1/0", "begun=0", "message=1/1"]
)
def test_a_limit_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="names are workstation"):
        with_limits(Limits(), [text])


def test_a_limit_that_is_set() -> None:
    assert with_limits(Limits(), ["card=2.5/7"]).rates["card"] == Rate(2.5, 7)


def test_a_limit_that_is_a_number() -> None:
    found = with_limits(Limits(), ["message=2.5", "begun=7", "keep=2", "leavers=3"])
    assert (found.message_seconds, found.begun_of_one, found.keep_days) == (2.5, 7, 2)
    assert found.leavers == 3


@pytest.mark.parametrize("days", ["179", "3651"])
def test_answers_are_kept_for_as_long_as_nobody_is_asked_again(days: str) -> None:
    assert with_limits(Limits(), ["survey=180"]).survey_days == 180
    with pytest.raises(InvalidInput, match="keep feedback and answers for 180 to 3650 days"):
        with_limits(Limits(), [f"survey={days}"])


def test_what_is_over_is_kept_for_as_long_as_refusals_count() -> None:
    with pytest.raises(InvalidInput, match=r"keep=1\.9 is too short: keep what is over for 2 days"):
        with_limits(Limits(), ["keep=1.9"])
