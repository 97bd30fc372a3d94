"""The services over the network: who gets in, what a stranger's messages do, what a kill costs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_keystore.storage import tables
from cloudcard.administration.v1 import administration_pb2, administration_pb2_grpc
from cloudcard.approval.v1 import approval_pb2
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.authenticator.v1 import authenticator_pb2, authenticator_pb2_grpc
from cloudcard.registry.v1 import (
    authorities_pb2,
    authorities_pb2_grpc,
    cards_pb2,
    finding_pb2,
    finding_pb2_grpc,
    identities_pb2,
    people_pb2,
    people_pb2_grpc,
)
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import reason
from support.keystore_process import KeystoreProcess, Workstation, administrator, code
from support.records import change
from support.schema import ENROLMENT, METHODS, role_of


@dataclass
class Town:
    """A keystore, Ada with a phone and two cards, Mallory with a phone, a workstation.

    A stranger's messages leave the cards in any state: who needs one that works has another.
    """

    keystore: KeystoreProcess
    user_id: str
    ada: identity.Identity
    mallory: identity.Identity
    pc: identity.Identity
    serial: str
    developer: str  # serial of a card that is administered through readers

    def stub(self) -> workstation_pb2_grpc.WorkstationServiceStub:
        return workstation_pb2_grpc.WorkstationServiceStub(identity.channel(self.pc))

    def workstation(self) -> Workstation:
        """At it, a card of Ada's that nobody else has used."""
        return Workstation(self.stub(), self.keystore.card(self.user_id, self.ada))

    def administrator(self) -> bytes:
        """A proof of the management key, or none once a stranger has set another."""
        with identity.channel(self.pc) as channel:
            try:
                return administrator(channel, self.developer)
            except grpc.RpcError:
                return b"stale"

    def phone(self) -> Phone:
        return Phone(self.ada, identity.channel(self.ada))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        user_id, ada = keystore.holder("Ada")
        _, mallory = keystore.holder("Mallory")
        pc = keystore.workstation("PC1")
        serial, developer = keystore.card(user_id, ada), keystore.developer_card(user_id)
        yield Town(keystore, user_id, ada, mallory, pc, serial, developer)


def test_no_certificate_no_call(town: Town) -> None:
    ca = (town.pc.folder / "ca.pem").read_bytes()
    with grpc.secure_channel(town.pc.address, grpc.ssl_channel_credentials(ca)) as channel:
        stub = people_pb2_grpc.PeopleServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.ListUsers(people_pb2.ListUsersRequest(), timeout=60))
    assert code(refused.value) is grpc.StatusCode.UNAVAILABLE  # TLS did not come about


@pytest.mark.parametrize("role", ["ada", "pc", "operator"])
def test_every_service_is_for_one_role(town: Town, role: str) -> None:
    own = {"ada": town.ada, "pc": town.pc, "operator": town.keystore.operator}[role]
    serial = town.keystore.card(town.user_id, town.ada)
    developer = town.keystore.developer_card(town.user_id)
    with identity.channel(own) as channel:
        calls = {
            "operator": lambda: list(
                people_pb2_grpc.PeopleServiceStub(channel).ListUsers(
                    people_pb2.ListUsersRequest(), timeout=60
                )
            ),
            "operator, to find": lambda: finding_pb2_grpc.FindingServiceStub(channel).Find(
                finding_pb2.FindRequest(sort=finding_pb2.SORT_USER, text="Ada"), timeout=60
            ),
            "operator, about authorities": lambda: list(
                authorities_pb2_grpc.AuthorityServiceStub(channel).ListAuthorities(
                    authorities_pb2.ListAuthoritiesRequest(), timeout=60
                )
            ),
            "auditor, to find": lambda: audit_pb2_grpc.AuditServiceStub(channel).FindSubjects(
                audit_pb2.FindSubjectsRequest(sort=finding_pb2.SORT_USER, text="Ada"), timeout=60
            ),
            "ada": lambda: authenticator_pb2_grpc.AuthenticatorServiceStub(channel).ListCards(
                authenticator_pb2.ListCardsRequest(), timeout=60
            ),
            "pc": lambda: workstation_pb2_grpc.WorkstationServiceStub(channel).GetCard(
                workstation_pb2.GetCardRequest(card_serial=serial), timeout=60
            ),
            "pc, for an administrator": lambda: administration_pb2_grpc.AdministrationServiceStub(
                channel
            ).AttestKey(
                administration_pb2.AttestKeyRequest(card_serial=developer, key_ref=0x9A),
                timeout=60,
            ),
        }
        for service, call in calls.items():
            if service.startswith(role):
                call()
                continue
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert isinstance(refused.value, grpc.Call)
            assert reason(refused.value) == "IDENTITY_REJECTED"


