"""Calls to the keystore about one card: each names the card, and has its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc

CALL_SECONDS = 10.0


class OfCard(Protocol):
    """A message about a card."""

    card_serial: str


Request = TypeVar("Request", bound=OfCard)
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Stub:
    """What all calls about one card have in common."""

    card_serial: str

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        seconds: float = CALL_SECONDS,
    ) -> Response:
        """Make a call that can be made again, or whose loss costs nothing. Raises grpc.RpcError."""
        request.card_serial = self.card_serial
        return method(request, timeout=seconds)

    def call_once(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        seconds: float = CALL_SECONDS,
    ) -> Response:
        """Make a call that is never repeated, as it may have been made although its answer was
        lost. Raises grpc.RpcError.

        Hence `wait_for_ready`: while the connection is being made again, the call waits unsent.
        """
        request.card_serial = self.card_serial
        return method(request, timeout=seconds, wait_for_ready=True)
