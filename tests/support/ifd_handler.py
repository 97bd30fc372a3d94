"""Our IFD handler: built for tests, and called as pcscd calls it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import (
    CDLL,
    CFUNCTYPE,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_long,
    c_ulong,
    c_void_p,
    create_string_buffer,
    sizeof,
)
from pathlib import Path

from reader_bridge import records
from reader_bridge.records import Apdu, Hello, Record, Response, Signal, Welcome

SOURCES = Path(__file__).parents[2] / "drivers" / "linux" / "ifd"
SECONDS = 60.0
ATR = bytes.fromhex("3B80800101")

# ifdhandler.h and reader.h.
SUCCESS, FAILED, ABSENT, PRESENT, TOO_SMALL = 0, 612, 616, 615, 618
POWER_UP, POWER_DOWN, RESET = 500, 501, 502
POLLING_THREAD, STOP_POLLING = 0x0FB3, 0x0FB2
ROOM = 65548


def build(folder: Path, *defines: str, target: str = "all") -> Path:
    """Build the handler in a folder, with other times or places; the library's path."""
    extra = " ".join(f"-D{each}" for each in defines)
    command = ["make", "--silent", "-C", str(SOURCES), f"BUILD={folder}", f"EXTRA={extra}", target]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "libifdcloudcard.so"


class Pci(Structure):
    """SCARD_IO_HEADER."""

    _fields_ = [("protocol", c_ulong), ("length", c_ulong)]


class Handler:
    """A handler with one socket, and pcscd's calls."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = CDLL(str(library))
        self.path = folder / "reader.sock"
        self.agents: list[Agent] = []

    def agent(self, slot: int = records.ANY_SLOT, atr: bytes = ATR) -> Agent:
        """A card at the socket, until `opened` ends."""
        self.agents.append(Agent(self.path, slot, atr))
        return self.agents[-1]

    def open(self, slot: int) -> int:
        return self.create(f"{self.path}:{slot}", slot)

    def create(self, device: str, slot: int = 0) -> int:
        name = c_char_p(device.encode())
        return int(self._library.IFDHCreateChannelByName(lun(slot), name))

    def close(self, slot: int) -> int:
        return int(self._library.IFDHCloseChannel(lun(slot)))

    def presence(self, slot: int = 0) -> int:
        return int(self._library.IFDHICCPresence(lun(slot)))

    def attribute(self, tag: int, slot: int = 0, room: int = ROOM) -> tuple[int, bytes]:
        value, length = create_string_buffer(ROOM), c_ulong(room)
        result = self._library.IFDHGetCapabilities(lun(slot), c_ulong(tag), byref(length), value)
        return result, value.raw[: length.value]

    def control(self, code: int, slot: int = 0, room: int = ROOM) -> tuple[int, bytes]:
        value, length = create_string_buffer(ROOM), c_ulong(0)
        result = self._library.IFDHControl(
            lun(slot), c_ulong(code), None, c_ulong(0), value, c_ulong(room), byref(length)
        )
        return result, value.raw[: length.value]

    def power(self, action: int, slot: int = 0) -> tuple[int, bytes]:
        atr, length = create_string_buffer(33), c_ulong(33)
        result = self._library.IFDHPowerICC(lun(slot), c_ulong(action), atr, byref(length))
        return result, atr.raw[: length.value]

    def connect(self, slot: int = 0) -> int:
        return int(self._library.IFDHSetProtocolParameters(lun(slot), c_ulong(2), 0, 0, 0, 0))

    def transmit(self, command: bytes, slot: int = 0, room: int = ROOM) -> tuple[int, bytes]:
        response, length, received = create_string_buffer(ROOM), c_ulong(room), Pci(0, 16)
        result = self._library.IFDHTransmitToICC(
            *(lun(slot), Pci(1, 16), command, c_ulong(len(command))),
            *(response, byref(length), byref(received)),
        )
        return result, response.raw[: length.value]

    def await_change(self, seconds: float, slot: int = 0) -> None:
        """What pcscd's polling thread calls."""
        function = CFUNCTYPE(c_long, c_ulong, c_int)(self._address(POLLING_THREAD, slot))
        function(lun(slot).value, int(1000 * seconds))

    def stop_waiting(self, slot: int = 0) -> None:
        CFUNCTYPE(c_long, c_ulong)(self._address(STOP_POLLING, slot))(lun(slot).value)

    def _address(self, tag: int, slot: int) -> int:
        result, value = self.attribute(tag, slot, sizeof(c_void_p))
        assert result == SUCCESS
        return int.from_bytes(value, "little")


def lun(slot: int) -> c_ulong:
    """pcscd's name of a slot, which is none of the slot's own number."""
    return c_ulong((slot + 5) << 16)


class Agent:
    """A card at a handler's socket."""

    def __init__(self, path: Path, slot: int = records.ANY_SLOT, atr: bytes = ATR) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(SECONDS)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        self.sock.connect(str(path))
        with suppress(BrokenPipeError):
            self.say(Hello(atr, slot))
        self.greeting = self.hear()

    @property
    def slot(self) -> int:
        assert isinstance(self.greeting, Welcome), self.greeting
        return self.greeting.slot

    def say(self, record: Record) -> None:
        self.sock.send(record.encode())

    def hear(self) -> Record | None:
        """The next record; None at the end."""
        try:
            raw = self.sock.recv(records.LONGEST)
        except ConnectionResetError:
            raw = self.sock.recv(records.LONGEST)
        return records.decode(raw) if raw else None

    def hear_command(self) -> Apdu:
        """The next command, behind changes of power."""
        while isinstance(record := self.hear(), Signal):
            pass
        assert isinstance(record, Apdu), record
        return record

    def answer(self, response: bytes) -> bytes:
        """Answer the next command, and return it."""
        command = self.hear_command()
        self.say(Response(command.number, response))
        return command.command

    def leave(self) -> None:
        self.sock.close()


@contextmanager
def opened(handler: Handler, *slots: int) -> Iterator[Handler]:
    """Slots that pcscd has opened, for the time of the block."""
    for slot in slots:
        assert handler.open(slot) == SUCCESS
    try:
        yield handler
    finally:
        for slot in slots:
            handler.close(slot)
        for agent in handler.agents:
            agent.leave()
        handler.agents.clear()


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Something that another thread does during the block, and has done at its end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(SECONDS)
        assert not thread.is_alive()
