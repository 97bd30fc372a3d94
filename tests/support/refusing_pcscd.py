"""A stand-in for pyscard's lowest layer over a pcscd that polkit lets nobody use."""

from __future__ import annotations

VIOLATION = 0x8010006A


class Scard:
    """Refuses the context, or, with `late`, only the card."""

    SCARD_SCOPE_USER = 0
    SCARD_SHARE_SHARED = 2
    SCARD_PROTOCOL_ANY = 3
    SCARD_E_NO_READERS_AVAILABLE = 0x8010002E
    SCARD_W_SECURITY_VIOLATION = VIOLATION

    def __init__(self, *, late: bool = False) -> None:
        self._first = 0 if late else VIOLATION
        self.asked = 0

    def SCardEstablishContext(self, _scope: int) -> tuple[int, int]:
        return self._first, 1

    def SCardReleaseContext(self, _context: int) -> int:
        return 0

    def SCardListReaders(self, _context: int, _groups: list[str]) -> tuple[int, list[str]]:
        return 0, ["Virtual PCD 00 00"]

    def SCardConnect(self, *_: object) -> tuple[int, int, int]:
        self.asked += 1
        return VIOLATION, 0, 0

    def SCardGetErrorMessage(self, _result: int) -> str:
        return "Access denied."
