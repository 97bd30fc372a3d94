"""New keys for cards: spare ones, or some that are made when they are needed.

Spare keys are made in advance while there is nothing else to do, because to make an RSA key takes
long. Only software keys are made so. A key in a token is planned in the database before it is made:
whatever happens then, a card has it, or it is destroyed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from card_os.piv.names import Algorithm
from cloud_keystore.custody.backends.keys import Keys, MadeKey
from cloud_keystore.model.cards import SOFTWARE, Sealed
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import KeyBackendUnavailable, StorageUnavailable
from cloud_keystore.pki import public_keys
from cloud_keystore.storage import cards
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import planned_keys, spare_keys
from cloud_keystore.storage.issuing.planned_keys import PlannedKey
from cloud_keystore.storage.issuing.spare_keys import SpareKey

KINDS = (Algorithm.RSA_2048, Algorithm.ECC_P256)  # of most cards
PLAN_TIME = timedelta(hours=1)  # in which a token makes the keys of a card


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair for a card, under the identifier for which it is sealed."""

    id: str
    made: MadeKey


@dataclass(frozen=True, slots=True)
class Plan:
    """Which keys a card is to get: spare ones, or some that are made then. Those in a token have
    their identifiers already.
    """

    algorithms: Sequence[Algorithm]
    spare: Sequence[SpareKey | None]
    in_token: Sequence[str] = ()


@dataclass(slots=True)
class Fresh:
    """The keys of a plan. Unless they are kept, those in a token are destroyed."""

    plan: Plan
    keys: list[NewKey] = field(default_factory=list)
    kept: bool = False


def is_idle() -> bool:
    """Whether a processor has had nothing to do lately."""
    loads = getattr(os, "getloadavg", None)  # Windows has none
    return loads is None or loads()[0] < (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Spares:
    """Gives out new keys. `size` is how many of each kind are kept."""

    database: Database
    custody: Keys
    clock: Clock
    random: Random
    size: int = 0
    process: int = 0  # the number of this process
    is_idle: Callable[[], bool] = is_idle

    def plan(self, connection: Connection, card_id: str, algorithms: Sequence[Algorithm]) -> Plan:
        """Say in a transaction which keys a card is to get: spare ones, or some that are made then.
        A spare key is gone once it was taken, also if nobody uses it then.
        """
        now = self.clock()
        if self.custody.new != SOFTWARE:
            ids = [new_id(now, self.random) for _ in algorithms]
            end = now + PLAN_TIME
            planned = [PlannedKey(each, card_id, self.process, end) for each in ids]
            planned_keys.add(connection, planned)
            return Plan(tuple(algorithms), (None,) * len(ids), tuple(ids))
        keeps = self._keeps_spares
        return Plan(
            tuple(algorithms),
            [spare_keys.take(connection, each) if keeps else None for each in algorithms],
        )

    @contextmanager
    def made(self, plan: Plan) -> Iterator[Fresh]:
        """The keys of a plan, which are made now if they are no spare ones. What the block does not
        `keep` is destroyed. Raises what making raises.
        """
        fresh = Fresh(plan)
        ids = plan.in_token or [""] * len(plan.algorithms)
        try:
            for algorithm, spare, key_id in zip(plan.algorithms, plan.spare, ids, strict=True):
                fresh.keys.append(
                    self._make(algorithm, key_id) if spare is None else _of_spare(spare)
                )
            yield fresh
        except BaseException:
            fresh.kept = False  # what the transaction of `keep` did was undone
            raise
        finally:
            if plan.in_token and not fresh.kept:
                self._end(fresh)

    @contextmanager
    def new(self, card_id: str, algorithms: Sequence[Algorithm]) -> Iterator[Fresh]:
        """New keys for a card, one of each algorithm, as `plan` and `made` give them."""
        if self.custody.new != SOFTWARE or self._keeps_spares:
            with self.database.write() as connection:
                plan = self.plan(connection, card_id, algorithms)
        else:
            plan = Plan(tuple(algorithms), (None,) * len(algorithms))
        with self.made(plan) as fresh:
            yield fresh

    def keep(self, connection: Connection, fresh: Fresh) -> None:
        """Note in the transaction that gives a card its new keys that it has them. Raises
        KeyBackendUnavailable if that took too long, or another process goes on in its place.
        """
        ids = fresh.plan.in_token
        if ids and not planned_keys.keep(connection, ids, self.clock()):
            raise KeyBackendUnavailable("the keys were made too late: try again")
        fresh.kept = True

    def end_of_card(self, connection: Connection, card_id: str) -> None:
        """Have the keys destroyed that were planned for a card before."""
        planned_keys.end_of_card(connection, card_id, self.clock())

    def _end(self, fresh: Fresh) -> None:
        """Have keys destroyed that no card has."""
        # If this does not succeed, their end comes with that of the plan.
        with suppress(StorageUnavailable, KeyBackendUnavailable):
            with self.database.write() as connection:
                known = planned_keys.end(connection, fresh.plan.in_token, self.clock())
            for new in fresh.keys:
                # The plan ended while the key was made, and nobody looks for it any more.
                if new.id not in known and not self._is_kept(new.id):
                    self.custody.discard(new.made)

    def fill(self) -> bool:
        """Make a spare key if one is missing and there is nothing else to do; returns whether. What
        is not kept any longer is erased. To be called every second.
        """
        if not self._keeps_spares:
            self._erase()
            return False
        if not self.is_idle():
            return False
        with self.database.read() as connection:
            missing = [each for each in KINDS if spare_keys.lacks(connection, each, self.size)]
        if missing:
            self._add(missing[0])
        return bool(missing)

    def _erase(self) -> None:
        with self.database.read() as connection:
            if spare_keys.is_empty(connection):
                return
        with self.database.write() as connection:
            spare_keys.drop_some(connection)

    @property
    def _keeps_spares(self) -> bool:
        return self.size > 0 and self.custody.new == SOFTWARE

    def _is_kept(self, key_id: str) -> bool:
        with self.database.read() as connection:
            return cards.find_key(connection, key_id) is not None

    def _make(self, algorithm: Algorithm, key_id: str = "") -> NewKey:
        key_id = key_id or new_id(self.clock(), self.random)
        return NewKey(key_id, self.custody.make(key_id, algorithm))

    def _add(self, algorithm: Algorithm) -> None:
        new = self._make(algorithm)
        if not isinstance(new.made.private, Sealed):
            raise TypeError("only software keys are spare")
        private = new.made.private.private
        key = SpareKey(new.id, algorithm, new.made.public_der, private, self.clock())
        with self.database.write() as connection:
            spare_keys.add(connection, key)


def _of_spare(key: SpareKey) -> NewKey:
    return NewKey(key.id, MadeKey(public_keys.load(key.public_key), Sealed(key.sealed_private)))
