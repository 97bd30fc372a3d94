"""Calls of a broker end, whatever it does, and nobody is followed elsewhere."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from cloudcard_tools.shared.failures import OutOfReach, Refused
from cloudcard_tools.spine.broker import Broker
from support.brokers import PATIENCE, broken

SOON = 2.0
FOUND = b"HTTP/1.1 302 Found\r\nLocation: https://localhost:%d/login/authactivate\r\n"
NOTHING = b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_a_broker_that_sends_byte_after_byte_is_not_waited_for(tmp_path: Path, said: bytes) -> None:
    """SPINE-02: it answers for ever, each time before a socket's own time-out."""
    with broken(tmp_path, said, endless=True) as (port, trust):
        broker = Broker(f"https://localhost:{port}", ssl.create_default_context(cafile=trust), SOON)
        with pytest.raises(OutOfReach, match="more than 2 seconds"):
            broker.activate()


def test_a_broker_that_sends_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """SPINE-02: not even to itself."""
    with broken(tmp_path, FOUND % 1 + NOTHING) as (port, trust):
        broker = Broker(
            f"https://localhost:{port}", ssl.create_default_context(cafile=trust), PATIENCE
        )
        with pytest.raises(Refused, match="302, which is not followed"):
            broker.activate()


def test_an_answer_that_is_too_large(tmp_path: Path) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"<" * 2_000_000
    with broken(tmp_path, said) as (port, trust):
        broker = Broker(
            f"https://localhost:{port}", ssl.create_default_context(cafile=trust), PATIENCE
        )
        with pytest.raises(Refused, match="more than 1048576 bytes"):
            broker.activate()
