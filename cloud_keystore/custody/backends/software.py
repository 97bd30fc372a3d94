"""The backend of software keys: sealed in the database, open in memory for a short time."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from cloud_keystore.custody.backends import arithmetic
from cloud_keystore.custody.backends.making import MadeKey, key_context, make_key
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.model.algorithms import Algorithm, KeyUse
from cloud_keystore.model.cards import HeldKey, Sealed
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import KeyNotFound

MOST_OPEN = 1024
OPEN_SECONDS = 300.0


@dataclass(slots=True)
class _Entry:
    sealed: bytes = field(repr=False)
    key: arithmetic.OpenKey = field(repr=False)
    since: float


class SoftwareKeys:
    """Software keys. Opening one costs more than using it, so the latest stay open for a while.

    An open key is used only for the very sealed bytes that it came from: whatever is changed in the
    database is seen at once.
    """

    def __init__(
        self, seal: Seal, random: Random, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seal = seal
        self._random = random
        self._monotonic = monotonic
        self._open: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()
        self._processors = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._processors, thread_name_prefix="keys")

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair, sealed under its identifier."""
        return make_key(key_id, algorithm, self._seal)

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key once on each input, on all processors where there are several."""
        opened = self._opened(key)
        use = partial(arithmetic.use_open, opened, key_use, random=self._random)
        if len(inputs) == 1:
            return [use(inputs[0])]
        # One part for each processor, as handing over each input costs as much as some signatures.
        parts = [inputs[start :: self._processors] for start in range(self._processors)]
        made = list(self._threads.map(lambda part: [use(each) for each in part], parts))
        return [made[at % self._processors][at // self._processors] for at in range(len(inputs))]

    def destroy(self, key: HeldKey) -> None:
        """Forget an open key; its sealed bytes are erased in the database."""
        with self._lock:
            self._open.pop(key.id, None)

    def _opened(self, key: HeldKey) -> arithmetic.OpenKey:
        if not isinstance(key.private, Sealed):
            raise KeyNotFound("the key is not in the database")
        sealed, now = key.private.private, self._monotonic()
        with self._lock:
            while self._open and next(iter(self._open.values())).since + OPEN_SECONDS <= now:
                self._open.popitem(last=False)
            entry = self._open.get(key.id)
            if entry is not None and entry.sealed == sealed:
                return entry.key
        opened = self._load(key, sealed)
        with self._lock:
            self._open.pop(key.id, None)
            self._open[key.id] = _Entry(sealed, opened, now)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return opened

    def _load(self, key: HeldKey, sealed: bytes) -> arithmetic.OpenKey:
        pkcs8 = self._seal.open(sealed, key_context(key.id))
        try:
            opened = arithmetic.load(pkcs8)
        except ValueError:
            opened = None
        if opened is None or arithmetic.public_der(opened) != key.public_key:
            raise SealBroken(
                f"key {key.id} is not the one of its public key: the database was altered; restore "
                "it from a backup"
            )
        return opened
