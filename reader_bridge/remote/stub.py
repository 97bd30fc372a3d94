"""Calls to the keystore about one card: each names the card and has a time limit."""

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
    """Makes calls about one card."""

    card_serial: str

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        seconds: float = CALL_SECONDS,
    ) -> Response:
        """Make a call that can be repeated, or whose loss has no cost. Raises grpc.RpcError."""
        request.card_serial = self.card_serial
        return method(request, timeout=seconds)

    def call_once(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        seconds: float = CALL_SECONDS,
    ) -> Response:
        """Make a call that must not be repeated, because it can have been performed although its
        answer was lost. Raises grpc.RpcError.

        With `wait_for_ready` the call waits, unsent, while the connection is being restored.
        """
        request.card_serial = self.card_serial
        return method(request, timeout=seconds, wait_for_ready=True)
