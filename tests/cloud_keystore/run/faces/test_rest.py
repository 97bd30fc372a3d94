"""The port of the REST API, at a real keystore: TLS, and strangers who hold connections."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection

import pytest

from cloud_keystore.http.listening import HEAD_SECONDS
from cloud_keystore.http.places import MOST_OF_PLACE
from cloudcard.registry.v1 import clients_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.polling import until


@dataclass
class Port:
    """A keystore that serves the API, and a client's token."""

    keystore: KeystoreProcess
    port: int
    token: str
    client_id: str

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.keystore.folder / "operator" / "ca.pem"))

    def connected(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        return self.tls.wrap_socket(plain, server_hostname="127.0.0.1")

    def get(self, path: str) -> tuple[int, dict[str, object]]:
        asking = HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=60)
        asking.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        told = asking.getresponse()
        found = told.status, json.loads(told.read())
        asking.close()
        return found


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    folder = tmp_path_factory.mktemp("rest")
    (number,) = free_ports(1)
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery, ("--rest", f"127.0.0.1:{number}"))
        asked = clients_pb2.CreateClientRequest(display_name="HR", roles=["ra-manager"])
        made = keystore.registry.clients.CreateClient(asked)
        yield Port(keystore, number, made.token, made.client.id)


def test_its_certificate_is_the_services(port: Port) -> None:
    status, told = port.get("/v1/client")
    assert (status, told["id"]) == (200, port.client_id)


def test_a_connection_has_several_requests(port: Port) -> None:
    asking = HTTPSConnection("127.0.0.1", port.port, context=port.tls, timeout=60)
    for _ in range(3):
        asking.request("GET", "/v1/client", headers={"Authorization": f"Bearer {port.token}"})
        told = asking.getresponse()
        assert told.status == 200
        told.read()
    asking.close()


def test_what_is_no_http_is_told_so(port: Port) -> None:
    with port.connected() as talking:
        talking.sendall(b"\x00\x01\x02\r\n\r\n")
        said = b""
        while part := talking.recv(4096):
            said += part
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in said


def test_whoever_is_silent_is_not_waited_for(port: Port) -> None:
    began = time.monotonic()
    with port.connected() as silent, port.connected() as slow:
        slow.sendall(b"GET /v1/client HTTP/1.1\r\nX-Slow: ")
        for each in (silent, slow):
            assert ended(each)
    assert time.monotonic() - began < 3 * HEAD_SECONDS


def test_one_place_does_not_take_all_connections(port: Port) -> None:
    """Whoever is one too many gets no handshake."""
    open_ = [port.connected() for _ in range(MOST_OF_PLACE)]
    try:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            port.connected()
    finally:
        for each in open_:
            each.close()
    until(lambda: answers(port))


def test_a_removed_client_is_refused_at_once(port: Port) -> None:
    clients = port.keystore.registry.clients
    asked = clients_pb2.CreateClientRequest(display_name="Other", roles=["support"])
    made = clients.CreateClient(asked)
    other = Port(port.keystore, port.port, made.token, made.client.id)
    assert other.get("/v1/users")[0] == 200
    clients.RemoveClient(clients_pb2.RemoveClientRequest(client_id=made.client.id, reason="x"))
    status, told = other.get("/v1/users")
    assert (status, told["type"]) == (401, "urn:cloudcard:problem:identity-rejected")


def answers(port: Port) -> bool:
    """Whether a client is let in."""
    try:
        return port.get("/v1/client")[0] == 200
    except OSError:
        return False


def ended(talking: ssl.SSLSocket) -> bool:
    """Whether the other end closes a connection without a word."""
    try:
        return talking.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True
