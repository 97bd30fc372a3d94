"""Runs errands portion by portion, as long as the process runs, and brings back their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from cloud_keystore.model.errors import StorageUnavailable

log = structlog.get_logger()

LOOK_SECONDS = 1.0
MOST_TELLS = 30  # custody can be starting again


async def keep_running(portion: Callable[[], Awaitable[int]], stop: asyncio.Event) -> None:
    """Run portions until told to stop, and wait a moment after one that had no errands. What one
    raises is logged.
    """
    while not stop.is_set():
        done = 0
        try:
            done = await portion()
        # Custody can be starting again; whoever takes them next has the errands.
        except Exception:
            log.exception("errands were not run")
        if not done:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)


async def bring(tell: Callable[[], None]) -> None:
    """Bring an answer. It is waited for: what is not known there is asked once more. Raises
    StorageUnavailable after half a minute.
    """
    for left in reversed(range(MOST_TELLS)):
        try:
            await asyncio.to_thread(tell)
        except StorageUnavailable:
            if not left:
                raise
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return
