"""Tells webhooks what is due, as long as the process runs: several at a time, each one thing after
another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Protocol

import structlog

from cloud_keystore.mail.delivering import LOOK_SECONDS, UNTRIED, until_told
from cloud_keystore.mail.sending import Tried
from cloud_keystore.mail.webhooks.signing import Signed
from cloud_keystore.model.outbox.notifications import Outcome

log = structlog.get_logger()


class Outbox(Protocol):
    """Where what is told comes from: see Signing."""

    def take(self) -> Sequence[Signed]:
        """What is for this process alone to send."""

    def tell(self, delivery_id: str, tries: int, outcome: Outcome, why: str) -> None:
        """Take what became of one."""


class Caller(Protocol):
    """Calls webhooks: see Calling."""

    async def call(self, signed: Signed) -> Tried:
        """Try to tell a webhook something."""


@dataclass(frozen=True, slots=True)
class Informing:
    """Takes what webhooks are told from an outbox to them."""

    outbox: Outbox
    caller: Caller

    async def keep_informing(self, stop: asyncio.Event) -> None:
        """Inform until told to stop. What is on its way is finished first; the rest goes back."""
        while not stop.is_set():
            sent = 0
            try:
                sent = await self.inform(stop)
            # Custody can be starting again; whoever takes it next has what is due.
            except Exception:
                log.exception("webhooks were not told")
            if not sent:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def inform(self, stop: asyncio.Event) -> int:
        """Tell what is due, or a portion of it; return how much that was."""
        found = await asyncio.to_thread(self.outbox.take)
        by_webhook = attrgetter("webhook_id")
        groups = groupby(sorted(found, key=by_webhook), by_webhook)
        await asyncio.gather(*(self._inform(list(some), stop) for _, some in groups))
        return len(found)

    async def _inform(self, some: Sequence[Signed], stop: asyncio.Event) -> None:
        """Tell one webhook some things. After one that was not taken, the others wait."""
        fails = False
        for each in some:
            tried = UNTRIED if fails or stop.is_set() else await self.caller.call(each)
            fails = fails or tried.outcome is not Outcome.TAKEN
            log.info("a webhook was told", id=each.delivery_id, outcome=tried.outcome)
            told = (each.delivery_id, each.tries, tried.outcome, tried.why)
            await until_told(partial(self.outbox.tell, *told))
