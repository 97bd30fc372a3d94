"""Sends a real keystore process what nobody meant: `python tests/fuzz/rpc.py SECONDS [SEED]`.

Every method of every service, with certificates of right and wrong roles: arbitrary bytes, messages
with any values, known identifiers in them, and mutations of their bytes. What is wrong: an answer
INTERNAL or UNKNOWN, a traceback in the log, a process that died, memory that grows.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

sys.path[:0] = [str(Path(__file__).parents[1])]

from cloudcard.registry.v1 import identities_pb2  # noqa: E402
from cloudcard.workstation.v1 import workstation_pb2_grpc  # noqa: E402
from cloudcard_tools.enrolment import spending, tokens  # noqa: E402
from cloudcard_tools.shared import identity  # noqa: E402
from cloudcard_tools.shared.processes import Nursery  # noqa: E402
from support.keystore_process import KeystoreProcess, Workstation, administrator, code  # noqa: E402
from support.schema import ENROLMENT, METHODS, role_of  # noqa: E402

WRONG = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
LIMITS = tuple(
    part
    for name in ("workstation", "device", "operator", "auditor", "card", "passcode", "enrolment")
    for part in ("--limit", f"{name}=100000/100000")
)
SECONDS_OF_CALL = 30.0
SECONDS_OF_STREAM = 0.05
DEEPEST = 3
NUMBERS = (0, 1, 3, 7, 0x11, 0x80, 0x81, 0x9A, 0x9C, 0x9D, 0x5FC102, 2**32 - 1)
WARM_CALLS = 2000
MOST_GROWTH_KIB = 64 * 1024


class Found(Exception):
    """The keystore answered as it must not."""


@dataclass
class Target:
    """A keystore, who may call it, and the words that it knows."""

    keystore: KeystoreProcess
    channels: dict[str, grpc.Channel]
    enrolment: grpc.Channel
    words: list[str | bytes]
    codes: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    def call(self, chance: random.Random) -> None:
        """One call; raises Found."""
        method = chance.choice(METHODS)
        service = method.containing_service.full_name
        channel = (
            self.enrolment
            if service == ENROLMENT
            else chance.choice(
                [self.channels[role_of(method.containing_service)]] * 4 + [*self.channels.values()]
            )
        )
        request = message_bytes(chance, method.input_type, self.words)
        said = _ask(channel, f"/{service}/{method.name}", request, method.server_streaming)
        self.calls += 1
        self.codes[said.name if said else "OK"] += 1
        if said in WRONG:
            raise Found(f"{method.full_name} answered {said.name} to {request.hex()}")

    def look(self) -> None:
        """Raise Found for a process that died, or whose log tells of an error."""
        if self.keystore.child.returncode is not None:
            raise Found("the keystore died")
        log = self.keystore.child.log.read_text()
        if "Traceback" in log or "internal error" in log:
            raise Found(f"the log tells of an error: {log[-3000:]}")

    def memory_kib(self) -> int:
        """What the keystore holds (Linux: proc(5))."""
        status = Path(f"/proc/{self.keystore.child.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def message_bytes(chance: random.Random, kind: Descriptor, words: Sequence[str | bytes]) -> bytes:
    """A message of a kind, or what is left of one."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(300))
    raw = bytearray(_message(chance, kind, words, DEEPEST).SerializeToString())
    while chance.random() < 0.25:
        _mutate(chance, raw)
    return bytes(raw)


def _message(
    chance: random.Random, kind: Descriptor, words: Sequence[str | bytes], depth: int
) -> Message:
    message = GetMessageClass(kind)()
    for each in kind.fields:
        if chance.random() < 0.2 or (each.message_type is not None and depth == 0):
            continue
        count = chance.choice([1, 1, 2, 300]) if each.is_repeated else 1
        if each.message_type is not None:
            inner = _message(chance, each.message_type, words, depth - 1)
            if each.is_repeated:
                getattr(message, each.name).extend([inner] * count)
            else:
                getattr(message, each.name).CopyFrom(inner)
        elif each.is_repeated:
            getattr(message, each.name).extend(_value(chance, each, words) for _ in range(count))
        else:
            setattr(message, each.name, _value(chance, each, words))
    return message


