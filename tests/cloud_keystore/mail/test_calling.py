"""Webhooks are called over HTTPS, at the address that was looked at, and nobody leads the keystore
into its own network; by a real HTTPS server's account.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_keystore.mail.sending import Tried
from cloud_keystore.mail.webhooks.calling import LARGEST_HEAD, Calling
from cloud_keystore.mail.webhooks.signing import Signed
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.outbox.notifications import Outcome
from cloud_keystore.model.outbox.webhooks import address
from support.authority import Authority
from support.hooks import Gateway, serving

BODY = b'{"type":"user.added"}'


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """That of servers called localhost."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(authority.write_server(tmp_path_factory.mktemp("server")))
    return made


@pytest.fixture
def server(tls: ssl.SSLContext) -> Iterator[Gateway]:
    with serving(Gateway(), tls) as running:
        yield running


@pytest.fixture
def calling(authority: Authority, tmp_path: Path) -> Calling:
    roots = ssl.create_default_context(cafile=authority.write(tmp_path))
    return Calling({"localhost"}, roots, seconds=5)


def signed(port: int, host: str = "localhost", path: str = "/hook?a=b") -> Signed:
    url = f"https://{host}:{port}{path}"
    return Signed("0192", "0193", 1, url, 1_790_000_000, "v1,c2lnbmF0dXJl", BODY)


def called(calling: Calling, what: Signed) -> Tried:
    return asyncio.run(calling.call(what))


