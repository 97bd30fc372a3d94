"""The simplest possible card, to measure the time that pcscd and vpcd take.

Run it as a program: `python echo.py PORT SIZE [--naive]`. It answers every command with SIZE zero
bytes and 9000. With --naive it does not ask for quick acknowledgements, which costs 40 ms per
command.
"""

from __future__ import annotations

import socket
import sys

ATR = bytes.fromhex("3B80800101")  # T=1, no historical bytes
RECEIVE_BYTES = 2 + 0xFFFF  # a whole message


def serve(sock: socket.socket, response: bytes, *, quick: bool) -> None:
    """Answer commands until the reader hangs up."""
    buffer = b""
    while True:
        # Set each time, because the kernel falls back to delayed acknowledgements.
        if quick:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        received = sock.recv(RECEIVE_BYTES)
        if not received:
            return
        buffer += received
        while len(buffer) >= 2 and len(buffer) >= (end := 2 + int.from_bytes(buffer[:2])):
            message, buffer = buffer[2:end], buffer[end:]
            if len(message) > 1:
                sock.sendall(response)
            elif message == b"\x04":
                sock.sendall(len(ATR).to_bytes(2) + ATR)


def main() -> None:
    """Read the arguments and serve."""
    port, size = int(sys.argv[1]), int(sys.argv[2])
    response = (size + 2).to_bytes(2) + bytes(size) + b"\x90\x00"
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serve(sock, response, quick="--naive" not in sys.argv[3:])


if __name__ == "__main__":
    main()
