"""Status words (ISO/IEC 7816-4, 5.6) and the exception that carries one."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class SW(IntEnum):
    """Status words of this card, named by their meaning in ISO/IEC 7816-4."""

    OK = 0x9000
    ALREADY_CLOSED = 0x6200  # a warning: nothing has changed
    EXECUTION_ERROR = 0x6400
    WRONG_LENGTH = 0x6700
    CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    LAST_COMMAND_EXPECTED = 0x6883
    CHAINING_NOT_SUPPORTED = 0x6884
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    AUTHENTICATION_METHOD_BLOCKED = 0x6983
    CONDITIONS_NOT_SATISFIED = 0x6985
    SECURE_MESSAGING_OBJECTS_MISSING = 0x6987
    SECURE_MESSAGING_OBJECTS_INCORRECT = 0x6988
    WRONG_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    NOT_FOUND = 0x6A82  # application, file or data object
    NOT_ENOUGH_MEMORY = 0x6A84
    INCORRECT_P1P2 = 0x6A86
    REFERENCE_DATA_NOT_FOUND = 0x6A88
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    UNKNOWN = 0x6F00


class CardError(Exception):
    """Ends a command with a status word other than 9000.

    `why` is for the developer who debugs the card; it must not contain data of the command.
    """

    def __init__(self, sw: int, why: str = "") -> None:
        super().__init__(f"{sw:04X} {why}".rstrip())
        self.sw = sw
        self.why = why


def retries_left(tries: int) -> int:
    """63CX: the verification failed and X tries are left (ISO/IEC 7816-4, table 6)."""
    return 0x63C0 | max(0, min(tries, 0x0F))


def bytes_available(count: int) -> int:
    """61XX: `count` more response bytes wait for GET RESPONSE; 6100 means 256 or more."""
    return 0x6100 | (count if count < 0x100 else 0)
