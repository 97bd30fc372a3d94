"""Streams of pages: news come at once, however many pages look whether there are any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from threading import Event
from typing import cast

import pytest

from cloud_keystore.model.people import Identity, User
from cloud_keystore.notify.wakeups import Subscription, Wakeups
from cloud_keystore.operations.ringing import Ringing
from cloud_keystore.web import streams
from cloud_keystore.web.standing import CAPABLE
from cloud_keystore.web.streams import BEAT, Streams, Watch
from support.keystore_world import Enrolled

SECONDS = 60


@dataclass
class Slow:
    """Finds nothing that waits; the look of one page takes as long as the test wants."""

    slow: str
    begun: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)
    looked: list[str] = field(default_factory=list)

    def waiting(self, device: Identity, *, sign_ins: bool, documents: bool) -> list[object]:
        assert sign_ins
        assert documents
        self.looked.append(device.id)
        if device.id == self.slow:
            self.begun.set()
            assert self.go_on.wait(SECONDS)
        return []


async def beat(told: AsyncIterator[list[bytes]]) -> list[bytes]:
    return await asyncio.wait_for(anext(told), SECONDS)


def test_news_do_not_wait_for_pages_that_nothing_has_woken(
    ada: tuple[User, Enrolled], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of pages look each minute, one after the other; whoever is woken looks at once."""
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.001)
    phone = ada[1].identity
    slow, quick = (replace(phone, id=each, user_id=each) for each in ("slow", "quick"))
    looks = Slow(slow.id)

    async def pages() -> None:
        wakeups = Wakeups(asyncio.get_running_loop())
        places = (lambda _: nullcontext(), asyncio.Semaphore(8), asyncio.Semaphore(1))
        served = Streams(cast(Ringing, looks), None, None, wakeups, *places)

        def told(device: Identity, subscription: Subscription) -> AsyncIterator[list[bytes]]:
            gone = asyncio.get_running_loop().create_future()
            return Watch(served, device, CAPABLE).further(
                subscription, cast("asyncio.Task[None]", gone)
            )

        with wakeups.subscribe(slow.id) as of_slow, wakeups.subscribe(quick.id) as of_quick:
            waiting, woken = told(slow, of_slow), told(quick, of_quick)
            first = [await beat(waiting) for _ in range(streams.LOOK_BEATS - 1)]
            assert first == [[BEAT]] * len(first)
            looking = asyncio.ensure_future(beat(waiting))
            assert await asyncio.to_thread(looks.begun.wait, SECONDS)
            beats = [await beat(woken) for _ in range(3 * streams.LOOK_BEATS)]
            assert beats == [[BEAT]] * len(beats)
            assert looks.looked == [slow.id]
            wakeups.wake_here([quick.id])
            assert await beat(woken) == []
            assert looks.looked == [slow.id, quick.id]
            looks.go_on.set()
            assert await looking == []
            assert [await beat(woken), looks.looked[2:]] == [[], [quick.id]]

    asyncio.run(pages())
