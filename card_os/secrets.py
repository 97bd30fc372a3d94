"""What is secret in the commands and responses of an application, for programs that record them.

A replacement keeps what the card examines: lengths, and the form of passcodes. A card that receives
the redacted commands therefore answers as the real card did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from card_os.apdu import Command
from card_os.keys import KeyRequest, KeyResult, UseKey
from card_os.uses import KeyUse

Hide: TypeAlias = Callable[[bytes], bytes]
"""Replaces the data of a command, or of its parts one after the other, by as many bytes."""

HIDDEN_OCTET = b"0"  # a digit, so that a passcode keeps its form
PADDING = 0xFF
NOT_A_DIGIT = ord("x")
# VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER (ISO/IEC 7816-4, 11.6)
WITH_PASSCODES = (0x20, 0x24, 0x2C)


def passcode(part: bytes) -> bytes:
    """Replace passcodes, byte by byte: a digit by a digit, and any other byte by a non-digit."""
    return bytes(_hide_one(octet) for octet in part)


def octets(part: bytes) -> bytes:
    """As many hidden bytes as `part` has."""
    return HIDDEN_OCTET * len(part)


class Secrets:
    """What an application hides from traces. By default these are the passcodes in ISO's own
    instructions, and the results of deciphering and key agreement.
    """

    def in_command(self, header: Command) -> Hide | None:
        """The function that hides the secrets of a command with this header; None if it has
        none.
        """
        return passcode if header.ins in WITH_PASSCODES else None

    def in_result(self, request: KeyRequest | None, result: KeyResult) -> KeyResult:
        """A key result without its secrets. Proofs stay: the trace replaces them by numbers."""
        if isinstance(request, UseKey) and request.use is not KeyUse.SIGN:
            return bytes(len(result)) if isinstance(result, bytes) else result
        return result

    def in_response(self, command: Command) -> bool:
        """Whether the response data of a command is secret, for a recorder that sees no key
        results.
        """
        del command
        return False


class AllSecrets(Secrets):
    """What any one of several applications hides."""

    def __init__(self, each: Sequence[Secrets]) -> None:
        self._each = tuple(each)

    def in_command(self, header: Command) -> Hide | None:
        """The function of the first application that has secrets in such a command."""
        found = (each.in_command(header) for each in self._each)
        return next((hide for hide in found if hide is not None), None)

    def in_result(self, request: KeyRequest | None, result: KeyResult) -> KeyResult:
        """A key result without the secrets of any application."""
        for each in self._each:
            result = each.in_result(request, result)
        return result

    def in_response(self, command: Command) -> bool:
        """Whether the response data of a command is secret for any application."""
        return any(each.in_response(command) for each in self._each)


def _hide_one(octet: int) -> int:
    if octet == PADDING:
        return PADDING
    return HIDDEN_OCTET[0] if 0x30 <= octet <= 0x39 else NOT_A_DIGIT
