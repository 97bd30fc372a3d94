"""Groups of calls: what becomes of them when what serves them ends in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest

from cloud_keystore.model.errors import Overloaded, StorageUnavailable
from cloud_keystore.rpc.gathering import Gatherer

Asking: TypeAlias = "asyncio.Future[None]"


def together(error: Exception) -> list[str | BaseException]:
    """What three calls get, of which the last two form a group, whose first is still answered."""

    def run(group: Sequence[str], done: Callable[[int, str | Exception], None]) -> None:
        done(0, group[0])
        if len(group) > 1:
            raise error

    async def call() -> list[str | BaseException]:
        calls = Gatherer[str, str](run, lambda: None)
        return await asyncio.gather(*map(calls.call, "abc"), return_exceptions=True)

    return asyncio.run(call())


def test_those_that_were_not_answered_get_the_reason() -> None:
    """They got an internal error, which no client repeats."""
    first, second, third = together(StorageUnavailable("custody has just ended"))
    assert (first, second) == ("a", "b")
    assert isinstance(third, StorageUnavailable)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_tells_only_its_kind() -> None:
    first, second, third = together(KeyError("135790"))
    assert (first, second) == ("a", "b")
    assert isinstance(third, RuntimeError)
    assert "135790" not in str(third)


def unbegun(count: int) -> list[str | BaseException]:
    """What calls get, one after the other, of which only the last one's group can begin."""
    left = [Overloaded("no thread is free")] * (count - 1)

    def ask(group: Sequence[str], done: Callable[[int, str | Exception], None]) -> Asking:
        if left:
            raise left.pop()
        done(0, group[0])
        asking = asyncio.get_running_loop().create_future()
        asking.set_result(None)
        return asking

    async def call() -> list[str | BaseException]:
        calls = Gatherer[str, str](lambda *_: None, lambda: None, ask)
        async with asyncio.timeout(10):
            return [
                (await asyncio.gather(calls.call(str(each)), return_exceptions=True))[0]
                for each in range(count)
            ]

    return asyncio.run(call())


def test_a_group_that_cannot_begin_keeps_no_other_from_it() -> None:
    """They waited for ever: its place was not given back."""
    first, second, third = unbegun(3)
    assert isinstance(first, Overloaded)
    assert isinstance(second, Overloaded)
    assert third == "2"


def served_beside_gone() -> tuple[list[Sequence[str]], str]:
    """The groups that are served when the callers of the second one have gone away, all but one;
    and what the third one gets.
    """
    groups: list[Sequence[str]] = []

    async def call() -> str:
        endings = [asyncio.get_running_loop().create_future() for _ in range(2)]

        def ask(group: Sequence[str], done: Callable[[int, str | Exception], None]) -> Asking:
            done(0, group[0])
            groups.append(group)
            return endings[len(groups) - 1]

        calls = Gatherer[str, str](lambda *_: None, lambda: None, ask)
        async with asyncio.timeout(10):
            await calls.call("a")
            waiting = [asyncio.create_task(calls.call(each)) for each in "bcd"]
            await asyncio.sleep(0)
            for each in waiting[:2]:
                each.cancel()
            await asyncio.sleep(0)
            for each in endings:
                each.set_result(None)
            return await waiting[2]

    last = asyncio.run(call())
    return groups, last


def test_nothing_is_done_for_who_has_gone_away() -> None:
    """Their uses were spent when it was their turn, as if somebody waited."""
    groups, last = served_beside_gone()
    assert last == "d"
    assert groups == [("a",), ("d",)]
