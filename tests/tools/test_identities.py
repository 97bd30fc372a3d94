"""Workstations, operators and auditors removed at the command line, at a real keystore."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from cloudcard.approval.v1 import approval_pb2
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.registry.v1 import people_pb2, people_pb2_grpc
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.audit.command import audit
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess, Workstation, code


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("identities")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(ra, [*arguments, "--identity", str(folder), "--json"])


def state(keystore: KeystoreProcess, kind: str, name: str) -> tuple[str, str]:
    """Identifier and state of somebody who is listed."""
    listed = json.loads(run(keystore.operator.folder, kind, "list").output)
    (found,) = [each for each in listed if each["name"] == name]
    return str(found["id"]), str(found["state"])


def refused(call: Callable[[], object]) -> str:
    """The text with which a removed identity is kept out."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    failure = explain(raised.value)
    return failure.message


def test_a_workstation_is_cut_off_while_it_waits(keystore: KeystoreProcess) -> None:
    user_id, ada = keystore.holder("Ada")
    serial = keystore.card(user_id, ada)
    own = keystore.workstation("PC1")
    channel = identity.channel(own)  # stays open
    stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
    pc = Workstation(stub, serial)
    operation = pc.create(os.urandom(16))
    seen: list[int] = []
    ended: list[grpc.StatusCode] = []
    watching = threading.Event()

    def watch() -> None:
        request = workstation_pb2.WatchOperationRequest(operation_id=operation.id)
        try:
            for message in stub.WatchOperation(request, timeout=120):
                seen.append(message.operation.state)
                watching.set()
        except grpc.RpcError as error:
            ended.append(code(error))

    waiter = threading.Thread(target=watch)
    waiter.start()
    assert watching.wait(60)
    phone = Phone(ada, identity.channel(ada))
    ringing = phone.find(operation.id)
    workstation_id, before = state(keystore, "workstation", "PC1")
    assert before == "active"
    folder = keystore.operator.folder
    assert run(folder, "workstation", "remove", workstation_id).exit_code == 2  # takes a reason
    removed = run(folder, "workstation", "remove", workstation_id, "--reason", "stolen", "--yes")
    assert json.loads(removed.output)["state"] == "removed"
    waiter.join(60)
    assert seen == [approval_pb2.OPERATION_STATE_PENDING]  # nothing is shown to it any more
    # Refused at its next look, or already without a connection
    assert ended in ([grpc.StatusCode.PERMISSION_DENIED], [grpc.StatusCode.UNAVAILABLE])
    assert "removed" in refused(lambda: pc.perform(operation.id))
    assert "removed" in refused(pc.proof)
    status = workstation_pb2.GetCardRequest(card_serial=serial)
    assert "removed" in refused(lambda: stub.GetCard(status, timeout=60))
    with pytest.raises(grpc.RpcError):
        phone.approve(ringing, operation.number)
    assert state(keystore, "workstation", "PC1")[1] == "removed"
    channel.close()


def test_an_operator_comes_and_goes(keystore: KeystoreProcess, tmp_path: Path) -> None:
    first = keystore.operator.folder
    own_id, _ = state(keystore, "operator", "first operator")
    alone = run(first, "operator", "remove", own_id, "--reason", "bored", "--yes")
    assert alone.exit_code == 1
    assert "operator invite" in alone.output
    token = json.loads(run(first, "operator", "invite", "Otto").output)["token"]
    other = tmp_path / "otto"
    assert CliRunner().invoke(ra, ["enrol", token, "--identity", str(other)]).exit_code == 0
    stub = people_pb2_grpc.PeopleServiceStub(identity.channel(identity.load(other)))
    everybody = people_pb2.ListUsersRequest()
    list(stub.ListUsers(everybody, timeout=60))  # a stream that nobody refuses
    otto, before = state(keystore, "operator", "Otto")
    assert before == "active"
    gone = run(first, "operator", "remove", otto, "--reason", "left", "--yes")
    assert json.loads(gone.output)["state"] == "removed"
    assert "removed" in refused(lambda: list(stub.ListUsers(everybody, timeout=60)))
    assert run(other, "user", "list").exit_code == 1
    nobody = run(first, "operator", "remove", "none", "--reason", "left", "--yes")
    assert nobody.exit_code == 1
    assert "ra operator list" in nobody.output


def test_an_auditor_comes_and_goes(keystore: KeystoreProcess, tmp_path: Path) -> None:
    operator, folder = keystore.operator.folder, tmp_path / "aude"
    token = json.loads(run(operator, "auditor", "add", "Aude").output)["token"]
    done = CliRunner().invoke(audit, ["enrol", token, "--identity", str(folder)])
    assert done.exit_code == 0, done.output
    stub = audit_pb2_grpc.AuditServiceStub(identity.channel(identity.load(folder)))
    ask = audit_pb2.SearchEntriesRequest(kinds=["identity.removed"])
    assert stub.SearchEntries(ask, timeout=60)
    auditor, _ = state(keystore, "auditor", "Aude")
    gone = run(operator, "auditor", "remove", auditor, "--reason", "the end", "--yes")
    assert json.loads(gone.output)["state"] == "removed"
    assert "removed" in refused(lambda: stub.SearchEntries(ask, timeout=60))
