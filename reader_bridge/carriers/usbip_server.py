"""A USB reader of ours that is exported over USB/IP, on this computer alone."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from reader_bridge import peer
from reader_bridge.carriers.carrier import NotInserted, OnChange, SlotState, Where
from reader_bridge.carriers.ccid_bay import Bay, CcidLink
from reader_bridge.ccid import usbip
from reader_bridge.ccid.descriptors import BULK_OUT
from reader_bridge.ccid.presentation import T1, Presentation
from reader_bridge.ccid.reader import Effect, Order, Reader, Say
from reader_bridge.ccid.usb import Device, Done, HostFault, Transfer

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
TICK_SECONDS = 1.0
PATIENCE_SECONDS = 2.0  # without a computer, until that is said
QUESTION_SECONDS = 5.0  # for the first question of a connection
SEND_SECONDS = 5.0  # for a computer that does not read
MOST_STRANGERS = 16  # connections that have not imported anything
LONGEST_LIST = 15  # slots, as our handler has
RECEIVE_BYTES = 0x10000


class UsbipServer:
    """Exports readers of one slot each. It begins to listen with the first card."""

    def __init__(
        self, slots: int = 1, port: int = usbip.PORT, presentation: Presentation = T1
    ) -> None:
        self.port = port
        self._bays = [Bay(Reader(presentation)) for _ in range(slots)]
        self._lock = threading.Lock()  # guards what follows
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._asking = 0

    def slot(self, number: int) -> UsbipSlot:
        """The carrier to one of the readers."""
        return UsbipSlot(self, self._bays[number], number)

    def open(self) -> None:
        """Listen, if nobody does so yet. Raises OSError if the port is taken."""
        with self._lock:
            if self._listener is not None:
                return
            self._listener = socket.create_server((LOOPBACK, self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(
                target=self._accept, args=(self._listener,), name="usbip", daemon=True
            ).start()

    def close(self) -> None:
        """Listen no more, and end every connection."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends = [*self._connections, *([] if listener is None else [listener])]
        for each in ends:
            _end(each)

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with self._lock:
                    welcome = self._asking < MOST_STRANGERS and self._listener is listener
                    if welcome:
                        self._asking += 1
                        self._connections.add(connection)
                if not welcome:
                    connection.close()
                    continue
                threading.Thread(
                    target=self._serve, args=(connection,), name="usbip connection", daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        asking = True
        with connection:
            try:
                host = self._welcome(connection)
                with self._lock:
                    self._asking -= 1
                    asking = False
                if host is not None:
                    host.serve()
            except (OSError, usbip.NotUsbip, HostFault) as error:
                log.info("a connection to the USB reader has ended", why=str(error))
            finally:
                with self._lock:
                    self._connections.discard(connection)
                    self._asking -= asking

    def _welcome(self, connection: socket.socket) -> _Host | None:
        """Answer the first question; a host if that was for a reader that is free."""
        connection.settimeout(QUESTION_SECONDS)
        asked = _question(connection)
        if not peer.is_reader(connection):
            log.warning("a program of another user has asked for the USB reader")
            return None
        if isinstance(asked, usbip.List):
            connection.sendall(usbip.listed(range(len(self._bays))))
            return None
        for number, bay in enumerate(self._bays):
            if asked.bus_id == usbip.bus_id(number):
                host = _Host(connection, bay, number)
                if bay.attach(host):
                    connection.sendall(usbip.imported(number))
                    return host
        connection.sendall(usbip.imported(None))
        return None


class UsbipSlot:
    """The slot of one exported reader."""

    def __init__(self, server: UsbipServer, bay: Bay, number: int) -> None:
        self._server = server
        self._bay = bay
        self._number = number
        self._end: socket.socket | None = None

    @property
    def where(self) -> Where:
        """The exported reader, as the importer names it."""
        port = self._server.port
        place = f"USB/IP port {port}, device {usbip.bus_id(self._number).decode()}"
        return Where("usbip", place, "a USB/IP client", f"ss -ltnp 'sport = :{port}'", port)

    def endpoint(self) -> socket.socket:
        """One end of a pair: the other is the computer's thread's."""
        ours, self._end = socket.socketpair()
        return ours

    def insert(
        self, sock: socket.socket, atr: bytes, say: OnChange, stopping: threading.Event, /
    ) -> CcidLink:
        """Wait until a computer uses the reader, and put the card in. Raises NotInserted."""
        end, self._end = self._end, None
        if end is None:
            raise NotInserted(SlotState.NOT_ATTACHED)
        try:
            return self._insert(sock, end, atr, say, stopping)
        except BaseException:
            end.close()
            raise

    def _insert(
        self,
        sock: socket.socket,
        end: socket.socket,
        atr: bytes,
        say: OnChange,
        stopping: threading.Event,
    ) -> CcidLink:
        try:
            self._server.open()
        except OSError:
            raise NotInserted(SlotState.PORT_TAKEN) from None
        waited = 0.0
        while not stopping.is_set():
            if self._bay.wait_for_host(TICK_SECONDS / 2):
                if (link := self._bay.insert(atr, sock, end)) is not None:
                    return link
                continue
            waited += TICK_SECONDS / 2
            if waited >= PATIENCE_SECONDS:
                say(SlotState.NOT_ATTACHED)
        raise NotInserted(SlotState.NOT_ATTACHED)


class _Host:
    """A computer that has imported a reader."""

    def __init__(self, connection: socket.socket, bay: Bay, number: int) -> None:
        self._connection = connection
        self._bay = bay
        self._device = Device(bay.reader, f"{number + 1:04}")
        self._decoder = usbip.Decoder()
        self._out: list[bytes] = []

    def serve(self) -> None:
        """Answer until the computer goes. Raises OSError, NotUsbip or HostFault."""
        self._connection.settimeout(SEND_SECONDS)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                due = time.monotonic() + TICK_SECONDS
                while True:
                    ready = selector.select(max(0.0, due - time.monotonic()))
                    if time.monotonic() >= due:
                        self._tick()
                        due = time.monotonic() + TICK_SECONDS
                    if ready and not self._hear(self._connection.recv(RECEIVE_BYTES)):
                        return
        finally:
            self._bay.detach(self)

    def tell(self, effects: Sequence[Effect]) -> None:
        """Send what ends the transfers that wait. The bay's lock is held."""
        try:
            for effect in effects:
                if isinstance(effect, Say | Order):
                    self._out += map(usbip.done, self._device.tell(effect))
            self._send()
        except (OSError, HostFault) as error:
            log.info("the computer at the USB reader does not listen", why=str(error))
            _end(self._connection)  # which its own thread sees

    def _hear(self, data: bytes) -> bool:
        """Do what the computer says; False if it has hung up."""
        events = list(self._decoder.feed(data))
        speaks = any(isinstance(each, Transfer) and each.endpoint == BULK_OUT for each in events)
        self._bay.run(lambda: self._step(events), listens=speaks)
        return bool(data)

    def _tick(self) -> None:
        self._bay.sweep()
        self._bay.run(self._device.tick)

    def _step(self, events: Sequence[usbip.Event]) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            if isinstance(event, usbip.Unlink):
                waited = self._device.unlink(event.target)
                self._out.append(usbip.unlinked(event.number, waited))
                continue
            for outcome in self._device.submit(event):
                if isinstance(outcome, Done):
                    self._out.append(usbip.done(outcome))
                else:
                    effects.append(outcome)
        if not any(isinstance(each, Say | Order) for each in effects):
            self._send()
        return effects

    def _send(self) -> None:
        out, self._out = b"".join(self._out), []
        if out:
            self._connection.sendall(out)


def _question(connection: socket.socket) -> usbip.Question:
    """The first thing that is asked. Raises OSError or NotUsbip."""
    raw = b""
    while isinstance(asked := usbip.question(raw), int):
        part = connection.recv(asked - len(raw))
        if not part:
            raise ConnectionResetError("nothing has been asked")
        raw += part
    return asked


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
