"""Requests that API clients repeat get the answer of the first time, and are not done twice."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from cloud_keystore.audit import acting
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import RequestIdReused, RequestUnderWay, TooManyCalls
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.repeats import KEPT, MOST_KEPT, UNDER_WAY, Repeatable
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.past import repeats

PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Repeats:
    """Remembers requests by the key that their client gave them, and their answers, which nobody
    but the client can open.
    """

    database: Database
    clock: Clock
    random: Random

    def begin(self, key_sha256: bytes, request_mac: bytes, client: Identity) -> bytes | None:
        """The answer to a request that is repeated; None for one that has begun now. Raises
        RequestIdReused if the key was another request's, RequestUnderWay, TooManyCalls.
        """
        now = self.clock()
        with acting.changing(self.database, client.actor, now) as by:
            connection = by.connection
            known = repeats.find(connection, client.id, key_sha256)
            if known is not None and now < known.begin_time + KEPT:
                if not compare_digest(known.request_mac, request_mac):
                    raise RequestIdReused(
                        "Idempotency-Key was used for another request: make another key"
                    )
                if known.answer is not None:
                    return known.answer
                if now < known.begin_time + UNDER_WAY:
                    raise RequestUnderWay("the same request is under way: ask again")
            if known is not None:
                repeats.remove(connection, known)
            if repeats.are_more(connection, client.id, now - KEPT, MOST_KEPT):
                raise TooManyCalls(
                    f"{MOST_KEPT} requests of a day have an Idempotency-Key: leave it out, or wait",
                    PAUSE_SECONDS,
                )
            own = new_id(now, self.random)
            repeats.add(connection, Repeatable(own, client.id, key_sha256, request_mac, now))
        return None

    def settle(self, key_sha256: bytes, answer: bytes | None, client: Identity) -> None:
        """Keep the answer to a request that has begun; None: it can be made anew."""
        with acting.changing(self.database, client.actor, self.clock()) as by:
            begun = repeats.find(by.connection, client.id, key_sha256)
            if begun is None or begun.answer is not None:
                return
            if answer is None:
                repeats.remove(by.connection, begun)
            else:
                repeats.answer(by.connection, begun, answer)
