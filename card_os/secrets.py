"""What is secret in the commands and answers of an application, for whoever writes them down.

What takes a secret's place keeps what the card looks at, lengths and the shape of passcodes: a card
that is told the replaced commands answers as the real one did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from card_os.apdu import Command
from card_os.keys import KeyRequest, KeyResult, UseKey
from card_os.uses import KeyUse

Hide: TypeAlias = Callable[[bytes], bytes]
"""Is told the data of a command, or its parts one after the other, and gives back as many bytes."""

HIDDEN_OCTET = b"0"  # a digit, so that a passcode stays one
PADDING = 0xFF
NOT_A_DIGIT = ord("x")
WITH_PASSCODES = (0x20, 0x24, 0x2C)  # VERIFY and its kin (ISO/IEC 7816-4, 11.6)


def passcode(part: bytes) -> bytes:
    """Passcodes of the same lengths; what is no digit stays none."""
    return bytes(_hide_one(octet) for octet in part)


def octets(part: bytes) -> bytes:
    """So many other bytes."""
    return HIDDEN_OCTET * len(part)


class Secrets:
    """What an application has to hide. Unless it says otherwise: the passcodes in ISO's own
    instructions, and what keys deciphered or agreed on.
    """

    def in_command(self, header: Command) -> Hide | None:
        """What hides the secrets of a command that begins so; None where it has none."""
        return passcode if header.ins in WITH_PASSCODES else None

    def in_result(self, request: KeyRequest | None, result: KeyResult) -> KeyResult:
        """A key result without its secrets. Proofs are left to the trace, which numbers them."""
        if isinstance(request, UseKey) and request.use is not KeyUse.SIGN:
            return bytes(len(result)) if isinstance(result, bytes) else result
        return result

    def in_response(self, command: Command) -> bool:
        """Whether what a command returns is a secret, for who does not see key results."""
        del command
        return False


class AllSecrets(Secrets):
    """What any of several applications has to hide."""

    def __init__(self, each: Sequence[Secrets]) -> None:
        self._each = tuple(each)

    def in_command(self, header: Command) -> Hide | None:
        """What hides the secrets of a command, of the first application that has any there."""
        found = (each.in_command(header) for each in self._each)
        return next((hide for hide in found if hide is not None), None)

    def in_result(self, request: KeyRequest | None, result: KeyResult) -> KeyResult:
        """A key result without the secrets of any."""
        for each in self._each:
            result = each.in_result(request, result)
        return result

    def in_response(self, command: Command) -> bool:
        """Whether what a command returns is a secret of any."""
        return any(each.in_response(command) for each in self._each)


def _hide_one(octet: int) -> int:
    if octet == PADDING:
        return PADDING
    return HIDDEN_OCTET[0] if 0x30 <= octet <= 0x39 else NOT_A_DIGIT
