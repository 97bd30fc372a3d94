"""A real process under watch: its metrics, its log, its limits."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools import identity
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.processes import Nursery
from keystore_process import PASSCODE, KeystoreProcess, Workstation, code

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_request_from_reader_to_phone(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    options = ("--http-listen", f"127.0.0.1:{port}", "--log-format", "json", "--limit", "card=1/40")
    with Nursery(tmp_path / "logs") as nursery:
        keystore = KeystoreProcess(tmp_path, nursery, options)
        user_id, ada = keystore.holder("ada")
        serial = keystore.card(user_id, ada)
        pc = keystore.workstation("pc")
        with identity.channel(pc) as channel, identity.channel(ada) as phone_channel:
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
            workstation = Workstation(stub, serial)
            request = pb.CreateOperationRequest(
                request_id=os.urandom(16),
                card_serial=serial,
                key_ref=0x9A,
                algorithm=17,
                key_use=1,
                inputs=[b"\x5c" * 32],
                passcode_proof=(proof := workstation.proof()),
            )
            trace = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)
            operation = stub.CreateOperation(request, timeout=10, metadata=trace).operation
            phone = Phone(ada, phone_channel)
            phone.approve(phone.find(operation.id), operation.number)
            malformed = (("traceparent", "00-xyz"),)
            asked = pb.GetCardRequest(card_serial=serial)
            stub.GetCard(asked, timeout=10, metadata=malformed)
            with pytest.raises(grpc.RpcError) as huge:
                stub.GetCard(asked, timeout=10, metadata=(("x-more", "x" * 64_000),))
            assert code(huge.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(grpc.RpcError) as refused:  # hammering one card
                _hammer(stub, asked)
            assert code(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert 0 < _retry_seconds(refused.value) <= 1
        assert _get(port, "/health/live") == "live\n"
        assert _get(port, "/health/ready") == "ready\n"
        with pytest.raises(urllib.error.HTTPError):
            _get(port, "/else")
        page = _get(port, "/metrics")
        keystore.child.stop()
        text = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert 'cloudcard_limits_hit_total{limit="card"} 1.0' in page
    assert "CreateOperation" in page
    assert not [each for each in (serial, user_id, pc.id, ada.id) if each in page]
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    traced = {e["method"].rpartition("/")[2] for e in entries if e.get("trace_id") == TRACE}
    assert traced == {"CreateOperation", "GetRequest", "Decide"}
    secrets = (PASSCODE, proof.hex(), "5c" * 32, repr(proof), (b"\x5c" * 32).decode())
    assert not [each for each in secrets if each in text]


def _hammer(stub: workstation_pb2_grpc.WorkstationServiceStub, asked: pb.GetCardRequest) -> None:
    for _ in range(60):
        stub.GetCard(asked, timeout=10)


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return str(response.read().decode())


def _retry_seconds(error: grpc.RpcError) -> float:
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    return float(retry.retry_delay.ToTimedelta().total_seconds())
