"""What the card answers where the world refuses."""

from __future__ import annotations

from collections.abc import Mapping

from card_os.keys import Refusal
from card_os.status import SW, CardError

# Never 6982: OpenSC would verify its cached PIN again and resend, and the phone would ring twice.
REFUSAL_SW: Mapping[Refusal, SW] = {
    Refusal.DENIED: SW.CONDITIONS_NOT_SATISFIED,
    Refusal.EXPIRED: SW.CONDITIONS_NOT_SATISFIED,
    Refusal.CANCELLED: SW.CONDITIONS_NOT_SATISFIED,
    Refusal.MALFORMED: SW.WRONG_DATA,
    Refusal.FULL: SW.NOT_ENOUGH_MEMORY,
    Refusal.UNAVAILABLE: SW.EXECUTION_ERROR,
}


def refused(refusal: Refusal, unknown_key: SW) -> CardError:
    """The error for a refusal; how an unknown key is answered depends on the command."""
    return CardError(REFUSAL_SW.get(refusal, unknown_key), refusal.name)


def unexpected(result: object) -> TypeError:
    """The bug of a key service which answers a request with a result of another kind."""
    return TypeError(f"{type(result).__name__} does not answer the request")
