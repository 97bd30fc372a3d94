"""Wake-ups within a process: who is woken, because of what, and what is left afterwards."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import Stopping
from cloud_keystore.notify import wakeups as module
from cloud_keystore.notify.wakeups import Wakeups
from support.stream_lines import Clock, in_a_loop, until

SECONDS = 60.0


def new() -> Wakeups:
    return Wakeups(asyncio.get_running_loop())


@in_a_loop
async def test_one_waiter_learns_which_of_its_topics_have_changed() -> None:
    wakeups = new()
    with wakeups.subscribe("a", "b") as many, wakeups.subscribe("b") as one:
        many.add("c")
        wakeups.wake_here(["a", "c", "d"])
        await many.wait(SECONDS)
        assert (many.woken, one.woken) == ({"a", "c"}, set())
        wakeups.wake_here(["b"])
        await one.wait(SECONDS)
        await many.wait(SECONDS)
        assert many.woken == {"a", "b", "c"}  # until somebody takes them out


@in_a_loop
async def test_what_is_discarded_wakes_no_more() -> None:
    wakeups = new()
    with wakeups.subscribe("a", "b") as many, wakeups.subscribe("a") as one:
        wakeups.wake_here(["a"])
        many.discard("a")
        many.discard("never added")
        assert many.woken == set()
        wakeups.wake_here(["a"])
        assert (many.woken, one.woken) == (set(), {"a"})
    assert wakeups.listening == {}


@in_a_loop
async def test_who_has_waited_long_enough_goes_on_without_a_topic() -> None:
    with new().subscribe("a") as waiting:
        await waiting.wait(0.001)
        assert waiting.woken == set()


@in_a_loop
async def test_all_are_woken_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As fast as if each topic had a waiter of its own."""
    monkeypatch.setattr(module, "WOKEN_PER_SECOND", 0.001)
    wakeups, clock = new(), Clock()
    with (
        wakeups.subscribe(*map(str, range(10))) as first,
        wakeups.subscribe(*map(str, range(5, 15))) as second,
        wakeups.subscribe("last") as last,
    ):
        wakeups.wake_all()
        await until(lambda: first.woken == first.topics)
        assert second.woken == set()
        clock.ahead += 10_000
        await until(lambda: second.woken == second.topics)
        assert last.woken == set()
        clock.ahead += 10_000
        await until(lambda: last.woken == {"last"})


@in_a_loop
async def test_all_waits_end_when_the_process_stops() -> None:
    wakeups = new()
    with wakeups.subscribe("a") as waiting, wakeups.subscribe() as without_topics:
        wakeups.close()
        for each in (waiting, without_topics):
            with pytest.raises(Stopping):
                await each.wait(SECONDS)


@given(
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from("abc")), max_size=40)
)
def test_the_table_has_who_waits_and_nobody_else(moves: list[tuple[bool, int, str]]) -> None:
    async def run() -> None:
        wakeups = new()
        with wakeups.subscribe() as a, wakeups.subscribe() as b, wakeups.subscribe() as c:
            model: dict[str, set[int]] = {}
            for adds, who, topic in moves:
                each = (a, b, c)[who]
                if adds:
                    each.add(topic)
                    model.setdefault(topic, set()).add(who)
                else:
                    each.discard(topic)
                    model.get(topic, set()).discard(who)
            listening = {
                topic: {(a, b, c).index(each) for each in some}
                for topic, some in wakeups.listening.items()
            }
            assert listening == {topic: some for topic, some in model.items() if some}
            assert all(len(some) == len(set(some)) for some in wakeups.listening.values())
        assert wakeups.listening == {}

    asyncio.run(run())
