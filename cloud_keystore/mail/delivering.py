"""Sends what is in the outbox, portion by portion, as long as the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from cloud_keystore.mail.letters import Letter
from cloud_keystore.mail.sending import Sender, Tried
from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.model.outbox.notifications import Outcome

log = structlog.get_logger()

LOOK_SECONDS = 1.0
MOST_TELLS = 30  # custody can be starting again
UNTRIED = Tried(Outcome.UNTRIED)


class Outbox(Protocol):
    """Where letters come from: see Posting."""

    def take(self) -> Sequence[Letter]:
        """Letters for this process alone."""

    def tell(self, notification_id: str, tries: int, outcome: Outcome, why: str) -> None:
        """Take what became of one."""


@dataclass(frozen=True, slots=True)
class Delivering:
    """Takes letters from an outbox to a sender."""

    outbox: Outbox
    sender: Sender

    async def keep_delivering(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop. A letter that is on its way is finished first; the others of
        its portion go back.
        """
        while not stop.is_set():
            sent = 0
            try:
                sent = await self.deliver(stop)
            # Custody can be starting again; whoever takes them next has the letters.
            except Exception:
                log.exception("e-mail was not delivered")
            if not sent:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def deliver(self, stop: asyncio.Event) -> int:
        """Deliver one portion; return how many letters it had."""
        letters = await asyncio.to_thread(self.outbox.take)
        try:
            for letter in letters:
                tried = UNTRIED if stop.is_set() else await self.sender.send(letter)
                log.info("an e-mail was tried", id=letter.notification_id, outcome=tried.outcome)
                await self._tell(letter, tried)
        finally:
            await self.sender.end_portion()
        return len(letters)

    async def _tell(self, letter: Letter, tried: Tried) -> None:
        """Let the outbox know. It is waited for: what it does not know, it sends once more."""
        told = (letter.notification_id, letter.tries, tried.outcome, tried.why)
        await until_told(partial(self.outbox.tell, *told))


async def until_told(tell: Callable[[], None]) -> None:
    """Tell an outbox something, again and again while it cannot be told."""
    for left in reversed(range(MOST_TELLS)):
        try:
            await asyncio.to_thread(tell)
        except StorageUnavailable:
            if not left:
                raise
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return
