"""Health, reflection and the way a keystore stops, asked at its ports."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial, wraps
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cloud_keystore.model.clock import utc_now
from cloud_keystore.rpc import health
from cloud_keystore.rpc.health import Health
from cloud_keystore.run.offering.wiring import SERVICES
from cloud_keystore.run.tending import TEND_SECONDS
from cloudcard.registry.v1 import identities_pb2, people_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment.tokens import ENROLMENT_HOST
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.shared.reaching import split
from support import schema
from support.keystore_process import KeystoreProcess, code

SECONDS = 60.0
SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
MESSAGE_SECONDS, BEGUN = 3, 20  # all are begun before the first has ended


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        limits = ("--limit", f"message={MESSAGE_SECONDS}", "--limit", f"begun={BEGUN}")
        yield KeystoreProcess(folder, nursery, ("--reflection", *limits))


def test_health_is_told_to_any_role_of_each_service(keystore: KeystoreProcess) -> None:
    _, phone = keystore.holder("ada")
    for who in (phone, keystore.operator):
        with identity.channel(who) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for service in ("", *SERVICES):
                asked = pb.HealthCheckRequest(service=service)
                assert stub.Check(asked, timeout=SECONDS).status == SERVING
            listed = stub.List(pb.HealthListRequest(), timeout=SECONDS).statuses
            assert {name: each.status for name, each in listed.items()} == dict.fromkeys(
                ("", *SERVICES), SERVING
            )
            with pytest.raises(grpc.RpcError) as refused:
                stub.Check(pb.HealthCheckRequest(service="none.Such"), timeout=SECONDS)
            assert code(refused.value) is grpc.StatusCode.NOT_FOUND


def test_nobody_without_a_certificate_is_told(keystore: KeystoreProcess) -> None:
    ca = (keystore.operator.folder / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(ca)
    with grpc.secure_channel(keystore.address, credentials) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            health_pb2_grpc.HealthStub(channel).Check(pb.HealthCheckRequest(), timeout=SECONDS)
        assert code(refused.value) is grpc.StatusCode.UNAVAILABLE


def test_reflection_names_every_service_and_describes_it(keystore: KeystoreProcess) -> None:
    ask = reflection_pb2.ServerReflectionRequest
    with identity.channel(keystore.operator) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([ask(list_services="")]), timeout=SECONDS)
        named = {each.name for each in answer.list_services_response.service}
        assert set(SERVICES) <= named
        assert "grpc.health.v1.Health" in named
        for service in SERVICES:
            asked = iter([ask(file_containing_symbol=service)])
            (answer,) = stub.ServerReflectionInfo(asked, timeout=SECONDS)
            files = answer.file_descriptor_response.file_descriptor_proto
            described = {
                f"{file.package}.{each.name}"
                for file in map(FileDescriptorProto.FromString, files)
                for each in file.service
            }
            assert service in described


def test_reflection_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    """A device opened 22,000 streams of reflection, and the service stopped."""
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery)
        with identity.channel(keystore.operator) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            with pytest.raises(grpc.RpcError) as refused:
                next(stub.ServerReflectionInfo(asked, timeout=SECONDS))
            assert code(refused.value) is grpc.StatusCode.UNIMPLEMENTED


def test_one_caller_does_not_take_the_watches_of_others(keystore: KeystoreProcess) -> None:
    """One phone opened a hundred watches, and no balancer could watch."""
    _, phone = keystore.holder("bo")
    with identity.channel(phone) as greedy, identity.channel(keystore.operator) as other:
        stub = health_pb2_grpc.HealthStub(greedy)
        held = [stub.Watch(pb.HealthCheckRequest()) for _ in range(health.MOST_WATCHES_OF_ONE)]
        for each in held:
            assert next(each).status == SERVING
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.Watch(pb.HealthCheckRequest(), timeout=SECONDS))
        assert code(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
        mine = health_pb2_grpc.HealthStub(other).Watch(pb.HealthCheckRequest(), timeout=SECONDS)
        assert next(mine).status == SERVING


def test_a_removed_identity_loses_its_connection_at_once(keystore: KeystoreProcess) -> None:
    """It kept its connections, and could have calls on them that never end."""
    names = ("removed", "kept")
    who = {name: keystore.workstation(name) for name in names}
    ready, lost = ({name: threading.Event() for name in names} for _ in range(2))

    def watch(name: str, state: grpc.ChannelConnectivity) -> None:
        is_ready = state is grpc.ChannelConnectivity.READY
        ready[name].set() if is_ready else (ready[name].is_set() and lost[name].set())

    with ExitStack() as stack:
        for name in names:
            channel = stack.enter_context(identity.channel(who[name]))
            channel.subscribe(partial(watch, name))
            health_pb2_grpc.HealthStub(channel).Check(pb.HealthCheckRequest(), timeout=SECONDS)
            assert ready[name].wait(SECONDS)
        asked = identities_pb2.RemoveWorkstationRequest(
            workstation_id=who["removed"].id, reason="stolen"
        )
        time.sleep(TEND_SECONDS)  # its call has been seen
        keystore.registry.identities.RemoveWorkstation(asked)
        assert lost["removed"].wait(SECONDS)
        assert not lost["kept"].is_set()


def begin(channel: grpc.Channel, method: str, stack: ExitStack) -> grpc.Call:
    """A call that brings no message, as long as the stack is there."""
    held = threading.Event()
    stack.callback(held.set)

    def nothing() -> Iterator[bytes]:
        held.wait(SECONDS)
        yield from ()

    call: grpc.Call = channel.stream_stream(method)(nothing())
    return call


@pytest.mark.parametrize("is_stranger", [False, True])
def test_calls_without_a_message_are_few_and_end_soon(
    keystore: KeystoreProcess, is_stranger: bool
) -> None:
    """An identity began 200 calls on each of 64 connections, for an hour, and two such identities
    left no place for anybody; a stranger could do the same at the enrolment port.
    """
    with ExitStack() as stack:
        if is_stranger:
            pinned = ssl.get_server_certificate(split(keystore.enrolment_address)).encode()
            credentials = grpc.ssl_channel_credentials(pinned)
            name = (("grpc.ssl_target_name_override", ENROLMENT_HOST),)
            opened = grpc.secure_channel(keystore.enrolment_address, credentials, name)
            method = "/cloudcard.enrolment.v1.EnrolmentService/Enrol"
        else:
            opened = identity.channel(keystore.workstation("begins"))
            method = "/cloudcard.workstation.v1.WorkstationService/WatchOperation"
        channel = stack.enter_context(opened)
        started = time.monotonic()
        calls = [begin(channel, method, stack) for _ in range(BEGUN + 10)]
        list(
            keystore.registry.people.ListUsers(people_pb2.ListUsersRequest())
        )  # a neighbour's call
        codes = Counter(each.code() for each in calls)
        assert codes == {
            grpc.StatusCode.RESOURCE_EXHAUSTED: 10,
            grpc.StatusCode.DEADLINE_EXCEEDED: BEGUN,
        }
        assert time.monotonic() - started < 10 * MESSAGE_SECONDS
        again = begin(channel, method, stack)
        assert again.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # there is room again


def nobody(_peer: str, _fingerprint: bytes) -> None:
    """Nobody notes who called."""


def test_silent_connections_are_closed(keystore: KeystoreProcess) -> None:
    """A stranger opened 1,224 connections that said nothing, and the service had no descriptor
    left. At the enrolment port a stranger can also be silent after the handshake.
    """
    host, _, port = keystore.address.partition(":")
    _, _, enrolment = keystore.enrolment_address.partition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), 5) as bare,
        socket.create_connection((host, int(enrolment)), 5) as bare_too,
        context.wrap_socket(socket.create_connection((host, int(enrolment)), 5)) as silent,
    ):
        begun = time.monotonic()
        for each in (bare, bare_too, silent):
            each.settimeout(20)
            with suppress(ConnectionResetError):
                while each.recv(4096):  # the server's settings, and that it goes away
                    pass
        # gRPC by itself gives a handshake two minutes.
        assert time.monotonic() - begun < 30


def test_no_service_of_the_protocol_is_left_out() -> None:
    """A new service that is not in the list would have no health and no reflection."""
    found = {service.full_name for service in schema.SERVICES}
    assert found - {schema.ENROLMENT} == set(SERVICES)


def test_a_stop_lets_a_call_under_way_end_and_takes_no_new_one(tmp_path: Path) -> None:
    probe = f"127.0.0.1:{free_ports(1)[0]}"
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, ("--http-listen", probe))
        assert page(f"http://{probe}/health/ready") == (200, b"ready\n")
        keystore.registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Bo"))
        database = sqlite3.connect(tmp_path / "keystore" / "keystore.db", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")  # whoever writes waits
        done: list[str] = []

        def create() -> None:
            request = people_pb2.CreateUserRequest(display_name="Ada")
            done.append(keystore.registry.people.CreateUser(request, timeout=SECONDS).user.id)

        calling = threading.Thread(target=create)
        calling.start()
        deadline = time.monotonic() + SECONDS
        while b"cloudcard_rpc_under_way 1.0" not in page(f"http://{probe}/metrics")[1]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        keystore.child.kill(signal.SIGTERM)
        while page(f"http://{probe}/health/ready") != (503, b"starting or stopping\n"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        host, _, port = keystore.address.partition(":")
        while True:  # until nobody listens
            try:
                socket.create_connection((host, int(port)), 1).close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not done
        database.execute("ROLLBACK")
        database.close()
        calling.join()
        assert done
        assert keystore.child.wait(SECONDS) == 0


def page(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@asynccontextmanager
async def served(watched: Health) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    server = grpc.aio.server()
    watched.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield health_pb2_grpc.HealthStub(channel)
    finally:
        await server.stop(None)


def in_a_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(test(**fixtures))

    return run


class Database:
    """Answers or not, as told; or not in time."""

    def __init__(self) -> None:
        self.answers = True
        self.released = threading.Event()
        self.released.set()

    def check(self) -> bool:
        self.released.wait(10)
        return self.answers


@in_a_loop
async def test_who_watches_is_told_of_each_change_and_of_the_end() -> None:
    database = Database()
    watched = Health(["a.Service"], database.check, nobody, utc_now)
    async with served(watched) as stub:
        stream = stub.Watch(pb.HealthCheckRequest(service="a.Service"))
        unknown = stub.Watch(pb.HealthCheckRequest(service="none.Such"))
        assert (await stream.read()).status == NOT_SERVING  # nothing is known yet
        assert (await unknown.read()).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
        for answers in (True, False, True):
            database.answers = answers
            await watched.look()
            assert (await stream.read()).status == (SERVING if answers else NOT_SERVING)
        watched.stop()
        assert (await stream.read()).status == NOT_SERVING
        for each in (stream, unknown):
            assert await each.code() is grpc.StatusCode.UNAVAILABLE
        assert (await stub.Check(pb.HealthCheckRequest())).status == NOT_SERVING


@in_a_loop
async def test_a_database_that_hangs_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    watched = Health([], database.check, nobody, utc_now)
    async with served(watched) as stub:
        await watched.look()
        assert (await stub.Check(pb.HealthCheckRequest())).status == SERVING
        database.released.clear()
        with monkeypatch.context() as hurried:
            hurried.setattr(health, "ANSWER_SECONDS", 0.05)
            await watched.look()
        assert (await stub.Check(pb.HealthCheckRequest())).status == NOT_SERVING
        database.released.set()
        await watched.look()
        assert (await stub.Check(pb.HealthCheckRequest())).status == SERVING
        watched.stop()


@in_a_loop
async def test_watching_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_WATCHES", 2)
    watched = Health([], lambda: True, nobody, utc_now)
    async with served(watched) as stub:
        streams = [stub.Watch(pb.HealthCheckRequest()) for _ in range(2)]
        for each in streams:
            await each.read()
        third = stub.Watch(pb.HealthCheckRequest())
        assert await third.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        streams[0].cancel()
        deadline = time.monotonic() + SECONDS
        while True:  # until the server has noticed
            again = stub.Watch(pb.HealthCheckRequest())
            if await again.read() is not grpc.aio.EOF:
                break
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        watched.stop()