def test_it_is_posted_with_its_signature(calling: Calling, server: Gateway) -> None:
    assert called(calling, signed(server.port)).outcome is Outcome.TAKEN
    [(path, headers, raw)] = server.received
    assert (path, raw) == ("/hook?a=b", BODY)
    assert headers["webhook-id"] == "0192"
    assert headers["webhook-timestamp"] == "1790000000"
    assert headers["webhook-signature"] == "v1,c2lnbmF0dXJl"
    assert headers["Host"] == f"localhost:{server.port}"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, Outcome.TAKEN),
        (400, Outcome.LATER),
        (401, Outcome.LATER),
        (410, Outcome.REFUSED),
        (429, Outcome.LATER),
        (500, Outcome.LATER),
    ],
)
def test_what_the_answer_means(
    calling: Calling, server: Gateway, status: int, outcome: Outcome
) -> None:
    server.answers = [(status, {})]
    assert called(calling, signed(server.port)).outcome is outcome


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_sends_us_elsewhere(
    calling: Calling, server: Gateway, tls: ssl.SSLContext, status: int
) -> None:
    """The attack: a webhook leads the keystore to a service of its own network."""
    with serving(Gateway(), tls) as elsewhere:
        server.answers = [(status, {"Location": f"https://localhost:{elsewhere.port}/"})]
        assert called(calling, signed(server.port)).outcome is Outcome.LATER
        assert elsewhere.received == []


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.1.2.3"],
        ["172.16.0.1"],
        ["192.168.0.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        ["fe80::1%eth0"],
        ["fd00::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["2001:0:7f00:1::"],
        ["224.0.0.1"],
        ["255.255.255.255"],
        ["93.184.216.34", "127.0.0.1"],
    ],
)
def test_a_name_that_leads_into_the_own_network(
    calling: Calling, server: Gateway, found: Sequence[str]
) -> None:
    """The attack: an API client names a host of its own, whose name stands for an address of the
    keystore's computer or network.
    """

    async def resolve(host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("hr.example.org", server.port)
        return found

    tried = called(
        Calling(set(), calling.tls, resolve, seconds=1), signed(server.port, "hr.example.org")
    )
    assert (tried.outcome, tried.why) == (Outcome.LATER, "the address is none of the internet")
    assert server.received == []


def test_a_name_is_resolved_once(
    calling: Calling, server: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: a name stands for a good address when it is looked at, and for another one when
    the keystore connects. What was looked at is what is connected to.
    """
    asked: list[str] = []
    connected: list[str] = []
    open_connection = asyncio.open_connection

    async def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34"]

    async def connect(host: str, port: int, **terms: object) -> object:
        connected.append(host)
        assert terms["server_hostname"] == "localhost"
        return await open_connection("127.0.0.1", port, **terms)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "open_connection", connect)
    outside = Calling(set(), calling.tls, resolve, seconds=5)
    assert called(outside, signed(server.port)).outcome is Outcome.TAKEN
    assert (asked, connected) == (["localhost"], ["93.184.216.34"])


def test_a_server_is_known_by_its_certificate(calling: Calling, server: Gateway) -> None:
    """The attack: somebody on the way answers in its place."""
    stranger = Calling({"localhost"}, ssl.create_default_context(), seconds=5)
    assert called(stranger, signed(server.port)).outcome is Outcome.LATER
    other = Calling({"127.0.0.1"}, calling.tls, seconds=5)
    assert called(other, signed(server.port, "127.0.0.1")).outcome is Outcome.LATER
    assert server.received == []


@contextmanager
def answering(tls: ssl.SSLContext, *parts: bytes, pause: float = 0.0) -> Iterator[int]:
    """A server that says what it is told, whatever comes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listening.accept()
        try:
            with tls.wrap_socket(plain, server_side=True) as talking:
                talking.recv(4096)
                for each in parts:
                    talking.sendall(each)
                    time.sleep(pause)
                # To close what was not read to its end would take back what was said.
                talking.shutdown(socket.SHUT_WR)
                while talking.recv(4096):
                    pass
        except OSError:  # the keystore has gone
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join()
        listening.close()


def test_an_answer_without_an_end(calling: Calling, tls: ssl.SSLContext) -> None:
    """The attack: a webhook fills the memory of the process, or holds it for ever."""
    line = b"x-more: " + b"y" * 1000 + b"\r\n"
    with answering(tls, b"HTTP/1.1 200 OK\r\n", *[line] * (LARGEST_HEAD // 500)) as port:
        tried = called(calling, signed(port))
    assert (tried.outcome, tried.why) == (Outcome.LATER, "the answer was no HTTP")
    slow = Calling(calling.inside, calling.tls, seconds=0.5)
    began = time.monotonic()
    with answering(tls, *[b"HTTP/1.1 100 Continue\r\n\r\n"] * 20, pause=0.1) as port:
        tried = called(slow, signed(port))
        took = time.monotonic() - began
    assert (tried.outcome, tried.why) == (Outcome.LATER, "there was no answer in time")
    assert took < 2
    with answering(tls, b"\x00\x01 no HTTP\r\n\r\n") as port:
        assert called(calling, signed(port)).outcome is Outcome.LATER
    with answering(tls) as port:
        assert called(calling, signed(port)).outcome is Outcome.LATER


def test_one_that_is_gone(calling: Calling) -> None:
    with serving(Gateway()) as gone:
        pass
    tried = called(calling, signed(gone.port))
    assert tried.outcome is Outcome.LATER
    assert str(gone.port) not in tried.why


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://hr.example.org/",
        "hr.example.org",
        "https://localhost/",
        "https://printer/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://user:word@hr.example.org/",
        "https://hr.example.org:0/",
        "https://hr.example.org:99999/",
        "https://hr.example.org/#there",
        "https://hr.exam ple.org/",
        "https://hr.example.org/\r\nHost: x",
        "https://hr.example.org/" + "x" * 600,
        "https://[::1",
        "https://",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_not_taken(url: str) -> None:
    with pytest.raises(InvalidInput):
        address(url, {"hr.internal"})


@pytest.mark.parametrize(
    "url", ["https://hr.example.org/v1?a=b", "https://hr.internal:8443/", "https://93.184.216.34/"]
)
def test_an_address_that_is_taken(url: str) -> None:
    assert address(url, {"hr.internal"}) == url


def test_addresses_of_the_internet() -> None:
    for each in ("8.8.8.8", "2606:4700::1111"):
        numeric = hosts.number(each)
        assert numeric is not None
        assert hosts.is_public(numeric)
