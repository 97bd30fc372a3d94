"""Revocation lists are fetched over HTTP, by a process that calls nobody else (CIS-01)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from cloud_keystore.est.lists import Lists
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.pki.lists import LARGEST_FETCHED, ExternalList, Fetched, ListAnswer
from support.external_ca import ExternalCa, new_ca
from support.keystore_world import OPERATOR, World

NAME = "trust"


class Place(ThreadingHTTPServer):
    """A server that answers as a test says."""

    asked: ClassVar[list[str]] = []
    answer: Callable[[BaseHTTPRequestHandler], None]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        Place.asked.append(self.path)
        assert isinstance(self.server, Place)
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def giving(
    body: bytes, status: int = 200, **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)

    return answer


@contextmanager
def serving() -> Iterator[Place]:
    Place.asked.clear()
    with Place(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ca(world: World, tmp_path: Path) -> ExternalCa:
    # openssl knows the computer's time alone.
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    made = new_ca(tmp_path / "ca")
    assert world.trusting.trust(NAME, made.certificate, actor=OPERATOR)
    return made


@pytest.fixture
def server(world: World, ca: ExternalCa) -> Iterator[Place]:
    with serving() as running:
        running.answer = giving(ca.revocations())
        world.est_hosts.add(("localhost", running.server_port))
        url = f"http://localhost:{running.server_port}/ca.crl?x=1"
        assert world.external_lists.use(NAME, url, stops=False, actor=OPERATOR)
        yield running


def fetch(world: World, seconds: float = 5.0) -> int:
    lists = Lists(world.list_errands, world.est_hosts, seconds)
    return asyncio.run(lists.fetch(asyncio.Event()))


def held(world: World) -> ExternalList:
    return world.external_lists.list_all(actor=OPERATOR)[NAME].held


def test_a_list_is_fetched_again_and_again(world: World, ca: ExternalCa, server: Place) -> None:
    assert fetch(world) == 1
    assert server.asked == ["/ca.crl?x=1"]
    assert held(world).number == "1000"
    assert fetch(world) == 0
    server.answer = giving(ca.revocations())
    world.clock.forward(hours=1, seconds=2)
    assert fetch(world) == 1
    assert held(world).number == "1001"
    assert len(world.journal(Kind.EXTERNAL_LIST_TAKEN)) == 2
    world.clock.forward(hours=1, seconds=2)
    assert fetch(world) == 1
    assert len(world.journal(Kind.EXTERNAL_LIST_TAKEN)) == 2


def hanging(to: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)
    to.close_connection = True


def endless(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.end_headers()
    part = bytes(1 << 16)
    try:
        for _ in range(LARGEST_FETCHED // len(part) + 2):
            to.wfile.write(part)
    except OSError:
        pass


def silent(to: BaseHTTPRequestHandler) -> None:
    to.close_connection = True


def no_http(to: BaseHTTPRequestHandler) -> None:
    to.wfile.write(b"220 mail.example.org ESMTP\r\n")
    to.close_connection = True


WRONG: dict[str, tuple[Callable[[BaseHTTPRequestHandler], None], str]] = {
    "gone": (giving(b"", 404), "answer is 404"),
    "elsewhere": (giving(b"", 302, Location="http://localhost:1/secret"), "answer is 302"),
    "nonsense": (giving(b"<html>"), "no revocation list"),
    "hanging": (hanging, "does not answer within"),
    "endless": (endless, "has more than"),
    "silent": (silent, "no answer of HTTP"),
    "no HTTP": (no_http, "no answer of HTTP"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_and_tried_again(world: World, server: Place, what: str) -> None:
    """The attack: who has the place sends us elsewhere, or more than we can keep. What is held
    stays.
    """
    assert fetch(world) == 1
    server.answer, reason = WRONG[what]
    for tries in (1, 2):
        world.clock.forward(hours=1, seconds=1)
        assert fetch(world, 0.3) == 1
        now = held(world)
        assert reason in now.why
        assert now.fix
        assert (now.number, now.tries) == ("1000", tries)
        assert now.fetch_time is not None
        assert (now.fetch_time - world.clock()).total_seconds() == 30 * tries
    assert len(server.asked) == 3


def test_only_hosts_that_are_allowed_are_called(world: World, server: Place) -> None:
    """The attack: an address from before the administrator has forbidden its host."""
    world.est_hosts.clear()
    assert fetch(world) == 1
    assert server.asked == []
    assert "may not call localhost" in held(world).why


def test_one_that_was_not_tried_goes_back(world: World, server: Place) -> None:
    async def stopped() -> int:
        stop = asyncio.Event()
        stop.set()
        return await Lists(world.list_errands, world.est_hosts).fetch(stop)

    assert asyncio.run(stopped()) == 1
    assert server.asked == []
    assert fetch(world) == 1
    assert held(world).number == "1000"


def test_two_processes_fetch_once(world: World, server: Place) -> None:
    """Who comes late with an answer changes nothing."""
    (late,) = world.list_errands.take()
    assert world.list_errands.take() == []
    world.clock.forward(minutes=3)
    assert fetch(world) == 1
    before = held(world)
    world.list_errands.tell(late.authority_id, late.tries, ListAnswer(Fetched.WRONG, why="late"))
    assert held(world) == before
    assert len(server.asked) == 1
