"""The native client, under ASan and UBSan, before keystores that answer what they like: it ends
with one line that says why, and a wrong answer is never counted.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.bench.signing import clients, native
from cloudcard_tools.bench.signing.crowd import Crowd, Session
from cloudcard_tools.shared.identity import Identity
from support import hostile_keystore as hostile
from support.hostile_keystore import Hostile, Script, answer, begun, frame, headers, message

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
KEYS: Mapping[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
    "rsa2048": RSA_KEY,
    "p256": EC_KEY,
}
FAULT_OF_SANITIZER = "99"  # their own is 1, as ours
MUTANTS = 40


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with sanitizers."""
    return native.build(tmp_path_factory.mktemp("load"), "sanitized").with_name("load-sanitized")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an identity."""
    return hostile.identity(tmp_path_factory.mktemp("identity") / "own")


def run(
    program: Path,
    place: Path,
    script: Script,
    plan: str,
    *,
    hangs_up: bool = False,
    parting: bytes = b"",
) -> subprocess.CompletedProcess[str]:
    """The client with a plan, such as "unary pkcs1 1 1 0 2 1"."""
    keystore = Hostile(place, script, hangs_up, parting)
    workstation = Identity(place, "workstation", "1", "one", "", b"")
    sessions = tuple(
        Session(0, name, f"session-{name}", public)
        for name, key in KEYS.items()
        for public in [
            key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ]
    )
    with keystore.running():
        told = [
            *clients.lines(Crowd((workstation,), sessions), [f"127.0.0.1:{keystore.port}"]),
            "\t".join(["run", *plan.split()]),
            "",
        ]
        return subprocess.run(
            [program],
            input="\n".join(told) + "\n",
            capture_output=True,
            text=True,
            timeout=150,
            env={
                **os.environ,
                "ASAN_OPTIONS": f"exitcode={FAULT_OF_SANITIZER}",
                "UBSAN_OPTIONS": f"exitcode={FAULT_OF_SANITIZER}",
            },
        )


def sign(use: pb.UseSessionRequest) -> list[bytes]:
    """What the keys make of inputs."""
    if use.session_id == "session-p256":
        return [EC_KEY.sign(each, ec.ECDSA(Prehashed(SHA256()))) for each in use.inputs]
    numbers = RSA_KEY.private_numbers()
    return [
        pow(int.from_bytes(each), numbers.d, numbers.public_numbers.n).to_bytes(256)
        for each in use.inputs
    ]


def used(raw: bytes) -> pb.UseSessionResponse:
    """The right answer to a UseSessionRequest."""
    use = pb.UseSessionRequest.FromString(raw)
    assert len(use.request_id) == 16
    return pb.UseSessionResponse(results=sign(use), uses_left=7)


def honest(stream: int, raw: bytes) -> bytes:
    """Answers as a keystore does."""
    return answer(stream, message(used(raw).SerializeToString()))


def honest_stream(stream: int, raw: bytes) -> bytes:
    """An outcome on a stream that goes on."""
    request = pb.UseSessionsRequest.FromString(raw)
    outcome = pb.UseSessionsResponse(
        number=request.number, used=used(request.use.SerializeToString())
    )
    return frame(hostile.DATA, 0, stream, message(outcome.SerializeToString()))


def outcome(response: pb.UseSessionsResponse) -> Script:
    """An outcome on a stream, whatever was asked for."""
    content = message(response.SerializeToString())
    return lambda stream, _: begun(stream) + frame(hostile.DATA, 0, stream, content)


def content(raw: bytes) -> Script:
    """A message as the answer, whatever was asked for."""
    return lambda stream, _: answer(stream, message(raw))


def results(*values: bytes) -> Script:
    """Results, whatever was asked for."""
    return content(pb.UseSessionResponse(results=values).SerializeToString())


@pytest.mark.parametrize("plan", ["pkcs1 1", "pss 1", "p256 1", "pkcs1 3", "p256 250"])
def test_right_answers_are_counted_and_checked(program: Path, place: Path, plan: str) -> None:
    done = run(program, place, honest, f"unary {plan} 3 0 5 1")
    assert (done.returncode, done.stderr) == (0, "")
    ready, line = done.stdout.splitlines()
    told = clients.Told(**json.loads(line))
    assert ready == "ready"
    assert told.answered >= 5
    assert told.checked == told.answered * int(plan.split()[1])
    assert 0 < told.p50_ms <= told.p99_ms <= 1000 * told.elapsed_s * 1.01
    assert told.cpu_s > 0


UNARY: Mapping[str, tuple[Script, str]] = {
    "no HTTP/2": (lambda *_: b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64), "speaks no HTTP/2"),
    "a large frame": (lambda *_: b"\xff" * 9 + bytes(99), "speaks no HTTP/2"),
    "going away": (
        lambda *_: frame(hostile.GOAWAY, 0, 0, bytes(7) + b"\x0b"),
        "closes a connection: ENHANCE_YOUR_CALM",
    ),
    "reset": (
        lambda stream, _: frame(hostile.RESET, 0, stream, b"\0\0\0\x08"),
        "ended without success: HTTP/2 says CANCEL",
    ),
    "HTTP's status": (lambda stream, _: begun(stream, "503"), "HTTP's 503"),
    "refused": (
        lambda stream, _: answer(stream, b"", {"grpc-status": "9", "grpc-message": "it is over"}),
        "gRPC it is over",
    ),
    "no status": (lambda stream, _: answer(stream, message(b""), {}), "results, not 1"),
    "no status but an answer": (
        lambda stream, raw: answer(stream, message(used(raw).SerializeToString()), {"x": "y"}),
        "without success",
    ),
    "compressed": (lambda stream, _: answer(stream, b"\1\0\0\0\0"), "compressed"),
    "endless": (lambda stream, _: answer(stream, b"\0\xff\xff\xff\xff"), "longer than any"),
    "half a message": (lambda stream, _: answer(stream, message(b"12345")[:-1]), "without success"),
    "no message": (lambda stream, _: answer(stream, b""), "without an answer"),
    "two messages": (
        lambda stream, raw: answer(stream, 2 * message(used(raw).SerializeToString())),
        "answered twice",
    ),
    "no result": (results(), "0 results, not 1"),
    "two results": (results(bytes(256), bytes(256)), "more than the 1 results"),
    "a short result": (results(bytes(255)), "no signature of its input"),
    "an empty result": (results(b""), "no signature of its input"),
    "another's signature": (results(bytes(255) + b"\1"), "no signature of its input"),
    "a number without an end": (content(b"\xff" * 11), "without an end"),
    "a cut number": (content(b"\x80"), "without an end"),
    "a field beyond the end": (content(b"\x0a\x7f1"), "ends within a field"),
    "a huge field": (content(b"\x0a" + b"\xff" * 9 + b"\1"), "ends within a field"),
    "a field of another type": (content(b"\x0d\0\0\0\0"), "of an unknown type"),
}


@pytest.mark.parametrize("name", UNARY)
def test_a_wrong_answer_ends_the_run(program: Path, place: Path, name: str) -> None:
    script, why = UNARY[name]
    ended_with(run(program, place, script, "unary pkcs1 1 1 0 3 1"), why)


NUMBER = 4096  # of the first request on a stream
STREAM: Mapping[str, tuple[Script, str]] = {
    "refused": (
        outcome(pb.UseSessionsResponse(number=NUMBER, refusal=pb.Refusal(code=9, text="it ended"))),
        "refused with 9: it ended",
    ),
    "no outcome": (outcome(pb.UseSessionsResponse(number=NUMBER)), "no outcome"),
    "another number": (
        outcome(pb.UseSessionsResponse(number=1, used=pb.UseSessionResponse(results=[bytes(256)]))),
        "does not wait",
    ),
    "a number that is out of range": (
        outcome(pb.UseSessionsResponse(number=2**32 - 1, used=pb.UseSessionResponse(uses_left=1))),
        "does not wait",
    ),
    "twice": (
        lambda stream, raw: begun(stream) + 2 * honest_stream(stream, raw),
        "does not wait",
    ),
    "no signature": (
        outcome(
            pb.UseSessionsResponse(number=NUMBER, used=pb.UseSessionResponse(results=[bytes(256)]))
        ),
        "no signature of its input",
    ),
    "an early end": (
        lambda stream, _: begun(stream) + headers(stream, hostile.OK, last=True),
        "too early",
    ),
}


@pytest.mark.parametrize("name", STREAM)
def test_a_wrong_outcome_ends_the_run(program: Path, place: Path, name: str) -> None:
    script, why = STREAM[name]
    ended_with(run(program, place, script, "stream pkcs1 1 1 0 3 1"), why)


def test_outcomes_of_a_stream_come_in_any_order(program: Path, place: Path) -> None:
    held: list[bytes] = []

    def backwards(stream: int, raw: bytes) -> bytes:
        held.append(honest_stream(stream, raw))
        return begun(stream) if len(held) == 1 else held[1] + held[0]

    done = run(program, place, backwards, "stream p256 1 2 0 2 1")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout.splitlines()[1])
    assert (told["answered"], told["checked"]) == (2, 2)


def test_an_outcome_after_the_end_is_not_taken(program: Path, place: Path) -> None:
    late = pb.UseSessionsResponse(number=NUMBER, used=pb.UseSessionResponse(results=[bytes(256)]))

    def last(stream: int, raw: bytes) -> bytes:
        return begun(stream) + honest_stream(stream, raw)

    parting = message(late.SerializeToString())
    done = run(program, place, last, "stream pkcs1 1 1 0 1 1", parting=parting)
    ended_with(done, "does not wait")


def test_an_empty_call_has_an_empty_answer(program: Path, place: Path) -> None:
    ended_with(run(program, place, content(b"\x08\1"), "empty pkcs1 1 1 0 3 1"), "not empty")


def test_a_keystore_of_another_authority_is_not_called(
    program: Path, place: Path, tmp_path: Path
) -> None:
    other = hostile.identity(tmp_path / "other")
    shutil.copy(place / "ca.pem", other)
    ended_with(run(program, other, honest, "unary pkcs1 1 1 0 3 1"), "no TLS with 127.0.0.1")


@pytest.mark.parametrize("seed", range(MUTANTS))
def test_no_changed_answer_breaks_the_client(program: Path, place: Path, seed: int) -> None:
    chance = random.Random(seed)

    def changed(stream: int, raw: bytes) -> bytes:
        said = bytearray(honest(stream, raw))
        for _ in range(chance.randint(1, 4)):
            match chance.randrange(3):
                case 0:
                    said[chance.randrange(len(said))] = chance.randrange(256)
                case 1:
                    at = chance.randrange(len(said) - 9)
                    del said[at : at + chance.randint(1, 9)]
                case _:
                    at = chance.randrange(len(said))
                    said[at:at] = chance.randbytes(chance.randint(1, 9))
        return bytes(said) + frame(hostile.GOAWAY, 0, 0, bytes(8))

    plan = "unary pkcs1 1 1 0 3 1"
    ended_with(run(program, place, changed, plan, hangs_up=True), "")


def ended_with(done: subprocess.CompletedProcess[str], why: str) -> None:
    """The client has ended by itself, with one line."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == "ready\n" or done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("load: ")
    assert why in line
