"""Runs errands to authorities, portion by portion, as long as the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from cloud_keystore.est.client import Client
from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.model.pki.est import Answer, Errand, Said

log = structlog.get_logger()

LOOK_SECONDS = 1.0
MOST_TELLS = 30  # custody can be starting again
UNTRIED = Answer(Said.UNTRIED)


class Errands(Protocol):
    """Where errands come from: see cards.external.errands."""

    def take(self) -> Sequence[Errand]:
        """Errands for this process alone."""

    def tell(self, key_id: str, tries: int, answer: Answer) -> None:
        """Take what came of one."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """Takes errands to authorities, and answers back."""

    errands: Errands
    client: Client

    async def keep_fetching(self, stop: asyncio.Event) -> None:
        """Run errands until told to stop. One under way is finished first; the others go back."""
        while not stop.is_set():
            done = 0
            try:
                done = await self.fetch(stop)
            # Custody can be starting again; whoever takes them next has the errands.
            except Exception:
                log.exception("authorities were not asked")
            if not done:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def fetch(self, stop: asyncio.Event) -> int:
        """Run a portion of errands; return how many there were."""
        errands = await asyncio.to_thread(self.errands.take)
        self.client.forget()
        for each in errands:
            answer = UNTRIED if stop.is_set() else await self.client.ask(each)
            log.info("an authority was asked", key=each.key_id, said=answer.said)
            await self._tell(each, answer)
        return len(errands)

    async def _tell(self, errand: Errand, answer: Answer) -> None:
        """Bring an answer. It is waited for: what is not known there is asked once more."""
        for left in reversed(range(MOST_TELLS)):
            try:
                await asyncio.to_thread(self.errands.tell, errand.key_id, errand.tries, answer)
            except StorageUnavailable:
                if not left:
                    raise
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return
