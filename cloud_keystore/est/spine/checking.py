"""Whose a ticket is: one way to ask for it, whoever answers."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.est.spine.sources import AGAIN, NotTold, Source
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.spine.tickets import TicketAnswer, Verdict
from cloud_keystore.model.spine.tickets import ticket as checked


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
