"""The Python load client hands each answer of a stream to the call that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from unittest.mock import MagicMock

from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.bench.signing.caller import Place


class Hasty:
    """A stream that has answered before the write of the question returns."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[pb.UseSessionsResponse] = asyncio.Queue()

    async def write(self, asked: pb.UseSessionsRequest) -> None:
        used = pb.UseSessionResponse(results=[b"signed"])
        await self.answers.put(pb.UseSessionsResponse(number=asked.number, used=used))
        await asyncio.sleep(0.01)

    async def __aiter__(self) -> AsyncIterator[pb.UseSessionsResponse]:
        while True:
            yield await self.answers.get()


def test_an_answer_that_comes_before_the_write_returns_is_not_lost() -> None:
    """The run ended with a KeyError, once in many on a busy machine."""

    async def use() -> pb.UseSessionResponse:
        place = Place(MagicMock())
        place.stub = cast("Any", type("Stub", (), {"UseSessions": lambda _self: Hasty()})())
        place.open_stream()
        return await asyncio.wait_for(place.stream(pb.UseSessionRequest()), 5)

    assert list(asyncio.run(use()).results) == [b"signed"]
