"""Two workers on one SQLite database and the same ports: whoever is killed, stopped or starts anew,
nothing is lost and nobody stays behind.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from card_os.keys import KeyResult
from cloud_keystore.config import Address, Settings
from cloud_keystore.run import owning
from cloud_keystore.run.ports import wait_until_free
from cloud_keystore.storage import tables
from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2, authenticator_pb2_grpc
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone, Ringing
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery, ProcessFailed
from reader_bridge.remote.operation import RemoteOperation
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation
from support.endings import gone
from support.keystore_process import KeystoreProcess, Workstation, code
from support.postgres import Server
from support.records import change
from support.screen import Screen

SECONDS = 60.0
SOON = 25.0  # sooner than a use without a process is given up
TWO = ("--workers", "2")
CARDS = 3  # each has one operation at a time
DIGEST = b"\x11" * 32
ENDED = {
    approval_pb2.OPERATION_STATE_SUCCEEDED,
    approval_pb2.OPERATION_STATE_FAILED,
    approval_pb2.OPERATION_STATE_CANCELLED,
}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Ward:
    """A keystore of two workers, a holder with a phone, a workstation and cards."""

    def __init__(self, folder: Path, nursery: Nursery, *options: str) -> None:
        self.folder = folder
        self.keystore = KeystoreProcess(folder, nursery, (*TWO, *options))
        user_id, self.phone = self.keystore.holder("ada")
        self.pc = self.keystore.workstation("pc")
        self.serials = [self.keystore.card(user_id, self.phone) for _ in range(CARDS)]
        self.serial = self.serials[0]

    def states(self) -> Counter[int]:
        """How many operations there are in each state."""
        with (
            closing(sqlite3.connect(self.folder / "keystore" / "keystore.db")) as database,
            database,
        ):
            rows = database.execute("SELECT state FROM operation").fetchall()
        database.close()
        return Counter(state for (state,) in rows)

    def connection(self, who: identity.Identity, worker: int) -> grpc.Channel:
        """A connection that the kernel has given to this worker."""
        for _ in range(60):
            channel = identity.channel(who)
            trace_id = os.urandom(16).hex()
            metadata = (("traceparent", f"00-{trace_id}-{trace_id[:16]}-01"),)
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
            with suppress(grpc.RpcError):  # of another role: refused, and logged all the same
                stub.Ping(pb.PingRequest(), metadata=metadata, timeout=SECONDS)
            eventually(lambda: self._answered(trace_id) is not None)  # noqa: B023 (called here)
            if self._answered(trace_id) == worker:
                return channel
            channel.close()
        raise AssertionError(f"no connection came to worker {worker}")

    def _answered(self, trace_id: str) -> int | None:
        """The worker that answered a call."""
        for each in entries(self.keystore):
            if each["event"] == "call" and each.get("trace_id") == trace_id:
                return int(str(each["worker"]))
        return None


def entries(keystore: KeystoreProcess) -> list[dict[str, object]]:
    """The log of all processes."""
    lines = keystore.child.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def workers(keystore: KeystoreProcess, kind: str = "worker") -> dict[int, int]:
    """Process ids of the workers, or of those of custody, that serve now, by number; waits until
    there are two.
    """

    def serving() -> dict[int, int]:
        started = [each for each in entries(keystore) if each["event"] == f"{kind} serves"]
        pids = {int(str(each[kind])): int(str(each["pid"])) for each in started}
        return {number: pid for number, pid in pids.items() if not gone(pid)}

    eventually(lambda: len(serving()) == 2)
    return serving()


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    with Nursery(folder / "logs") as nursery:
        yield Ward(folder, nursery)


class Holder:
    """A phone that approves whatever rings, and goes on after every end of its stream."""

    def __init__(self, phone: identity.Identity, numbers: dict[str, str]) -> None:
        self._phone = phone
        self._numbers = numbers  # by operation, as workstations show them
        self._done = False
        self._channel = identity.channel(phone)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Holder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done = True
        self._channel.close()
        self._thread.join()

    def _run(self) -> None:
        phone = Phone(self._phone, self._channel)
        while not self._done:
            with suppress(grpc.RpcError, ValueError):  # ValueError: the channel was closed
                for event in phone.watch():
                    if isinstance(event, Ringing):
                        eventually(lambda: event.operation_id in self._numbers)  # noqa: B023
                        phone.approve(event, self._numbers[event.operation_id])
            time.sleep(0.1)


def sign(ward: Ward, serial: str, numbers: dict[str, str]) -> KeyResult:
    """One use of the key as a reader asks for it, by whichever worker."""
    with identity.channel(ward.pc) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        asked = create(stub, serial)
        screen = Screen()
        operation = RemoteOperation(stub, Watches(channel), screen, Cancellation(), time.monotonic)
        results: list[KeyResult] = []
        signing = threading.Thread(target=lambda: results.append(operation.run(asked)))
        signing.start()
        prompt = screen.read()
        numbers[prompt.operation_id] = prompt.number
        signing.join(120)
        return results[0]


def create(
    stub: workstation_pb2_grpc.WorkstationServiceStub, serial: str
) -> pb.CreateOperationRequest:
    proofs: list[bytes] = []

    def proven() -> bool:
        # A reader leaves it to the person who typed the passcode to try again.
        with suppress(grpc.RpcError):
            proofs.append(Workstation(stub, serial).proof())
        return bool(proofs)

    eventually(proven)
    return pb.CreateOperationRequest(
        request_id=os.urandom(16),
        card_serial=serial,
        key_ref=0x9A,
        algorithm=17,
        key_use=1,
        inputs=[DIGEST],
        passcode_proof=proofs[0],
    )


def rest(stream: Iterator[Message]) -> tuple[list[Message], grpc.StatusCode]:
    """What a stream still brings, and how it ends."""
    messages = []
    try:
        for message in stream:
            messages.append(message)
    except grpc.RpcError as error:
        return messages, code(error)
    return messages, grpc.StatusCode.OK


def eventually(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "this has not become true"
        time.sleep(0.02)


def test_what_one_worker_changes_wakes_who_waits_at_the_other(ward: Ward) -> None:
    ask_here_and_decide_there(ward)


def test_workers_wake_each_other_through_postgresql_too(tmp_path: Path, postgresql: Server) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        ask_here_and_decide_there(Ward(tmp_path, nursery, "--database", postgresql.new_database()))


def ask_here_and_decide_there(ward: Ward) -> None:
    workers(ward.keystore)
    with (
        ward.connection(ward.pc, 0) as asking,
        ward.connection(ward.pc, 1) as watching,
        ward.connection(ward.phone, 0) as ringing,
        ward.connection(ward.phone, 1) as deciding,
    ):
        stub = workstation_pb2_grpc.WorkstationServiceStub(asking)
        elsewhere = workstation_pb2_grpc.WorkstationServiceStub(watching)

        def woken_after(phone: Phone) -> float:
            """Seconds from a decision until the other worker tells it."""
            events = phone.watch()
            made = stub.CreateOperation(create(stub, ward.serial), timeout=SECONDS).operation
            rung = next(events)
            assert isinstance(rung, Ringing)
            assert rung.operation_id == made.id
            request = pb.WatchOperationRequest(operation_id=made.id)
            states = elsewhere.WatchOperation(request, timeout=SECONDS)
            assert next(states).operation.state == approval_pb2.OPERATION_STATE_PENDING
            began = time.monotonic()
            assert phone.approve(rung, made.number) == "approved"
            assert next(states).operation.state == approval_pb2.OPERATION_STATE_APPROVED
            took = time.monotonic() - began
            assert Workstation(elsewhere, ward.serial).perform(made.id) == Workstation(
                stub, ward.serial
            ).perform(made.id)
            return took

        for phone in (Phone(ward.phone, ringing), Phone(ward.phone, deciding)):
            # A look without a wake-up is after two seconds each time; a busy computer is slow.
            assert any(woken_after(phone) < 1.0 for _ in range(5))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_operation_is_lost_while_workers_end(ward: Ward, number: signal.Signals) -> None:
    """Readers ask and a phone approves all the while; each worker ends in turn."""
    numbers: dict[str, str] = {}
    failed_before = ward.states()[approval_pb2.OPERATION_STATE_FAILED]
    ended = threading.Event()

    def end_workers() -> None:
        try:
            for kind in ("worker", "custody"):
                for each in (0, 1):
                    os.kill(workers(ward.keystore, kind)[each], number)
        finally:
            ended.set()

    def use(serial: str) -> list[KeyResult]:
        results = []
        while not ended.is_set() or len(results) < 3:
            results.append(sign(ward, serial, numbers))
        return results

    with Holder(ward.phone, numbers), ThreadPoolExecutor(CARDS + 1) as threads:
        ending = threads.submit(end_workers)
        used = list(threads.map(use, ward.serials))
        ending.result()
    lost = sum(not isinstance(each, bytes) for results in used for each in results)
    failed = ward.states()[approval_pb2.OPERATION_STATE_FAILED] - failed_before
    # A kill between the approval's spending and the key's result costs the approval, by design: of
    # each card at most one in each of the two processes of custody.
    assert lost == failed <= (2 * CARDS if number is signal.SIGKILL else 0)
    assert ward.states().keys() <= ENDED


def test_a_worker_that_hangs_is_replaced_and_what_it_leaves_behind_is_ended(ward: Ward) -> None:
    """A use that a killed process had begun was in use for half a minute more, and a worker that
    was stopped with the lock of the database kept all others waiting without end.
    """
    pid = workers(ward.keystore, "custody")[0]
    with ward.connection(ward.pc, 1) as channel, ward.connection(ward.phone, 1) as ringing:
        pc = workstation_pb2_grpc.WorkstationServiceStub(channel)
        made = pc.CreateOperation(create(pc, ward.serial), timeout=SECONDS).operation
        phone = Phone(ward.phone, ringing)
        assert phone.approve(phone.find(made.id), made.number) == "approved"
        # What the worker would have written before it uses the key
        begun = datetime.now(UTC)
        change(ward.folder / "keystore", tables.operation, made.id, use_time=begun, used_by=0)
        os.kill(pid, signal.SIGSTOP)

        def state() -> int:
            request = pb.WatchOperationRequest(operation_id=made.id)
            with suppress(grpc.RpcError):  # it waited for the process that hangs
                seen = list(pc.WatchOperation(request, timeout=SECONDS))
                return seen[-1].operation.state
            return approval_pb2.OPERATION_STATE_UNSPECIFIED

        eventually(lambda: state() == approval_pb2.OPERATION_STATE_FAILED, SOON)
    assert gone(pid)


def test_a_stopped_worker_ends_its_streams_for_others_to_resume(ward: Ward) -> None:
    # It does not wait for its grace to end, of five seconds; a busy computer is slow at times.
    assert any(ended_after(ward) < 4.0 for _ in range(2))


def ended_after(ward: Ward) -> float:
    """Seconds from the signal until a worker is gone that had streams."""
    pid = workers(ward.keystore)[1]
    with ward.connection(ward.pc, 1) as channel, ward.connection(ward.phone, 1) as phone:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        made = stub.CreateOperation(create(stub, ward.serial), timeout=SECONDS).operation
        watched = pb.WatchOperationRequest(operation_id=made.id)
        states = stub.WatchOperation(watched, timeout=SECONDS)
        next(states)
        ringing = authenticator_pb2_grpc.AuthenticatorServiceStub(phone)
        events = ringing.WatchRequests(authenticator_pb2.WatchRequestsRequest())
        next(events)
        watching = health_pb2.HealthCheckRequest()
        health = health_pb2_grpc.HealthStub(channel).Watch(watching, timeout=SECONDS)
        # A worker that has just started in place of another says at first that it does not serve.
        assert any(answer.status == SERVING for answer in health)
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        for stream in (states, events, health):
            last, ended = rest(stream)
            assert ended is grpc.StatusCode.UNAVAILABLE
        assert last == [health_pb2.HealthCheckResponse(status=NOT_SERVING)]
        eventually(lambda: gone(pid))
        took = time.monotonic() - began
        again = stub.WatchOperation(watched, timeout=SECONDS)
        assert next(again).operation.state == approval_pb2.OPERATION_STATE_PENDING
        stub.CancelOperation(pb.CancelOperationRequest(operation_id=made.id), timeout=SECONDS)
        return took


def test_a_rival_finds_the_ports_and_the_folder_taken(ward: Ward, tmp_path: Path) -> None:
    workers(ward.keystore)
    port = int(ward.keystore.address.rpartition(":")[2])
    with socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            rival.bind(("127.0.0.1", port))
    other = f"127.0.0.1:{free_ports(1)[0]}"
    rivals = (
        ("ports", tmp_path / "data", ward.keystore.address, "cannot listen on"),
        ("folder", ward.folder / "keystore", other, "another keystore runs on it"),
    )
    with Nursery(tmp_path / "logs") as nursery:
        for name, data, listen, _ in rivals:
            nursery.start_python(
                name,
                *("-m", "cloudcard_tools", "serve", *TWO, "--data", str(data)),
                *("--listen", listen, "--enrol-listen", f"127.0.0.1:{free_ports(1)[0]}"),
            )
        for name, _, _, said in rivals:
            assert nursery[name].wait(SECONDS) == 1
            assert said in nursery[name].tail()
            assert "Traceback" not in nursery[name].tail()


def test_a_folder_whose_last_workers_still_run_is_waited_for(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    worker = owning.share(settings)
    also = owning.share(settings)
    with pytest.raises(owning.DataInUse):
        owning.own(settings, patience=0.05)
    threading.Timer(0.2, lambda: (worker.close(), also.close())).start()
    owner = owning.own(settings, patience=SECONDS)
    with pytest.raises(owning.DataInUse):
        owning.own(settings)
    owning.share(settings).close()
    owner.close()


def test_a_start_waits_for_the_ports_of_the_last_workers(tmp_path: Path) -> None:
    """A supervisor was killed and started again. It found the ports still taken by workers that
    were ending, and said that another keystore was running there.
    """
    data, listen = tmp_path / "data", f"127.0.0.1:{free_ports(1)[0]}"
    data.mkdir(mode=0o700)
    folder = owning.share(Settings(data))
    ports = socket.create_server(("127.0.0.1", int(listen.rpartition(":")[2])), reuse_port=True)
    with Nursery(tmp_path / "logs") as nursery, ports:
        keystore = nursery.start_python(
            "keystore",
            *("-m", "cloudcard_tools", "serve", *TWO, "--data", str(data)),
            *("--listen", listen, "--enrol-listen", f"127.0.0.1:{free_ports(1)[0]}"),
        )
        with pytest.raises(ProcessFailed, match="still runs"):
            keystore.wait(2)
        folder.close()  # the kernel gives up locks first
        ports.close()
        keystore.wait_for("Keystore ready", timeout=SECONDS)


def test_a_port_is_waited_for_while_it_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as last:
        address = Address(*last.getsockname())
        threading.Timer(0.1, last.close).start()
        wait_until_free(address)
        with socket.create_server((address.host, address.port)) as ours:
            assert ours.getsockname()[1] == address.port


def test_workers_end_with_their_supervisor_and_the_next_one_serves(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, TWO)
        pids = workers(keystore).values()
        keystore.kill_and_restart()
        assert all(map(gone, pids))  # a folder has one keystore's workers at a time
        keystore.holder("ada")
        pids = workers(keystore).values()
        keystore.child.kill(signal.SIGTERM)
        assert keystore.child.wait(SECONDS) == 0
        assert all(map(gone, pids))
