"""A push service for Firefox: it gives addresses out, takes what is posted to them, and brings that
to the browser (RFC 8030, and Mozilla's own protocol towards its browsers).
"""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1

from support.hooks import Gateway

ACCEPTS = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


@dataclass
class PushService:
    """The side of the browser; the addresses are those of `posted`."""

    posted: Gateway
    port: int = 0
    acknowledged: list[str] = field(default_factory=list)
    _browser: socket.socket | None = None
    _channel: str = ""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def bring(self) -> None:
        """Bring the newest message to the browser."""
        (_, _, raw) = self.posted.received[-1]
        self._tell(
            messageType="notification",
            channelID=self._channel,
            version="1",
            data=base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
            headers={"encoding": "aes128gcm"},
        )

    def serve(self, browser: socket.socket) -> None:
        """Speak with one browser, until it goes."""
        _shake_hands(browser)
        self._browser = browser
        while (message := _read(browser)) is not None:
            kind = message.get("messageType")
            if kind == "hello":
                self._tell(messageType="hello", uaid="0" * 32, status=200, use_webpush=True)
            elif kind == "register":
                self._channel = str(message["channelID"])
                address = f"https://localhost:{self.posted.port}/firefox"
                said = {"status": 200, "channelID": self._channel, "pushEndpoint": address}
                self._tell(messageType="register", **said)
            elif kind == "ack":
                self.acknowledged.append(str(message))

    def _tell(self, **said: object) -> None:
        assert self._browser is not None, "no browser has come"
        raw = json.dumps(said).encode()
        length = bytes([len(raw)]) if len(raw) < 126 else b"\x7e" + len(raw).to_bytes(2)
        self._browser.sendall(bytes([0x80 | TEXT]) + length + raw)


def _shake_hands(browser: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += browser.recv(1)
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
    accepted = base64.b64encode(sha1(key + ACCEPTS, usedforsecurity=False).digest())
    browser.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: push-notification\r\n"
        b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
    )


def _exactly(browser: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = browser.recv(length - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _read(browser: socket.socket) -> dict[str, object] | None:
    """The next message; None at the end. Those of browsers are masked (RFC 6455, 5.3)."""
    while True:
        try:
            first, second = _exactly(browser, 2)
            length = second & 0x7F
            if length > 125:
                length = int.from_bytes(_exactly(browser, 2 if length == 126 else 8))
            mask = _exactly(browser, 4)
            raw = _exactly(browser, length)
        except (EOFError, OSError):
            return None
        text = bytes(each ^ mask[place % 4] for place, each in enumerate(raw))
        if first & 0x0F == CLOSE:
            return None
        if first & 0x0F == TEXT:
            found: dict[str, object] = json.loads(text or b"{}")
            return found


@contextmanager
def serving(posted: Gateway) -> Iterator[PushService]:
    """The service, on a port of its own."""
    service = PushService(posted)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            service.serve(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Connection) as server:
        service.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
