"""Sessions, batches and policies over the network, with a real keystore process."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator

import grpc
import pytest

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.shared.processes import Nursery
from support.exports import audited
from support.keystore_process import code
from support.open_sessions import TERMS, Place, new_place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with Nursery(folder / "logs") as nursery:
        yield new_place(folder, nursery)


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
