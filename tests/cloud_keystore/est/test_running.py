"""Errands are run as long as the process runs, whatever custody does meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from cloud_keystore.est import running
from cloud_keystore.model.errors import StorageUnavailable


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.001)


def test_portions_go_on_after_one_that_failed_until_it_is_told_to_stop() -> None:
    ran: list[int] = []

    async def run() -> None:
        stop = asyncio.Event()

        async def portion() -> int:
            ran.append(len(ran))
            if len(ran) == 2:
                raise StorageUnavailable("custody has just ended")
            if len(ran) == 4:
                stop.set()
            return 0

        await asyncio.wait_for(running.keep_running(portion, stop), 30)

    asyncio.run(run())
    assert ran == [0, 1, 2, 3]


@pytest.mark.parametrize("missing", [0, 1, running.MOST_TELLS - 1, running.MOST_TELLS])
def test_an_answer_is_brought_when_custody_is_back(missing: int) -> None:
    tried: list[None] = []

    def tell() -> None:
        tried.append(None)
        if len(tried) <= missing:
            raise StorageUnavailable("custody has just ended")

    if missing == running.MOST_TELLS:
        with pytest.raises(StorageUnavailable):
            asyncio.run(running.bring(tell))
    else:
        asyncio.run(running.bring(tell))
    assert len(tried) == min(missing + 1, running.MOST_TELLS)
