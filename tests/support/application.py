"""An application that uses cards by PC/SC, run as a program.

application.py serve             does what standard input says, one JSON array a line
application.py watch READER      prints each event of a reader
application.py hammer READER     sends each card the number that its ATR has, until it goes
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import cast

from smartcard import scard

FOR_EVER = 0xFFFFFFFF
COUNTER = 16  # bits of a state below pcscd's count of events
HALF_TOLD = 1000  # looks at a state that does not match the count
NUMBER = slice(4, 8)  # of a card, in its ATR (`support.numbered`)


class Refused(Exception):
    """PC/SC's words."""


def checked(result: int) -> None:
    if result != 0:
        raise Refused(f"{scard.SCardGetErrorMessage(result)} ({result & 0xFFFFFFFF:08X})")


class Program:
    """One context, and one card at a time."""

    def __init__(self) -> None:
        result, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        checked(result)
        self._card = 0

    def readers(self) -> list[str]:
        result, names = scard.SCardListReaders(self._context, [])
        return [] if result == scard.SCARD_E_NO_READERS_AVAILABLE else cast("list[str]", names)

    def connect(self, reader: str) -> None:
        deadline = time.monotonic() + 60
        while True:
            result, self._card, _ = scard.SCardConnect(
                self._context, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_ANY
            )
            if result == 0 or time.monotonic() > deadline:
                checked(result)
                return
            time.sleep(0.005)

    def disconnect(self) -> None:
        checked(scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD))

    def atr(self) -> str:
        result, _, _, _, atr = scard.SCardStatus(self._card)
        checked(result)
        return bytes(atr).hex()

    def transmit(self, command: str) -> str:
        return self._transmit(list(bytes.fromhex(command))).hex()

    def attribute(self, number: int) -> str:
        result, value = scard.SCardGetAttrib(self._card, number)
        checked(result)
        return bytes(value).hex()

    def control(self, code: int) -> str:
        result, value = scard.SCardControl(self._card, code, [])
        checked(result)
        return bytes(value).hex()

    def median_us(self, command: str, count: int) -> float:
        apdu = list(bytes.fromhex(command))
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            self._transmit(apdu)
            times.append(time.perf_counter() - begun)
        return 1e6 * median(times)

    def _transmit(self, command: list[int]) -> bytes:
        result, response = scard.SCardTransmit(self._card, scard.SCARD_PCI_T1, command)
        checked(result)
        return bytes(response)

    def serve(self) -> None:
        """Do what standard input says."""
        does: Mapping[str, Callable[..., object]] = {
            "readers": self.readers,
            "connect": self.connect,
            "disconnect": self.disconnect,
            "atr": self.atr,
            "transmit": self.transmit,
            "attribute": self.attribute,
            "control": self.control,
            "median_us": self.median_us,
        }
        for line in sys.stdin:
            what, *arguments = json.loads(line)
            try:
                answer = {"result": does[what](*arguments)}
            except Refused as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)

    def watch(self, reader: str) -> None:
        """Print how a reader is, and then each insertion and removal. pcscd counts them: two can
        have happened before somebody looks.
        """
        state = self._state(reader, scard.SCARD_STATE_UNAWARE, 0)
        present, count = bool(state & scard.SCARD_STATE_PRESENT), state >> COUNTER
        print(json.dumps(["in" if present else "out", time.monotonic()]), flush=True)
        while True:
            state = self._state(reader, state, FOR_EVER)
            when = time.monotonic()
            for _ in range(HALF_TOLD):
                events = ((state >> COUNTER) - count) % (1 << COUNTER)
                if bool(state & scard.SCARD_STATE_PRESENT) == present ^ bool(events % 2):
                    break
                # pcscd tells first how the reader is, and counts the event a moment later.
                time.sleep(0.001)
                state = self._state(reader, scard.SCARD_STATE_UNAWARE, 0)
            now = bool(state & scard.SCARD_STATE_PRESENT)
            for left in reversed(range(events)):
                print(json.dumps(["in" if now ^ left % 2 else "out", when]), flush=True)
            present, count = now, state >> COUNTER

    def _state(self, reader: str, known: int, timeout: int) -> int:
        result, found = scard.SCardGetStatusChange(self._context, timeout, [(reader, known)])
        checked(result)
        return cast("int", found[0][1])

    def hammer(self, reader: str) -> None:
        """Send each card its own number, as long as its handle is good."""
        while True:
            self.connect(reader)
            try:
                number = bytes.fromhex(self.atr())[NUMBER]
                while True:
                    self._transmit([0x00, 0xA4, 0x00, 0x00, len(number), *number])
            except Refused:
                scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD)


if __name__ == "__main__":
    program = Program()
    getattr(program, sys.argv[1])(*sys.argv[2:])
