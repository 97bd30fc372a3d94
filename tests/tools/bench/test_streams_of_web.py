"""Streams of the bench of the pages, at a keystore of a few lines that is slow, or ends them."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cloudcard_tools.bench import families
from cloudcard_tools.bench.certificates import HOST
from cloudcard_tools.bench.web import measuring
from cloudcard_tools.bench.web.approving import Desk
from cloudcard_tools.bench.web.browser import Browser
from cloudcard_tools.bench.web.crowd import waiting
from cloudcard_tools.bench.web.device import REQUESTS, PageDevice

LONGEST_PID = 2**22


@dataclass
class Keystore:
    """What the stand-in does."""

    old: int = 0  # how many nonces are too old that were given
    lasts: bool = True  # whether streams do
    asked: list[str] = field(default_factory=list)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, keystore: Keystore, *others: object) -> None:
        self.keystore = keystore
        super().__init__(*others)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.keystore.asked.append(self.path)
        if self.path != REQUESTS:
            self._answer(200)
        elif self.keystore.old:
            self.keystore.old -= 1
            self._answer(401)
        else:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with suppress(OSError):
                self._beat()
                while self.keystore.lasts:
                    self._beat()
            self.close_connection = True

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("DPoP-Nonce", f"nonce-{len(self.keystore.asked)}")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def _beat(self) -> None:
        self.wfile.write(b"3\r\n:\n\n\r\n")
        time.sleep(0.0001)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Pages are closed without a word."""


@pytest.fixture
def keystore() -> Keystore:
    return Keystore()


@pytest.fixture
def device(keystore: Keystore, tmp_path: Path) -> Iterator[PageDevice]:
    trust = measuring.certify(tmp_path)
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(tmp_path / "web.pem", tmp_path / "web.key")
    with Server((HOST, 0), partial(Answering, keystore)) as server:
        server.socket = own.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        with closing(Browser(server.server_port, trust)) as browser:
            yield PageDevice(browser, ec.generate_private_key(ec.SECP256R1()), os.urandom(32))
        keystore.lasts = False
        server.shutdown()
        thread.join()


def test_a_page_is_closed_while_events_come(device: PageDevice) -> None:
    """What the connection says then is no fault, which pytest would find in the thread."""
    desk = Desk(None, device, "", b"")  # type: ignore[arg-type]
    for _ in range(30):
        with desk.listening():
            pass
    assert desk.rings.empty()


def test_a_page_whose_stream_ends_says_so(keystore: Keystore, device: PageDevice) -> None:
    keystore.lasts = False
    desk = Desk(None, device, "", b"")  # type: ignore[arg-type]
    with desk.listening():
        why = desk.rings.get(timeout=60)
    assert "the keystore has ended the stream" in str(why)


def test_a_page_that_cannot_be_opened_says_why(keystore: Keystore, device: PageDevice) -> None:
    keystore.old = 100
    desk = Desk(None, device, "", b"")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="a stream was answered by 401"), desk.listening():
        pytest.fail("it is open")


def test_an_old_nonce_is_replaced(keystore: Keystore, device: PageDevice) -> None:
    keystore.old = 2
    with Desk(None, device, "", b"").listening():  # type: ignore[arg-type]
        assert device.nonce == "nonce-3"
    keystore.old = 1
    with waiting(device, [os.urandom(32)], lambda _: None) as crowd:
        assert crowd.still_open() == 1


def test_streams_that_are_not_opened_say_why(keystore: Keystore, device: PageDevice) -> None:
    keystore.old = 100
    told = pytest.raises(RuntimeError, match=r"a stream was not opened: HTTP/1\.1 401")
    with told, waiting(device, [os.urandom(32)], lambda _: None):
        pytest.fail("it is open")
    assert keystore.asked.count(REQUESTS) == 3


def test_a_process_that_has_ended_has_no_memory() -> None:
    assert families.resident_mib(os.getpid()) > 1
    assert families.resident_mib(LONGEST_PID + 1) == 0.0
