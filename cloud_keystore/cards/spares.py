"""Spare keys: key pairs that are made in advance while there is nothing else to do, because to make
an RSA key takes long.

Only software keys are made so. A key in a token would be in the way of whoever looks there for keys
that no card has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from card_os.piv.names import Algorithm
from cloud_keystore.custody.backends.keys import Keys, MadeKey
from cloud_keystore.model.cards import SOFTWARE, Sealed
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.pki import public_keys
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import spare_keys
from cloud_keystore.storage.issuing.spare_keys import SpareKey

KINDS = (Algorithm.RSA_2048, Algorithm.ECC_P256)  # of most cards


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair for a card, under the identifier for which it is sealed."""

    id: str
    made: MadeKey


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
    is_idle: Callable[[], bool] = is_idle

    def new(self, algorithms: Sequence[Algorithm]) -> list[NewKey]:
        """A new key of each algorithm: a spare one, or else one that is made now. A spare key is
        gone once it was taken, also if nobody uses it then. Raises what making raises.
        """
        spare = self._take(algorithms) if self._keeps_spares else [None] * len(algorithms)
        return [
            self._make(algorithm) if key is None else _of_spare(key)
            for algorithm, key in zip(algorithms, spare, strict=True)
        ]

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

    def _take(self, algorithms: Sequence[Algorithm]) -> list[SpareKey | None]:
        with self.database.write() as connection:
            return [spare_keys.take(connection, each) for each in algorithms]

    def _make(self, algorithm: Algorithm) -> NewKey:
        key_id = new_id(self.clock(), self.random)
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
