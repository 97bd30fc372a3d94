"""The reader hangs up while the holder thinks: the request is withdrawn. Without pcscd."""

from __future__ import annotations

import socket
from pathlib import Path

from cloudcard_tools.demo.stage import PASSCODE, Stage
from cloudcard_tools.shared.processes import Nursery


def exchange(connection: socket.socket, body: bytes) -> bytes:
    """One message of vpcd's protocol, and its answer."""
    connection.sendall(len(body).to_bytes(2) + body)
    received = connection.makefile("rb")
    return received.read(int.from_bytes(received.read(2)))


def test_a_hang_up_withdraws_the_request(tmp_path: Path) -> None:
    with (
        Nursery(tmp_path / "logs") as nursery,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        stage = Stage(tmp_path, nursery, interactive=False)
        stage.start_keystore()
        stage.meet_ada()
        stage.start_phone()
        serial = stage.issue("p256")
        stage.start_reader("reader-0", serial, listener.getsockname()[1], "push")
        listener.settimeout(60)
        connection, _ = listener.accept()
        connection.settimeout(60)
        with connection:
            assert exchange(connection, b"\x04").startswith(b"\x3b")
            pin = PASSCODE.encode().ljust(8, b"\xff")
            assert exchange(connection, b"\x00\x20\x00\x80\x08" + pin) == b"\x90\x00"
            sign = bytes.fromhex("0087119A267C2482008120") + b"\x11" * 32 + b"\x00"
            connection.sendall(len(sign).to_bytes(2) + sign)
            request = stage.ringing(stage.prompt(0))
        closed = nursery["phone"].wait_for_json(event="closed", timeout=60)
        assert closed["operation"] == request["operation"]
        assert closed["state"] == "cancelled"
