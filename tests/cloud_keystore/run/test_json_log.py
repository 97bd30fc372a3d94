"""A keystore told to log as JSON writes nothing else, whatever happens around it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.postgres import Server

SECONDS = 60.0
RESET = b"\1\0\0\0\0\0\0\0"  # a linger of no seconds: what was sent is not waited for
SERVE = ("-m", "cloudcard_tools", "serve", "--log-format", "json")


def hang_up(port: int, request: bytes) -> None:
    """Ask, and be gone before the answer."""
    with socket.create_connection(("127.0.0.1", port), 5) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        probe.sendall(request)


def test_every_line_is_json(tmp_path: Path, postgresql: Server) -> None:
    """While probes hang up, strangers speak no TLS, the database restarts, and it is stopped."""
    main, enrolment, http = free_ports(3)
    with Nursery(tmp_path / "logs") as nursery:
        keystore = nursery.start_python(
            "keystore",
            *("-X", "dev"),  # Python's own warnings too
            *(*SERVE, "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{main}"),
            *("--database", postgresql.new_database()),
            *("--enrol-listen", f"127.0.0.1:{enrolment}", "--http-listen", f"127.0.0.1:{http}"),
        )
        keystore.wait_for("Keystore ready", timeout=SECONDS)
        for _ in range(20):
            hang_up(http, b"GET /metrics HTTP/1.1\r\n\r\n" * 50)
        hang_up(http, b"GET /metr")
        for port in (main, enrolment):
            hang_up(port, b"GET / HTTP/1.1\r\n\r\n")
        postgresql.stop("immediate")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{http}/health/ready", timeout=SECONDS)
        time.sleep(1.2)  # for the upkeep and the wake-ups, which find it gone
        postgresql.start()
        keystore.kill(signal.SIGTERM)
        assert keystore.wait(SECONDS) == 0
    lines = "".join(path.read_text() for path in (tmp_path / "logs").iterdir()).splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert any(event.startswith("Keystore ready") for event in events)
    assert {"not ready", "stopping"} <= set(events)
    assert "uncaught exception" not in events


def test_a_start_that_cannot_be_is_json_too(tmp_path: Path) -> None:
    ended = serve(tmp_path, "--public-address", "nonsense")
    assert ended.returncode == 1
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert "is not an address" in json.loads(line)["event"]


@pytest.mark.parametrize("closed", [">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_nobody_reads_what_it_says(tmp_path: Path, closed: str) -> None:
    main, enrolment, http = free_ports(3)
    command = (
        *(sys.executable, *SERVE, "--data", str(tmp_path), "--listen", f"127.0.0.1:{main}"),
        *("--enrol-listen", f"127.0.0.1:{enrolment}", "--http-listen", f"127.0.0.1:{http}"),
    )
    child = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *command])
    try:
        until_ready(http)
    finally:
        child.terminate()
    assert child.wait(SECONDS) == 0


def until_ready(port: int) -> None:
    for _ in range(int(10 * SECONDS)):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=SECONDS).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it does not serve")


def serve(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *SERVE, "--data", str(data), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env=os.environ,
    )