@pytest.mark.parametrize("filler", ["x", "\N{ZERO WIDTH JOINER}", "\N{GRINNING FACE}"])
@pytest.mark.parametrize("size", [2_000, 200_000, 300_000, 1_000_000])
def test_a_large_message_is_refused_with_a_reason(town: Town, filler: str, size: int) -> None:
    """Also where the refusal quotes it: the quotation is shortened."""
    text = filler * (size // len(filler.encode()))
    registry = town.keystore.registry
    calls = (
        lambda: registry.people.CreateUser(people_pb2.CreateUserRequest(display_name=text)),
        lambda: registry.cards.IssueCard(
            cards_pb2.IssueCardRequest(request_id=bytes(16), user_id=text)
        ),
        lambda: town.stub().GetCard(workstation_pb2.GetCardRequest(card_serial=text), timeout=60),
    )
    for call in calls:
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert reason(refused.value) in {"INVALID_INPUT", "USER_NOT_FOUND", "CARD_NOT_FOUND"}


def test_a_token_for_another_keystore_is_not_spent(town: Town, tmp_path: Path) -> None:
    request = identities_pb2.CreateWorkstationRequest(display_name="PC9")
    text = town.keystore.registry.identities.CreateWorkstation(request).token.text
    body, _, address = text.partition("@")
    forged = body[:4] + ("A" if body[4] != "A" else "B") + body[5:] + "@" + address
    with pytest.raises(Failure, match="not the keystore"):
        spending.enrol(forged, tmp_path / "id", "workstation")
    spending.enrol(text, tmp_path / "id", "workstation")


@pytest.mark.parametrize("text", ["", "junk", "cc1.AAAA@127.0.0.1:1", "cc1.@", "cc1." + "A" * 64])
def test_junk_is_no_token(text: str, tmp_path: Path) -> None:
    with pytest.raises(Failure):
        spending.enrol(text, tmp_path / "id", "workstation")


def test_a_stranger_does_not_see_or_decide_adas_requests(town: Town) -> None:
    operation = town.workstation().create(os.urandom(16))
    mallory = Phone(town.mallory, identity.channel(town.mallory))
    with pytest.raises(grpc.RpcError) as refused:
        mallory.find(operation.id)
    assert code(refused.value) is grpc.StatusCode.NOT_FOUND


CALLERS = {"operator": "operator", "device": "ada", "workstation": "pc"}
UNARY = [
    (CALLERS[role_of(method.containing_service)], method)
    for method in METHODS
    if not method.server_streaming
    and method.containing_service.full_name != ENROLMENT
    and role_of(method.containing_service) in CALLERS
]


def values(field: FieldDescriptor) -> st.SearchStrategy[object]:
    """Any value of a scalar field."""
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return st.text(max_size=300)
        case FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=300) | st.just(b"\x11" * 16)
        case FieldDescriptor.TYPE_UINT32:
            return st.sampled_from(
                [0, 1, 3, 0x0A, 0x04, 0x80, 0x81, 0x82, 0x9A, 0x9C, 0x9D, 0x5FC102, 2**32 - 1]
            )
        case _:
            return st.integers(0, 40)


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor) -> Message:
    """A message with any values in its fields."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is not None:
            value = draw(messages(field.message_type))
            if field.is_repeated:
                getattr(message, field.name).extend([value, value])
            else:
                getattr(message, field.name).CopyFrom(value)
        else:
            value = draw(values(field))
            if field.is_repeated:
                getattr(message, field.name).extend([value, value])
            else:
                setattr(message, field.name, value)
    return message


@pytest.mark.parametrize(("role", "method"), UNARY, ids=[method.name for _, method in UNARY])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), known=st.booleans())
def test_any_message_gets_a_clear_answer(
    town: Town, role: str, method: MethodDescriptor, data: st.DataObject, known: bool
) -> None:
    message = data.draw(messages(method.input_type))
    fields = method.input_type.fields_by_name
    if known and "card_serial" in fields and "Revoke" not in method.name:
        serial = data.draw(st.sampled_from([town.serial, town.developer]))
        setattr(message, "card_serial", serial)  # noqa: B010 (not every message has it)
        if "proof" in fields and serial == town.developer:
            proof = data.draw(st.sampled_from([b"", town.administrator()]))
            setattr(message, "proof", proof)  # noqa: B010
    own = {"ada": town.ada, "pc": town.pc, "operator": town.keystore.operator}[role]
    with identity.channel(own) as channel:
        call = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(message).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            call(message, timeout=60)  # as long as the largest key takes
        except grpc.RpcError as error:
            assert code(error) not in (
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNKNOWN,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
            assert isinstance(error, grpc.Call)
            assert reason(error) or code(error) is grpc.StatusCode.INVALID_ARGUMENT


class TestKill:
    """kill -9 at each step of an operation: nothing is lost, nothing is signed twice."""

    def test_at_every_step(self, town: Town) -> None:
        user_id, ada = town.keystore.holder(f"Ada{os.urandom(4).hex()}")
        serial = town.keystore.card(user_id, ada)
        pc = Workstation(
            workstation_pb2_grpc.WorkstationServiceStub(identity.channel(town.pc)), serial
        )
        phone = Phone(ada, identity.channel(ada))
        request_id, proof = os.urandom(16), pc.proof()

        town.keystore.kill_and_restart()
        operation = pc.create(request_id, proof=proof)
        town.keystore.kill_and_restart()
        assert pc.create(request_id, proof=proof).id == operation.id
        ringing = phone.find(operation.id)
        town.keystore.kill_and_restart()
        assert phone.approve(ringing, operation.number) == "approved"
        town.keystore.kill_and_restart()
        signature = pc.perform(operation.id)
        town.keystore.kill_and_restart()
        assert pc.perform(operation.id) == signature  # ECDSA: the same one, not another

        image = pc.stub.GetCard(workstation_pb2.GetCardRequest(card_serial=serial), timeout=60)
        verify(image.card, signature)

    def test_in_the_middle_of_a_use(self, town: Town) -> None:
        user_id, ada = town.keystore.holder(f"Ada{os.urandom(4).hex()}")
        serial = town.keystore.card(user_id, ada)
        pc = Workstation(
            workstation_pb2_grpc.WorkstationServiceStub(identity.channel(town.pc)), serial
        )
        phone = Phone(ada, identity.channel(ada))
        operation = pc.create(os.urandom(16))
        phone.approve(phone.find(operation.id), operation.number)
        town.keystore.child.kill()
        # What a kill between the commit that spends the approval and the key's answer leaves behind
        data, now = town.keystore.folder / "keystore", datetime.now(UTC)
        change(data, tables.operation, operation.id, use_time=now)
        town.keystore.restart()
        with pytest.raises(grpc.RpcError) as refused:
            pc.perform(operation.id)
        assert code(refused.value) is grpc.StatusCode.FAILED_PRECONDITION
        request = workstation_pb2.WatchOperationRequest(operation_id=operation.id)
        (seen,) = pc.stub.WatchOperation(request, timeout=60)
        assert seen.operation.state == approval_pb2.OPERATION_STATE_FAILED


def verify(card: workstation_pb2.Card, signature: bytes) -> None:
    """The signature is by the key of the card's 9A certificate."""
    (contents,) = (each.value for each in card.objects if each.tag == 0x5FC105)
    der = contents[contents.index(b"\x30\x82") : -5]
    public = load_der_x509_certificate(der).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, b"\x11" * 32, ec.ECDSA(Prehashed(SHA256())))