def _value(
    chance: random.Random, each: FieldDescriptor, words: Sequence[str | bytes]
) -> str | bytes | int | bool:
    match each.type:
        case FieldDescriptor.TYPE_STRING:
            known = [word for word in words if isinstance(word, str)]
            junk = chance.choice(["", "x", "\0", "\u202e", "é" * 300, "0" * 70000, "150", "-1"])
            return chance.choice([junk, *known * 2]) if known else junk
        case FieldDescriptor.TYPE_BYTES:
            known_bytes = [word for word in words if isinstance(word, bytes)]
            size = chance.choice([0, 1, 16, 16, 20, 32, 64, 256, 5000])
            return chance.choice([chance.randbytes(size), chance.randbytes(size), *known_bytes])
        case FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.TYPE_ENUM:
            return chance.choice([*each.enum_type.values_by_number, 99, -1])
        case FieldDescriptor.TYPE_INT64 | FieldDescriptor.TYPE_INT32:
            top = 2**63 - 1 if each.type == FieldDescriptor.TYPE_INT64 else 2**31 - 1
            return chance.choice([0, 1, 2, 17, 250, 251, 3600, -1, -top - 1, top])
        case _:
            return chance.choice(
                [0, 1, 3, 7, 0x11, 0x80, 0x81, 0x9A, 0x9C, 0x9D, 0x5FC102, 2**32 - 1]
            )


def _mutate(chance: random.Random, raw: bytearray) -> None:
    at = chance.randrange(len(raw) + 1)
    match chance.randrange(4):
        case 0 if raw:
            raw[at % len(raw)] ^= 1 << chance.randrange(8)
        case 1:
            del raw[at : at + chance.randrange(1, 9)]
        case 2:
            raw[at:at] = chance.randbytes(chance.randrange(1, 9))
        case _:
            raw += b"\xfa\x3f\x03abc"  # a field that nobody knows


def _ask(
    channel: grpc.Channel, method: str, request: bytes, streaming: bool
) -> grpc.StatusCode | None:
    """The status of a call; None if it went well, or if a stream goes on."""
    try:
        if streaming:
            for _ in channel.unary_stream(method)(request, timeout=SECONDS_OF_STREAM):
                break
        else:
            channel.unary_unary(method)(request, timeout=SECONDS_OF_CALL)
    except grpc.RpcError as error:
        said = code(error)
        return None if streaming and said is grpc.StatusCode.DEADLINE_EXCEEDED else said
    return None


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """A keystore with people and cards, and one caller of each role."""
    with Nursery(folder / "logs") as nursery, ExitStack() as open_:
        keystore = KeystoreProcess(folder, nursery, LIMITS)
        user_id, phone = keystore.holder("Ada")
        pc = keystore.workstation("PC")
        serial, developer = keystore.card(user_id, phone), keystore.developer_card(user_id)
        asked = identities_pb2.CreateAuditorRequest(display_name="Grace")
        token = keystore.registry.identities.CreateAuditor(asked).token.text
        auditor = spending.enrol(token, folder / "auditor", "auditor")
        enrolled = {
            "workstation": pc, "device": phone, "operator": keystore.operator, "auditor": auditor,
        }  # fmt: skip
        channels = {
            role: open_.enter_context(identity.channel(own)) for role, own in enrolled.items()
        }
        workstation = Workstation(
            workstation_pb2_grpc.WorkstationServiceStub(channels["workstation"]), serial
        )
        proof = workstation.proof()
        operation = workstation.create(os.urandom(16), proof=proof)
        fingerprint, _, address = tokens.parse_token(token)
        credentials = grpc.ssl_channel_credentials(tokens.pinned_certificate(address, fingerprint))
        options = (("grpc.ssl_target_name_override", tokens.ENROLMENT_HOST),)
        enrolment = open_.enter_context(grpc.secure_channel(address, credentials, options=options))
        proofs = [proof, administrator(channels["workstation"], developer)]
        words: list[str | bytes] = [serial, developer, user_id, phone.id, pc.id, operation.id]
        yield Target(keystore, channels, enrolment, [*words, *proofs])


def fuzz(folder: Path, seconds: float, seed: int, say: Callable[[str], object] = print) -> Target:
    """Call for a while; raises Found."""
    chance = random.Random(seed)
    with target(folder) as fuzzed:
        end = time.monotonic() + seconds
        warm = 0
        while time.monotonic() < end:
            fuzzed.call(chance)
            if fuzzed.calls == WARM_CALLS:
                warm = fuzzed.memory_kib()
            if fuzzed.calls % 500 == 0:
                fuzzed.look()
        fuzzed.look()
        grown = fuzzed.memory_kib() - warm if warm else 0
        say(f"{fuzzed.calls} calls, seed {seed}, {grown} KiB grown: {dict(fuzzed.codes)}")
        if grown > MOST_GROWTH_KIB:
            raise Found(f"the keystore's memory grew by {grown} KiB")
        return fuzzed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="cloudcard-fuzz-") as name:
        given = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
        fuzz(Path(name), float(sys.argv[1]), given)
