"""Work that is shared among processors: none is lost, none is done twice, nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from cloud_keystore.custody.backends.sharing import Sharing

SECONDS = 60.0


@pytest.mark.parametrize("processors", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_each_is_done_once(processors: int, count: int) -> None:
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return -item

    found = list(Sharing(processors).each(range(count), work))
    assert sorted(found) == [(each, -each) for each in range(count)]
    assert sorted(done) == list(range(count))


def test_the_caller_and_its_helpers_work_at_once() -> None:
    met = threading.Barrier(3)
    found = dict(Sharing(3).each("abc", lambda _: met.wait(SECONDS)))
    assert sorted(found.values()) == [0, 1, 2]


def test_what_is_shared_can_share_itself() -> None:
    """All helpers are at work, and each waits for what it has shared."""
    sharing = Sharing(3)
    inner = dict(
        sharing.each(range(8), lambda each: sum(n for _, n in sharing.each([each] * 3, abs)))
    )
    assert inner == {each: 3 * each for each in range(8)}


def test_an_error_is_raised_where_the_work_was_shared() -> None:
    def work(item: int) -> int:
        if item == 1:
            raise KeyError(item)
        return item

    with pytest.raises(KeyError):
        list(Sharing(2).each(range(3), work))


def test_what_nobody_has_begun_is_left_after_an_error() -> None:
    """Whoever has hung up wants no more of it."""
    begun: list[int] = []
    found = Sharing(1).each(range(9), begun.append)
    assert next(found) == (0, None)
    found.close()
    with pytest.raises(ZeroDivisionError):
        list(Sharing(1).each((0, 1, 2), lambda each: begun.append(10 + 1 // each)))
    assert begun == [0]
