"""The status words with which the card answers refusals, and keys of another algorithm."""

from __future__ import annotations

from collections.abc import Mapping

from card_os.keys import Refusal
from card_os.piv.context import Context
from card_os.status import SW, CardError

# None is 6982: OpenSC would verify its cached PIN and repeat the command, and the phone would ring
# twice.
REFUSAL_SW: Mapping[Refusal, SW] = {
    Refusal.DENIED: SW.CONDITIONS_NOT_SATISFIED,
    Refusal.EXPIRED: SW.CONDITIONS_NOT_SATISFIED,
    Refusal.CANCELLED: SW.CONDITIONS_NOT_SATISFIED,
    Refusal.MALFORMED: SW.WRONG_DATA,
    Refusal.FULL: SW.NOT_ENOUGH_MEMORY,
    Refusal.UNAVAILABLE: SW.EXECUTION_ERROR,
}


def refused(refusal: Refusal, unknown_key: SW) -> CardError:
    """The error for a refusal; the command decides about the status word for an unknown key."""
    return CardError(REFUSAL_SW.get(refusal, unknown_key), refusal.name)


def proof_ended(context: Context) -> CardError:
    """The error for a proof of the PIN that is no longer accepted: 6982, after which the PIN has to
    be verified again.
    """
    context.security = context.security.without_verified(*context.security.verified)
    return CardError(SW.SECURITY_STATUS_NOT_SATISFIED, "the passcode's proof is too old")


def other_algorithm(context: Context) -> CardError:
    """The error for a key whose algorithm is not the command's: 6A86 (part 2, 3.2.4), but 6A80 with
    the extensions, as from YubiKeys.
    """
    sw = SW.WRONG_DATA if context.image.features.extensions else SW.INCORRECT_P1P2
    return CardError(sw, "the key has another algorithm")


def unexpected(result: object) -> TypeError:
    """The error for a bug of the key service: its result has a kind that the request does not
    have.
    """
    return TypeError(f"{type(result).__name__} does not answer the request")
