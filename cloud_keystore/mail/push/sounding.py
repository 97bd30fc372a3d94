"""Sends what rings are due, as long as the process runs: several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from cloud_keystore.mail.delivering import LOOK_SECONDS, UNTRIED, until_told
from cloud_keystore.mail.push.rings import Ring
from cloud_keystore.mail.sending import Tried
from cloud_keystore.mail.webhooks.calling import GONE, Calling
from cloud_keystore.model.outbox.notifications import Outcome

log = structlog.get_logger()

NO_LONGER = frozenset({404, GONE})  # the browser has another address, or none (RFC 8030, 7.3)
TAKEN = range(200, 300)
TOPIC = "waiting"  # a ring that is not delivered yet gives way to the next (RFC 8030, 5.4)


class Outbox(Protocol):
    """Where rings come from: see Rings."""

    def take(self) -> Sequence[Ring]:
        """What is for this process alone to send."""

    def tell(self, device_id: str, tries: int, outcome: Outcome, why: str) -> None:
        """Take what became of one."""


@dataclass(frozen=True, slots=True)
class Sounding:
    """Takes rings from an outbox to push services."""

    outbox: Outbox
    calling: Calling

    async def keep_sounding(self, stop: asyncio.Event) -> None:
        """Ring until told to stop. What is on its way is finished first; the rest goes back."""
        while not stop.is_set():
            sent = 0
            try:
                sent = await self.sound(stop)
            # Custody can be starting again; whoever takes it next has what is due.
            except Exception:
                log.exception("devices were not rung")
            if not sent:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def sound(self, stop: asyncio.Event) -> int:
        """Ring what is due, or a portion of it; return how much that was."""
        found = await asyncio.to_thread(self.outbox.take)
        await asyncio.gather(*(self._sound(each, stop) for each in found))
        return len(found)

    async def _sound(self, ring: Ring, stop: asyncio.Event) -> None:
        tried = UNTRIED if stop.is_set() else await self._sent(ring)
        log.info("a device was rung", id=ring.device_id, outcome=tried.outcome)
        told = (ring.device_id, ring.tries, tried.outcome, tried.why)
        await until_told(partial(self.outbox.tell, *told))

    async def _sent(self, ring: Ring) -> Tried:
        fields = {
            "Authorization": ring.authorization,
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(ring.seconds),
            "Urgency": "high",
            "Topic": TOPIC,
        }
        answer = await self.calling.post(ring.endpoint, fields, ring.body)
        if isinstance(answer, Tried):
            return answer
        if answer in TAKEN:
            return Tried(Outcome.TAKEN)
        outcome = Outcome.REFUSED if answer in NO_LONGER else Outcome.LATER
        return Tried(outcome, f"the answer was {answer}")
