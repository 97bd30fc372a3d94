"""A PC/SC client for benches and tests: bytes to a card through pcscd, and bytes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Protocol, cast

import click

# vpcd's name in pcscd's reader configuration; the number of the slot follows it.
VIRTUAL_READER = "Virtual PCD"
SUCCESS = 0
RETRY_SECONDS = 0.02


class PcscError(click.ClickException):
    """PC/SC refused a call. The text is PC/SC's own; `remedy` says what to do."""

    remedy = "start or restart pcscd"


class PcscRefused(PcscError):
    """pcscd serves others, but not this user: 8010006A, SCARD_W_SECURITY_VIOLATION."""

    remedy = (
        "use it as root or from a session at this computer's screen, or allow the user by a polkit "
        "rule for org.debian.pcsc-lite.access_pcsc and access_card; where polkit cannot run, as in "
        "containers, start `pcscd --disable-polkit` (docs/reader.md)"
    )

    def __init__(self, text: str) -> None:
        super().__init__(
            f"pcscd refuses this user ({text.rstrip('.')}, 8010006A): it asks polkit, which does "
            "not run or does not allow it"
        )


class Scard(Protocol):
    """The part of pyscard's lowest layer that is used here; pyscard has no type annotations."""

    SCARD_SCOPE_USER: int
    SCARD_SHARE_SHARED: int
    SCARD_PROTOCOL_ANY: int
    SCARD_PROTOCOL_T1: int
    SCARD_PCI_T0: int
    SCARD_PCI_T1: int
    SCARD_LEAVE_CARD: int
    SCARD_RESET_CARD: int
    SCARD_STATE_UNAWARE: int
    SCARD_STATE_PRESENT: int
    SCARD_E_NO_READERS_AVAILABLE: int
    SCARD_W_SECURITY_VIOLATION: int

    def SCardEstablishContext(self, scope: int, /) -> tuple[int, int]: ...
    def SCardReleaseContext(self, context: int, /) -> int: ...
    def SCardListReaders(self, context: int, groups: list[str], /) -> tuple[int, list[str]]: ...
    def SCardConnect(
        self, context: int, reader: str, mode: int, protocols: int, /
    ) -> tuple[int, int, int]: ...
    def SCardReconnect(
        self, card: int, mode: int, protocols: int, initialization: int, /
    ) -> tuple[int, int]: ...
    def SCardDisconnect(self, card: int, disposition: int, /) -> int: ...
    def SCardStatus(self, card: int, /) -> tuple[int, str, int, int, list[int]]: ...
    def SCardBeginTransaction(self, card: int, /) -> int: ...
    def SCardEndTransaction(self, card: int, disposition: int, /) -> int: ...
    def SCardTransmit(self, card: int, pci: int, apdu: list[int], /) -> tuple[int, list[int]]: ...
    def SCardGetStatusChange(
        self, context: int, timeout: int, states: list[tuple[str, int]], /
    ) -> tuple[int, list[tuple[str, int, list[int]]]]: ...
    def SCardGetErrorMessage(self, result: int, /) -> str: ...


