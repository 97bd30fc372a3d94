"""The software phone trusts nothing that its keystore did not sign, and signs what it was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cloud_keystore.approval import statement
from cloud_keystore.model.approval_keys import NativeKey
from cloud_keystore.model.operations import Approval, Decision
from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1 import (
    authenticator_pb2_grpc,
    holder_pb2,
    holder_pb2_grpc,
    pins_pb2,
    pins_pb2_grpc,
)
from cloudcard_tools.authenticator.phone import Asked, Phone, Ringing
from cloudcard_tools.authenticator.screen import facts, show_documents
from cloudcard_tools.authenticator.watching import Finished, Typed, Watch
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import Identity
from private_files import writing

KEYSTORE = ec.generate_private_key(ec.SECP256R1())
OPERATION = "01a20703-afa0-75f0-bfb4-7f5b93cf92d7"


def payload(
    version: int = 2, operation_id: str = OPERATION, documents: Sequence[str] = ()
) -> bytes:
    message = approval_pb2.Payload(
        version=version,
        operation_id=operation_id,
        key_ref=0x9C,
        input_sha256=[bytes([n]) * 32 for n in range(2)],
        documents=documents,
    )
    return message.SerializeToString()


RINGING = Ringing(OPERATION, payload(), approval_pb2.Payload.FromString(payload()))


def request(
    raw: bytes, signer: ec.EllipticCurvePrivateKey = KEYSTORE, domain: bytes | None = None
) -> pb.Request:
    signed = statement.request(raw) if domain is None else domain + raw
    return pb.Request(
        operation_id=OPERATION,
        payload=raw,
        keystore_signature=signer.sign(signed, ec.ECDSA(SHA256())),
    )


@dataclass
class FakeKeystore(
    authenticator_pb2_grpc.AuthenticatorServiceServicer,
    holder_pb2_grpc.HolderServiceServicer,
    pins_pb2_grpc.AppPinServiceServicer,
):
    """Answers with what it is given, and keeps decisions."""

    request: pb.Request = field(default_factory=pb.Request)
    decisions: list[pb.DecideRequest] = field(default_factory=list)

    def GetRequest(self, request: pb.GetRequestRequest, context: object) -> pb.GetRequestResponse:
        return pb.GetRequestResponse(request=self.request)

    def Decide(self, request: pb.DecideRequest, context: object) -> pb.DecideResponse:
        self.decisions.append(request)
        return pb.DecideResponse(state=approval_pb2.OPERATION_STATE_APPROVED)

    def AnswerPortalQuestion(
        self, request: holder_pb2.AnswerPortalQuestionRequest, context: object
    ) -> holder_pb2.AnswerPortalQuestionResponse:
        return holder_pb2.AnswerPortalQuestionResponse(is_agreed=True)

    def GetAppPin(
        self, request: pins_pb2.GetAppPinRequest, context: object
    ) -> pins_pb2.GetAppPinResponse:
        return pins_pb2.GetAppPinResponse(is_set=True)

    def CheckAppPin(
        self, request: pins_pb2.CheckAppPinRequest, context: object
    ) -> pins_pb2.CheckAppPinResponse:
        return pins_pb2.CheckAppPinResponse(result=pins_pb2.TriedAppPin(is_right=True))

    def serve(self, port: int) -> tuple[grpc.Server, int]:
        """A server at a port of this computer, which has not begun, and the port; 0: any."""
        server = grpc.server(ThreadPoolExecutor(1))
        authenticator_pb2_grpc.add_AuthenticatorServiceServicer_to_server(self, server)
        holder_pb2_grpc.add_HolderServiceServicer_to_server(self, server)
        pins_pb2_grpc.add_AppPinServiceServicer_to_server(self, server)
        return server, server.add_insecure_port(f"127.0.0.1:{port}")


@dataclass
class Wired:
    """A phone connected to a fake keystore."""

    keystore: FakeKeystore
    phone: Phone
    public_key: bytes


def own_identity(folder: Path) -> Identity:
    """The identity of a phone, whose key is in a folder."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    writing.write_new(folder / "key.pem", pem)
    pinned = KEYSTORE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Identity(folder, "authenticator", "id", "phone", "address", pinned)


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    keystore, own = FakeKeystore(), own_identity(tmp_path)
    server, port = keystore.serve(0)
    server.start()
    public = (
        own.first_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Wired(keystore, Phone(own, channel), public)
    server.stop(None)


def test_it_signs_the_very_bytes_that_it_was_sent(wired: Wired) -> None:
    raw = payload() + b"\xa8\x06\x01"  # an unknown field: a new encoding would lose or move it
    wired.keystore.request = request(raw)
    wired.phone.approve(wired.phone.find(OPERATION), "42")
    (decision,) = wired.keystore.decisions
    approval = Approval("id", Decision.APPROVE, "42", decision.device_signature)
    statement.verify(raw, approval, NativeKey(wired.public_key))


@pytest.mark.parametrize(
    "say",
    [
        lambda phone: phone.asks_for_pin(),
        lambda phone: phone.check_pin("246802", OPERATION),
        lambda phone: phone.say_yes(OPERATION, "42"),
        lambda phone: phone.say_no(OPERATION, is_me=True),
        lambda phone: phone.approve(RINGING, "42"),
        lambda phone: phone.deny(RINGING),
        lambda phone: phone.not_me(RINGING),
    ],
    ids=["asks for the PIN", "PIN", "yes", "no", "approve", "deny", "not me"],
)
def test_what_a_person_says_waits_for_a_keystore_that_is_just_coming_back(
    tmp_path: Path, say: Callable[[Phone], object]
) -> None:
    """Everything else fails at once, and tells why."""
    (port,) = free_ports(1)
    with ThreadPoolExecutor(1) as person, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        phone = Phone(own_identity(tmp_path), channel)
        with pytest.raises(grpc.RpcError):
            phone.cards()
        said = person.submit(say, phone)
        assert wait([said], 0.2).not_done
        server, _ = FakeKeystore().serve(port)
        server.start()
        said.result(timeout=60)
        server.stop(None)


@pytest.mark.parametrize(
    "sent",
    [
        request(payload(), ec.generate_private_key(ec.SECP256R1())),
        request(payload(), domain=statement.STATEMENT_DOMAIN),
        request(payload(), domain=b""),
        request(payload(version=3)),
        request(payload(version=4)),
        request(payload(version=2, documents=["one", "two"])),
        request(payload(version=4, documents=["one"])),
        request(payload(version=4, documents=["one", "two", "three"])),
        request(payload(operation_id="another")),
        request(b"\xff\xff"),
        pb.Request(operation_id=OPERATION, payload=payload()),
        pb.Request(
            operation_id=OPERATION,
            payload=payload() + b"\0",
            keystore_signature=request(payload()).keystore_signature,
        ),
    ],
    ids=[
        *("another keystore", "another domain", "no domain", "newer version"),
        *("no documents", "documents of another version", "too few texts", "too many texts"),
        *("another operation", "junk", "unsigned", "altered"),
    ],
)
def test_it_shows_nothing_that_is_not_its_keystores(wired: Wired, sent: pb.Request) -> None:
    wired.keystore.request = sent
    with pytest.raises(Failure):
        wired.phone.find(OPERATION)


def test_each_document_is_shown_with_its_data(
    wired: Wired, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.keystore.request = request(payload(version=4, documents=["one", "two"]))
    ringing = wired.phone.find(OPERATION)
    assert facts(ringing)["documents"] == [
        {"text": "one", "data": "0000000000000000…"},
        {"text": "two", "data": "0101010101010101…"},
    ]
    assert show_documents(ringing, 0, 1) == 1
    assert show_documents(ringing, 1, 1) == 0
    assert capsys.readouterr().out == "1. one  0000000000000000…\n2. two  0101010101010101…\n"


def test_many_documents_are_shown_some_at_a_time(
    wired: Wired, capsys: pytest.CaptureFixture[str]
) -> None:
    wired.keystore.request = request(payload())
    message = approval_pb2.Payload(
        input_sha256=[bytes(32)] * 250, documents=[f"item {n}" for n in range(1, 251)]
    )
    watch = Watch(wired.phone, as_json=False)
    watch.happenings.put(Ringing(OPERATION, message.SerializeToString(), message))
    for _ in range(12):
        watch.happenings.put(Typed("m"))
    watch.happenings.put(Finished())
    watch.run(StringIO())
    first, _, rest = capsys.readouterr().out.partition("and 230 more: m shows the next ones")
    assert " 20. item 20 " in first
    assert "item 21 " not in first
    assert [n for n in range(1, 251) if f"{n:>3}. item {n} " not in first + rest] == []
    assert rest.count("more: m shows") == 11
    assert not wired.keystore.decisions


def test_what_the_portal_asks_no_longer_is_gone(
    wired: Wired, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number that is typed late is for nothing, and never for another question."""
    question, other = (pb.PortalQuestion(id=each, title="Log in?") for each in ("1", "2"))
    watch = Watch(wired.phone, as_json=True)
    for each in (
        *(Asked((question,)), Asked((question,)), Asked(()), Typed("42")),
        *(Asked((question, other)), Asked(()), Typed("42")),
        Finished(),
    ):
        watch.happenings.put(each)
    watch.run(StringIO())
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["event"], each.get("id") or each.get("operation")) for each in said] == [
        ("watching", None),
        *(("question", "1"), ("closed", "1"), ("nothing", None)),
        *(("question", "2"), ("closed", "2"), ("nothing", None)),
    ]


def test_the_request_is_the_one_that_was_named(wired: Wired) -> None:
    wired.keystore.request = request(payload())
    assert wired.phone.find(OPERATION[:8]).operation_id == OPERATION
    with pytest.raises(Failure, match="another request"):
        wired.phone.find("01a20704")
