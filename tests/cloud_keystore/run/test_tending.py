"""Connections are looked at as soon as many are made, and for as long as that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_keystore.config import Settings
from cloud_keystore.model.limits import Limits
from cloud_keystore.rpc.connections.connections import Connections, Removed
from cloud_keystore.run import tending
from cloud_keystore.run.tending import Tending
from cloud_keystore.storage.engine import Database

PATIENCE = 10.0  # seconds, within which something happens that happens at once
MOMENT = 0.3


@dataclass
class Attacked(Connections):
    """Connections of which more and more have to end, as told."""

    many: bool = False
    to_end: list[int] = field(default_factory=list)
    looks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def have_grown(self) -> bool:
        return self.many

    def tend(self, main: int, others: Collection[int], removed: Removed) -> int:
        assert (main, list(others)) == (7443, [7444])
        assert not list(removed(set()))
        self.many = False
        self.loop.call_soon_threadsafe(self.looks.release)
        return self.to_end.pop() if self.to_end else 0

    async def are_looked_at(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.looks.acquire(), seconds)
        except TimeoutError:
            return False
        return True


def test_connections_beyond_a_limit_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stayed for two to ten seconds, and a stranger made so many meanwhile that nobody else
    got in.
    """
    monkeypatch.setattr(tending, "TEND_SECONDS", 3600.0)
    monkeypatch.setattr(tending, "HURRY_SECONDS", 0.01)

    async def attack() -> None:
        attacked = Attacked(Limits(), lambda: 0.0)
        monkeypatch.setattr(Tending, "_removed", lambda *_: ())
        looking = Tending(Database("sqlite://"), Settings(Path()), attacked)
        task = asyncio.create_task(looking.keep_tending())
        assert not await attacked.are_looked_at(MOMENT)
        attacked.to_end[:] = [3, 50]
        attacked.many = True
        for _ in range(3):  # again, until there is nothing to end
            assert await attacked.are_looked_at(PATIENCE)
        assert not await attacked.are_looked_at(MOMENT)
        task.cancel()

    asyncio.run(attack())
