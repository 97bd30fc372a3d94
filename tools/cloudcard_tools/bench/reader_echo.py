"""A card behind our own driver that does nothing, to measure the way to it.

Run it as a program: `python reader_echo.py SOCKET SLOT SIZE`. It answers every command with SIZE
zero bytes and 9000.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from reader_bridge.carriers.carrier import Command
from reader_bridge.carriers.handler_socket import HandlerSocket

ATR = bytes.fromhex("3B80800101")  # T=1, no historical bytes


def serve(carrier: HandlerSocket, response: bytes) -> None:
    """Answer commands until the reader hangs up."""
    with carrier.endpoint() as sock:
        link = carrier.insert(sock, ATR, lambda _: None, threading.Event())
        for event in link.events():
            if isinstance(event, Command):
                link.respond(response)


def main() -> None:
    """Read the arguments and serve."""
    path, slot, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    serve(HandlerSocket(path, slot), bytes(size) + b"\x90\x00")


if __name__ == "__main__":
    main()