class Card:
    """A card to which this program is connected, shared with others."""

    def __init__(self, scard: Scard, handle: int, protocol: int) -> None:
        self._scard = scard
        self._handle = handle
        self._pci = scard.SCARD_PCI_T1 if protocol & scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0

    @property
    def atr(self) -> bytes:
        """The answer to reset. Raises PcscError if the card has been removed."""
        result, _, _, _, atr = self._scard.SCardStatus(self._handle)
        _require(self._scard, result)
        return bytes(atr)

    def transmit(self, command: bytes) -> bytes:
        """Send a command APDU and return the response APDU. Raises PcscError if the card has been
        removed.
        """
        result, response = self._scard.SCardTransmit(self._handle, self._pci, list(command))
        _require(self._scard, result)
        return bytes(response)

    def reset(self) -> None:
        """Reset the card (warm). Raises PcscError if it has been removed."""
        scard = self._scard
        result, _ = scard.SCardReconnect(
            self._handle,
            scard.SCARD_SHARE_SHARED,
            scard.SCARD_PROTOCOL_ANY,
            scard.SCARD_RESET_CARD,
        )
        _require(scard, result)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other programs from the card until the block has ended. Raises PcscError if that
        fails.
        """
        _require(self._scard, self._scard.SCardBeginTransaction(self._handle))
        try:
            yield
        finally:
            self._scard.SCardEndTransaction(self._handle, self._scard.SCARD_LEAVE_CARD)


class Client:
    """One PC/SC context. Use one per thread: a call can block for as long as a card waits."""

    def __init__(self, scard: Scard, context: int) -> None:
        self._scard = scard
        self._context = context

    def readers(self) -> list[str]:
        """The names of the readers. Raises PcscError if pcscd does not answer."""
        result, names = self._scard.SCardListReaders(self._context, [])
        if result == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            return []
        _require(self._scard, result)
        return names

    def present(self, reader: str | int) -> bool:
        """Whether pcscd has seen a card in the reader. It polls every 0.4 s. Raises PcscError if
        the call fails.
        """
        states = [(self._name(reader), self._scard.SCARD_STATE_UNAWARE)]
        result, found = self._scard.SCardGetStatusChange(self._context, 0, states)
        _require(self._scard, result)
        return bool(found[0][1] & self._scard.SCARD_STATE_PRESENT)

    def wait_for_absence(self, reader: str | int, timeout: float = 5.0) -> None:
        """Wait until pcscd has noticed that the card was removed. Raises PcscError after
        `timeout`.
        """
        deadline = time.monotonic() + timeout
        while self.present(reader):
            if time.monotonic() > deadline:
                raise PcscError(f"the card has not left {self._name(reader)} in {timeout:g} s")
            time.sleep(RETRY_SECONDS)

    @contextmanager
    def connect(self, reader: str | int, timeout: float = 5.0) -> Iterator[Card]:
        """Wait for a card in a reader, given by name or virtual slot, and connect to it. Raises
        PcscError if none comes in time.
        """
        scard, name = self._scard, self._name(reader)
        deadline = time.monotonic() + timeout
        while True:
            result, handle, protocol = scard.SCardConnect(
                self._context, name, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_ANY
            )
            if result == SUCCESS:
                break
            if result == scard.SCARD_W_SECURITY_VIOLATION:
                _require(scard, result)  # it does not pass
            if time.monotonic() > deadline:
                raise PcscError(f"{name}: {scard.SCardGetErrorMessage(result)}")
            time.sleep(RETRY_SECONDS)
        try:
            yield Card(scard, handle, protocol)
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def _name(self, reader: str | int) -> str:
        if isinstance(reader, str):
            return reader
        names = sorted(name for name in self.readers() if name.startswith(VIRTUAL_READER))
        if reader >= len(names):
            raise PcscError(f"there is no virtual reader {reader}: is vsmartcard-vpcd installed?")
        return names[reader]


@contextmanager
def client() -> Iterator[Client]:
    """A PC/SC context for the block. Raises PcscError if pcscd does not answer, ImportError without
    pyscard.
    """
    scard = cast("Scard", import_module("smartcard.scard"))
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    _require(scard, result)
    try:
        yield Client(scard, context)
    finally:
        scard.SCardReleaseContext(context)


@contextmanager
def connect(reader: str | int, timeout: float = 5.0) -> Iterator[Card]:
    """`Client.connect` with a context of its own."""
    with client() as own, own.connect(reader, timeout) as card:
        yield card


def require_admission() -> None:
    """Raise PcscRefused if pcscd does not serve this user, PcscError if it serves nobody. Without
    pyscard, nobody can tell.
    """
    with suppress(ImportError), client():
        pass


def _require(scard: Scard, result: int) -> None:
    if result == scard.SCARD_W_SECURITY_VIOLATION:
        raise PcscRefused(scard.SCardGetErrorMessage(result))
    if result != SUCCESS:
        raise PcscError(scard.SCardGetErrorMessage(result))
