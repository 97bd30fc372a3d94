"""Sessions, batches and policies over the network, with a real keystore process."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import grpc
import pytest

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.exports import audited
from support.keystore_process import KeystoreProcess, Workstation, code

DIGEST = b"\x11" * 32
TERMS = approval_pb2.SessionTerms(most_uses=10, seconds=600)


@dataclass
class Place:
    """A keystore, a card whose policy allows sessions, and who uses it."""

    keystore: KeystoreProcess
    serial: str
    own: identity.Identity  # the workstation's
    pc: Workstation
    phone: Phone

    def connect(self) -> None:
        """Leave a channel that has met nobody: it would wait before it connects again."""
        self.pc = at(self.own, self.serial)

    def session(self) -> pb.Session:
        """An open session of 9A."""
        asked = pb.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=self.serial,
            key_ref=0x9A,
            algorithm=approval_pb2.ALGORITHM_ECC_P256,
            key_use=approval_pb2.KEY_USE_SIGN,
            passcode_proof=self.pc.proof(),
            session=TERMS,
        )
        operation = self.pc.stub.CreateOperation(asked, timeout=60).operation
        assert self.phone.approve(self.phone.find(operation.id), operation.number) == "approved"
        return self.open(operation.id)

    def open(self, operation_id: str) -> pb.Session:
        request = pb.PerformOperationRequest(operation_id=operation_id)
        return self.pc.stub.PerformOperation(request, timeout=60).session

    def use(self, session_id: str, request_id: bytes, *inputs: bytes) -> pb.UseSessionResponse:
        request = pb.UseSessionRequest(
            session_id=session_id, request_id=request_id, inputs=inputs or (DIGEST,)
        )
        response: pb.UseSessionResponse = self.pc.stub.UseSession(request, timeout=60)
        return response

    def kept(self) -> int:
        """Results that the database has: a use is answered before its result is kept."""
        file = self.keystore.folder / "keystore" / "keystore.db"
        with closing(sqlite3.connect(file)) as database:
            query = "SELECT count(*) FROM session_use WHERE sealed_result IS NOT NULL"
            return int(database.execute(query).fetchone()[0])

    def wait_until_kept(self, results: int) -> None:
        deadline = time.monotonic() + 60
        while self.kept() < results:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        keystore.registry.organisations.SetPolicy(
            organisations_pb2.SetPolicyRequest(
                policy=organisations_pb2.Policy(largest_batch=250, session=TERMS)
            )
        )
        user_id, phone = keystore.holder("Ada")
        serial = keystore.card(user_id, phone)
        own = keystore.workstation("PC")
        phones = Phone(phone, identity.channel(phone))
        yield Place(keystore, serial, own, at(own, serial), phones)


def at(own: identity.Identity, serial: str) -> Workstation:
    """A card at a workstation, over a new connection."""
    channel = identity.channel(own)
    return Workstation(workstation_pb2_grpc.WorkstationServiceStub(channel), serial)


def test_kill_9_at_every_step_of_a_session(place: Place) -> None:
    session = place.session()
    place.keystore.kill_and_restart()
    assert place.open(session.id) == session
    before, request_id = place.kept(), os.urandom(16)
    used = place.use(session.id, request_id)
    assert used.uses_left == TERMS.most_uses - 1
    place.wait_until_kept(before + 1)
    place.keystore.kill_and_restart()
    assert place.use(session.id, request_id) == used  # ECDSA: not made anew
    place.pc.stub.EndSession(pb.EndSessionRequest(session_id=session.id), timeout=60)
    place.keystore.kill_and_restart()
    with pytest.raises(grpc.RpcError) as ended:
        place.use(session.id, os.urandom(16))
    assert code(ended.value) is grpc.StatusCode.FAILED_PRECONDITION


def test_kill_9_while_a_session_is_used(place: Place) -> None:
    session = place.session()
    made: dict[bytes, pb.UseSessionResponse] = {}
    cut = b""
    killer = threading.Timer(random.uniform(0.01, 0.1), place.keystore.child.kill)
    killer.start()
    for _ in range(TERMS.most_uses - 2):
        cut = os.urandom(16)
        try:
            made[cut] = place.use(session.id, cut)
        except grpc.RpcError:
            break
    killer.join()
    place.keystore.restart()
    place.connect()
    for request_id, response in made.items():  # the same results, or none: never others
        try:
            assert place.use(session.id, request_id).results == response.results
        except grpc.RpcError as refused:
            assert "is not kept" in str(refused)
    left = place.use(session.id, os.urandom(16)).uses_left
    taken = TERMS.most_uses - left - 1
    if cut not in made:  # taken or not; if so, its result is there or it failed, and is not made
        try:
            place.use(session.id, cut)
        except grpc.RpcError as refused:
            assert code(refused) is grpc.StatusCode.FAILED_PRECONDITION
            assert taken == len(made) + 1
        else:
            assert taken in (len(made), len(made) + 1)
    else:
        assert taken == len(made)
    place.keystore.child.stop()  # all entries get their places
    result = audited(f"sqlite:///{place.keystore.folder / 'keystore' / 'keystore.db'}")
    place.keystore.restart()
    assert result.findings == []
    assert result.counts.uses >= len(made)
    assert result.counts.failed == 0  # nobody knows that of any use


def test_ping_needs_a_certificate_alone(place: Place) -> None:
    assert place.pc.stub.Ping(pb.PingRequest(), timeout=60) == pb.PingResponse()


def test_the_largest_batch_fits_a_message(place: Place) -> None:
    inputs = [bytes([n]) * 64 for n in range(250)]
    request = pb.CreateOperationRequest(
        request_id=os.urandom(16),
        card_serial=place.serial,
        key_ref=0x9A,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        inputs=inputs,
        passcode_proof=place.pc.proof(),
    )
    operation = place.pc.stub.CreateOperation(request, timeout=60).operation
    place.phone.approve(place.phone.find(operation.id), operation.number)
    perform = pb.PerformOperationRequest(operation_id=operation.id, inputs=inputs)
    assert len(place.pc.stub.PerformOperation(perform, timeout=60).results) == 250
