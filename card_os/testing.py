"""For tests of a card: a card driven together with its key service, and scripted key services."""

from __future__ import annotations

from itertools import count

from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, KeyService


class CountedRandom:
    """Bytes that differ at each call and are the same in each run."""

    def __init__(self) -> None:
        self._calls = count(1)

    def __call__(self, size: int) -> bytes:
        return next(self._calls).to_bytes(size)


class CannedKeys:
    """Answers requests with these results, in order, and keeps the requests.

    Raises AssertionError if there are more requests than results.
    """

    def __init__(self, *results: KeyResult) -> None:
        self.requests: list[KeyRequest] = []
        self._results = list(results)

    def perform(self, request: KeyRequest) -> KeyResult:
        """The next result."""
        self.requests.append(request)
        if not self._results:
            raise AssertionError(f"not expected: {request}")
        return self._results.pop(0)


class DrivenCard:
    """A card together with its key service; without one, each request raises AssertionError."""

    def __init__(self, card: Card, keys: KeyService | None = None) -> None:
        self.card = card
        self.keys = keys or CannedKeys()

    def transmit(self, apdu: bytes) -> bytes:
        """The card's response, including the status word."""
        return self.card.transmit(apdu, self.keys)

    def send(self, apdu: str) -> str:
        """The same in hexadecimal digits, for tables of commands."""
        return self.transmit(bytes.fromhex(apdu)).hex().upper()
