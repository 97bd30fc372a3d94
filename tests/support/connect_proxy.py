"""A proxy of HTTP that connects any host's name to this computer (CONNECT, RFC 9110, 9.3.6)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PART = 65536  # bytes
END = b"\r\n\r\n"
SERVING = "proxy's connection"  # the name of its threads


@dataclass
class Proxy:
    """A proxy at a port of this computer, and for whom it was asked to connect."""

    listener: socket.socket
    refusal: str = ""  # the status line of its answers, if it connects nobody
    instead: int = 0  # the port to which it leads whoever asks, as one that looks into TLS
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Serve each connection in a thread of its own, until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(
                    target=self._connect, args=(client,), name=SERVING, daemon=True
                ).start()

    def _connect(self, client: socket.socket) -> None:
        head = b""
        with client, suppress(OSError):
            while END not in head:
                part = client.recv(PART)
                if not part:
                    return  # it hung up before it had asked
                head += part
            target = head.split()[1].decode()
            self.asked.append(target)
            if self.refusal:
                client.sendall(f"HTTP/1.1 {self.refusal}".encode() + END)
                return
            port = self.instead or int(target.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"HTTP/1.1 200 Connected" + END)
                back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                back.start()
                _pass_on(client, server)
                back.join()


@contextmanager
def proxy() -> Iterator[Proxy]:
    """A proxy that runs during the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Proxy(listener)
        threading.Thread(target=running.serve, daemon=True).start()
        yield running
        listener.shutdown(socket.SHUT_RDWR)  # ends the thread's wait


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(PART):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
