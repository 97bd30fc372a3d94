"""Fetches revocation lists of external authorities over HTTP. They are signed, so nothing else is
asked of whoever has them; but nobody is followed, and nobody called who is not allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Protocol

import h11
import structlog

from cloud_keystore.est import exchange
from cloud_keystore.est.client import Wrong
from cloud_keystore.est.exchange import NoAnswer, TooLarge
from cloud_keystore.est.running import bring, keep_running
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.lists import (
    LARGEST_FETCHED,
    Fetched,
    ListAnswer,
    ListErrand,
    place,
)

log = structlog.get_logger()

FETCH_SECONDS = 30.0  # for all of it
UNTRIED = ListAnswer(Fetched.UNTRIED)
LOOK = "look at what the authority publishes there, or name another place: cloudcard ra ca crl"


class ListErrands(Protocol):
    """Where errands come from: see cards.external.list_errands."""

    def take(self) -> Sequence[ListErrand]:
        """Errands for this process alone."""

    def tell(self, authority_id: str, tries: int, answer: ListAnswer) -> None:
        """Take what came of one."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Fetches lists, as long as the process runs; `hosts` are those that this keystore may call,
    with their ports.
    """

    errands: ListErrands
    hosts: Collection[tuple[str, int]]
    seconds: float = FETCH_SECONDS

    async def keep_fetching(self, stop: asyncio.Event) -> None:
        """Run errands until told to stop. One under way is finished first; the others go back."""
        await keep_running(lambda: self.fetch(stop), stop)

    async def fetch(self, stop: asyncio.Event) -> int:
        """Run a portion of errands; return how many there were."""
        errands = await asyncio.to_thread(self.errands.take)
        for each in errands:
            answer = UNTRIED if stop.is_set() else await self.get(each)
            log.info("a revocation list was fetched", got=answer.fetched)
            await bring(partial(self.errands.tell, each.authority_id, each.tries, answer))
        return len(errands)

    async def get(self, errand: ListErrand) -> ListAnswer:
        """Fetch a list; nothing is raised for what a place does."""
        try:
            return ListAnswer(Fetched.HERE, await self._document(errand))
        except Wrong as wrong:
            return ListAnswer(Fetched.WRONG, why=str(wrong), fix=wrong.fix)

    async def _document(self, errand: ListErrand) -> bytes:
        try:
            host, port, target = place(errand.url)
        except InvalidInput as error:
            raise Wrong(str(error), LOOK) from None
        if (host, port) not in self.hosts:
            raise Wrong(
                f"this keystore may not call {host}:{port}",
                f"have it started with --ca-host {host}:{port}",
            )
        with _understood(f"{host}:{port}", self.seconds):
            async with asyncio.timeout(self.seconds):
                reply = await exchange.ask(
                    (host, port), None, target, [("Accept", "*/*")], None, LARGEST_FETCHED
                )
        if reply.status != HTTPStatus.OK:
            raise Wrong(f"there is no revocation list: the answer is {reply.status}", LOOK)
        return reply.body


@contextmanager
def _understood(where: str, seconds: float) -> Iterator[None]:
    """Say what is wrong in words, without what the other side has sent."""
    try:
        yield
    except TimeoutError:
        raise Wrong(f"{where} does not answer within {seconds:.0f} seconds", LOOK) from None
    except OSError as error:
        raise Wrong(
            f"{where} is not reached ({type(error).__name__})",
            "look whether it runs, and whether the network lets the keystore there",
        ) from None
    except (NoAnswer, h11.ProtocolError):
        raise Wrong(f"{where} gives no answer of HTTP", LOOK) from None
    except TooLarge:
        raise Wrong(f"the revocation list has more than {LARGEST_FETCHED} bytes", LOOK) from None
