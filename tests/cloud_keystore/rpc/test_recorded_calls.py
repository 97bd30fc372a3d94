"""Calls of earlier readers, as recorded in tests/samples/calls: today's keystore serves them with
nothing that they do not know, and today's reader gets on with what earlier keystores answered.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.keys import RemoteKeys
from reader_bridge.remote.refusals import code, reason
from reader_bridge.remote.sign_in import RemoteSignIns
from support.keystore_process import KeystoreProcess
from support.reader_calls import NOBODY, SERVICE, TERMS, Holder, Recording, Spoken, visit

SECONDS = 60.0
SAMPLES = Path(__file__).parents[2] / "samples" / "calls"
RECORDINGS = [Recording.read(each) for each in sorted(SAMPLES.glob("*.json"))]
each_recording = pytest.mark.parametrize("recorded", RECORDINGS, ids=lambda each: each.commit)


class Schema:
    """The messages that an earlier reader knew."""

    def __init__(self, recorded: Recording) -> None:
        files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(recorded.schema))
        pool = descriptor_pool.DescriptorPool()
        for each in files.file:
            pool.AddSerializedFile(each.SerializeToString())
        self._methods = pool.FindServiceByName(SERVICE).methods_by_name

    def request(self, call: Spoken) -> Message:
        kind = message_factory.GetMessageClass(self._methods[call.method].input_type)
        return kind.FromString(bytes.fromhex(call.request))

    def response(self, method: str, raw: bytes) -> Message:
        kind = message_factory.GetMessageClass(self._methods[method].output_type)
        return kind.FromString(raw)


def leaves(message: Message, path: str = "") -> Iterator[tuple[str, FieldDescriptor, object]]:
    """The fields that are set, each with where it is."""
    for each, value in message.ListFields():
        here = f"{path}.{each.name}"
        values = value if each.is_repeated else [value]
        for number, one in enumerate(values):
            if each.type == FieldDescriptor.TYPE_MESSAGE:
                yield from leaves(one, f"{here}[{number}]")
            else:
                yield f"{here}[{number}]", each, one


def replaced(message: Message, known: Mapping[object, object]) -> bytes:
    """A request with the values of today's keystore in place of those that were recorded."""
    for each, value in message.ListFields():
        if each.type == FieldDescriptor.TYPE_MESSAGE and not each.is_repeated:
            value.MergeFromString(replaced(value, known))
        elif not each.is_repeated and value in known:
            setattr(message, each.name, known[value])
    return message.SerializeToString()


@dataclass
class Today:
    """A keystore of today's code, and who uses it."""

    pc: grpc.Channel
    phone: Phone
    serial: str

    def call(self, method: str, request: bytes, *, stream: bool) -> bytes:
        """The first answer. Raises grpc.RpcError."""
        path = f"/{SERVICE}/{method}"
        if not stream:
            answer: bytes = self.pc.unary_unary(path)(request, timeout=SECONDS)
            return answer
        answers = self.pc.unary_stream(path)(request, timeout=SECONDS)
        first: bytes = next(iter(answers))
        answers.cancel()
        return first


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        keystore = KeystoreProcess(folder, nursery)
        policy = organisations_pb2.Policy(largest_batch=1, session=TERMS)
        asked = organisations_pb2.SetPolicyRequest(profile="p256", policy=policy)
        keystore.registry.organisations.SetPolicy(asked, timeout=SECONDS)
        yield keystore


@pytest.fixture
def today(keystore: KeystoreProcess, request: pytest.FixtureRequest) -> Iterator[Today]:
    name = request.node.callspec.id
    user, own = keystore.holder(name)
    serial = keystore.card(user, own)
    with (
        identity.channel(keystore.workstation(f"PC {name}")) as pc,
        identity.channel(own) as device,
    ):
        yield Today(pc, Phone(own, device), serial)


@each_recording
def test_todays_keystore_serves_readers_of_before(recorded: Recording, today: Today) -> None:
    schema = Schema(recorded)
    known: dict[object, object] = {recorded.serial: today.serial}
    for number, call in enumerate(recorded.calls):
        request = replaced(schema.request(call), known)
        try:
            raw = today.call(call.method, request, stream=call.method.startswith("Watch"))
        except grpc.RpcError as error:
            assert (code(error).name, reason(error)) == (call.status, call.reason), call.method
            continue
        assert call.status == "OK", call.method
        answer = schema.response(call.method, raw)
        before = schema.response(call.method, bytes.fromhex(call.responses[0]))
        has, had = list(leaves(answer)), list(leaves(before))
        missing = {each.full_name for _, each, _ in had} - {each.full_name for _, each, _ in has}
        assert not missing, f"{call.method} no longer says {missing}"
        for path, each, value in has:
            if each.enum_type is not None:
                assert value in each.enum_type.values_by_number, f"{call.method}{path}"
        now = {path: value for path, _, value in has}
        known |= {
            value: now[path]
            for path, _, value in had
            if path in now and value and isinstance(value, str | bytes)
        }
        decide(schema, recorded.calls[number : number + 2], answer, today.phone)


def decide(schema: Schema, calls: list[Spoken], answer: Message, phone: Phone) -> None:
    """Decide as the holder did, whose decision the next call was told."""
    if calls[0].method == "CreateOperation":
        told = schema.response(calls[1].method, bytes.fromhex(calls[1].responses[0]))
        approves = told.operation.state == approval_pb2.OPERATION_STATE_APPROVED
        ringing = phone.find(answer.operation.id)
        phone.approve(ringing, answer.operation.number) if approves else phone.deny(ringing)
    elif calls[0].method == "BeginSignIn":
        phone.approve(phone.claim(answer.sign_in.qr_text), "")


@dataclass
class Earlier(grpc.GenericRpcHandler):
    """A keystore of before, which answers what it answered then; methods that it did not have, it
    has not.
    """

    recorded: Recording
    calls: dict[str, list[Spoken]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for each in self.recorded.calls:
            self.calls[each.method].append(each)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = details.method.rpartition("/")[2]
        if method not in self.calls:
            return None
        if method.startswith("Watch"):
            return grpc.unary_stream_rpc_method_handler(self._stream(method))
        return grpc.unary_unary_rpc_method_handler(self._answer(method))

    def _answer(self, method: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
            call = self.calls[method].pop(0)
            if call.status != "OK":
                status = status_pb2.Status(code=code_pb2.Code.Value(call.status))
                status.details.add().Pack(error_details_pb2.ErrorInfo(reason=call.reason))
                context.abort_with_status(rpc_status.to_status(status))
            return bytes.fromhex(call.responses[0])

        return answer

    def _stream(self, method: str) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
        def answers(_request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
            yield from (bytes.fromhex(each) for each in self.calls[method].pop(0).responses)

        return answers


@pytest.fixture
def earlier(recorded: Recording) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Earlier(recorded),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(0).wait(SECONDS)


@each_recording
def test_todays_reader_gets_on_with_keystores_of_before(
    recorded: Recording, earlier: grpc.Channel
) -> None:
    holder = Holder(lambda _operation, _number, _approves: None)
    keys = RemoteKeys(earlier, recorded.serial, holder)
    assert visit(keys, RemoteKeys(earlier, NOBODY, holder), holder) == recorded.results


@pytest.mark.parametrize("recorded", RECORDINGS[:2], ids=lambda each: each.commit)
def test_a_sign_in_at_a_keystore_that_has_none_is_told_as_such(earlier: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        RemoteSignIns(WorkstationServiceStub(earlier)).begin("")
    assert "older" in explain(raised.value).message
