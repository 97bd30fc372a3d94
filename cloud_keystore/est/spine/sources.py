"""Who says whose a ticket is: a broker over HTTPS, or a simulator within the process. A keystore
has one of them, and no other way if that fails.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode

import h11

from cloud_keystore.est import exchange
from cloud_keystore.est.exchange import NoAnswer, TooLarge
from cloud_keystore.est.spine.reading import MOST_BYTES, ClockOff, Unclear, identity
from cloud_keystore.model.spine.tickets import SpineIdentity, Verdict

ASSERTION = "/saml/RoleAssertion"
SECONDS = 20.0  # for all of a question
REFUSALS = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
AGAIN = "log in again"
LOOK = "look whether the broker runs, and whether the network lets the keystore there"
ODD = "look at the broker, or whether its address is the right one"


class NotTold(Exception):
    """Nobody says whose a ticket is; the text says why, `fix` what to do. They have nothing that a
    broker has written.
    """

    def __init__(self, verdict: Verdict, why: str, fix: str) -> None:
        super().__init__(why)
        self.verdict, self.fix = verdict, fix


class Source(Protocol):
    """Says whose a ticket is."""

    async def identify(self, ticket: str) -> SpineIdentity:
        """Raises NotTold unless that is certain, and now."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """The simulator within the process: knows some tickets, for development and tests."""

    known: Mapping[str, SpineIdentity]

    async def identify(self, ticket: str) -> SpineIdentity:
        """Whose a ticket is; raises NotTold."""
        found = self.known.get(ticket)
        if found is None:
            raise NotTold(Verdict.REFUSED, "the simulator knows no such ticket", AGAIN)
        return found


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker at a host and port. Nothing is followed, and no proxy asked."""

    place: tuple[str, int]
    path: str  # before that of the broker's own; empty as a rule
    tls: ssl.SSLContext
    seconds: float = SECONDS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def identify(self, ticket: str) -> SpineIdentity:
        """Whose a ticket is; raises NotTold."""
        target = f"{self.path}{ASSERTION}?{urlencode({'token': ticket})}"
        reply = await self._reply(target)
        if reply.status in REFUSALS:
            why = "the broker does not vouch for the ticket: it is unknown, has ended, or its card "
            raise NotTold(Verdict.REFUSED, f"{why}is revoked", AGAIN)
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise NotTold(Verdict.UNREACHABLE, f"the broker is down ({reply.status})", LOOK)
        if reply.status != HTTPStatus.OK:
            why = f"the broker answers {reply.status}, which is not followed"
            raise NotTold(Verdict.UNCLEAR, why, ODD)
        try:
            return identity(reply.body, self.now())
        except ClockOff as error:
            why = f"the broker's answer does not count now: {error}"
            raise NotTold(Verdict.CLOCK_OFF, why, "set the clock that is wrong") from None
        except Unclear as error:
            why = f"the broker's answer cannot be used: {error}"
            raise NotTold(Verdict.UNCLEAR, why, ODD) from None

    async def _reply(self, target: str) -> exchange.Reply:
        where = f"{self.place[0]}:{self.place[1]}"
        try:
            async with asyncio.timeout(self.seconds):
                return await exchange.ask(self.place, self.tls, target, [], None, MOST_BYTES)
        except TimeoutError:
            why = f"{where} does not answer within {self.seconds:.0f} seconds"
        except ssl.SSLCertVerificationError:
            why = f"the certificate of {where} is not one by which the broker is to be known"
        except ssl.SSLError:
            why = f"no TLS with {where}"
        except OSError as error:
            why = f"{where} is not reached ({type(error).__name__})"
        except NoAnswer:
            why = f"{where} ends the connection without an answer"
        except h11.ProtocolError:
            why = f"{where} does not speak HTTP"
        except TooLarge:
            raise NotTold(Verdict.UNCLEAR, "the broker's answer is too large", ODD) from None
        raise NotTold(Verdict.UNREACHABLE, why, LOOK)
