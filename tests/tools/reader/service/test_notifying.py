"""What systemd is told."""

from __future__ import annotations

import socket
from pathlib import Path

from cloudcard_tools.reader.service.notifying import Notifier


def test_each_message_is_one_datagram(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        told = Notifier.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}, 1)
        told.ready()
        told.status("one\nline")
        told.alive()
        told.stopping()
        said = [manager.recv(100) for _ in range(4)]
    assert said == [b"READY=1", b"STATUS=one line", b"WATCHDOG=1", b"STOPPING=1"]
    told.ready()  # a manager that is gone stops nothing


def test_a_name_in_the_abstract_namespace(tmp_path: Path) -> None:
    name = f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:])
        Notifier.of({"NOTIFY_SOCKET": name}, 1).ready()
        assert manager.recv(100) == b"READY=1"


def test_the_watchdog_is_for_the_process_that_it_names() -> None:
    environment = {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}
    assert Notifier.of(environment, 7).watchdog_seconds == 2.0
    assert Notifier.of(environment, 8).watchdog_seconds == 0.0
    assert Notifier.of({"WATCHDOG_USEC": "soon"}, 8).watchdog_seconds == 0.0
    Notifier.of({}, 8).alive()  # without a manager nothing is told
