"""Whose a ticket is: one way to ask for it, whoever answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from cloud_keystore.est.running import bring, keep_running
from cloud_keystore.est.spine.sources import AGAIN, NotTold, Source
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.spine.tickets import TicketAnswer, TicketErrand, Verdict, checked

log = structlog.get_logger()

UNTRIED = TicketAnswer(Verdict.UNTRIED)


class Tickets(Protocol):
    """Where tickets come from: see cards.spine.tickets."""

    def take(self) -> Sequence[TicketErrand]:
        """Tickets to ask for, for this process alone."""

    def tell(self, check_id: str, tries: int, answer: TicketAnswer) -> None:
        """Take what came of one."""


@dataclass(frozen=True, slots=True)
class Checking:
    """Checks tickets. Nothing is kept, so that a broker which does not answer is never stood in
    for.
    """

    source: Source

    async def check(self, ticket: str) -> TicketAnswer:
        """Whose a ticket is; nothing is raised for what a broker does."""
        try:
            found = await self.source.identify(checked(ticket))
        except InvalidInput as error:
            return TicketAnswer(Verdict.REFUSED, None, str(error), AGAIN)
        except NotTold as error:
            return TicketAnswer(error.verdict, None, str(error), error.fix)
        return TicketAnswer(Verdict.VALID, found)


@dataclass(frozen=True, slots=True)
class Errands:
    """Asks for tickets, portion by portion, as long as the process runs."""

    tickets: Tickets
    checking: Checking

    async def keep_asking(self, stop: asyncio.Event) -> None:
        """Ask until told to stop. A question under way is finished first; the others go back."""
        await keep_running(lambda: self.ask(stop), stop)

    async def ask(self, stop: asyncio.Event) -> int:
        """Ask for a portion of tickets; return how many there were."""
        errands = await asyncio.to_thread(self.tickets.take)
        for each in errands:
            answer = UNTRIED if stop.is_set() else await self.checking.check(each.ticket)
            log.info("a broker was asked", check=each.check_id, verdict=answer.verdict)
            await bring(partial(self.tickets.tell, each.check_id, each.tries, answer))
        return len(errands)
