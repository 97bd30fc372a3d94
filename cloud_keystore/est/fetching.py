"""Runs errands to authorities, portion by portion, as long as the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from cloud_keystore.est.running import bring, keep_running
from cloud_keystore.model.pki.est import Answer, Errand, Said

log = structlog.get_logger()

UNTRIED = Answer(Said.UNTRIED)


class Errands(Protocol):
    """Where errands come from: see cards.external.errands."""

    def take(self) -> Sequence[Errand]:
        """Errands for this process alone."""

    def tell(self, key_id: str, tries: int, answer: Answer) -> None:
        """Take what came of one."""


class Asker(Protocol):
    """Who asks authorities: see est.client and est.issuance."""

    def forget(self) -> None:
        """Forget what servers have said of themselves."""

    async def ask(self, errand: Errand) -> Answer:
        """Ask for a certificate; nothing is raised for what a server does."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """Takes errands to authorities, and answers back."""

    errands: Errands
    client: Asker

    async def keep_fetching(self, stop: asyncio.Event) -> None:
        """Run errands until told to stop. One under way is finished first; the others go back."""
        await keep_running(lambda: self.fetch(stop), stop)

    async def fetch(self, stop: asyncio.Event) -> int:
        """Run a portion of errands; return how many there were."""
        errands = await asyncio.to_thread(self.errands.take)
        self.client.forget()
        for each in errands:
            answer = UNTRIED if stop.is_set() else await self.client.ask(each)
            log.info("an authority was asked", key=each.key_id, said=answer.said)
            await bring(partial(self.errands.tell, each.key_id, each.tries, answer))
        return len(errands)
