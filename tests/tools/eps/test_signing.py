"""`cloudcard eps`: a real keystore signs prescriptions with a card of v2 under one approval, and
OpenSSL and xmlsec1 agree.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloudcard.workstation.v1 import workstation_pb2
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.eps import batches, fragments, signatures
from cloudcard_tools.eps.batches import MOST, Prepared
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.eps.desk import Desk
from cloudcard_tools.eps.signatures import ALGORITHMS, DSIG
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.failures import Failure, Refused
from reader_bridge.prompter import Outcome
from support.keystore_process import PASSCODE
from support.surgery import Surgery, authority_files, in_time, open_surgery

SAMPLES = Path(__file__).parents[2] / "samples"
MESSAGE = (SAMPLES / "prescription.xml").read_bytes()
NUMBER = b"D37FD639-E831-420C-B37B-40481DCA910E"
GOAL = 30.0  # seconds; it takes one, and a computer with much else to do may take longer
Request = TypeVar("Request")
Response = TypeVar("Response")


@pytest.fixture(scope="module")
def surgery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surgery]:
    with open_surgery(tmp_path_factory.mktemp("surgery")) as opened:
        yield opened


def numbered(count: int) -> list[Prepared]:
    """Prescriptions with numbers of their own."""
    found: list[Prepared] = []
    for each in range(count):
        message = MESSAGE.replace(NUMBER, b"D37FD639-E831-420C-B37B-%012d" % each)
        found += batches.read(f"rx-{each}", message, ALGORITHMS["RS256"])
    return found


def signed(desk: Desk, prepared: Sequence[Prepared]) -> tuple[dict[str, bytes], float]:
    """The signatures, and how long the keystore has taken."""
    made, certificate = batches.batch(prepared), desk.certificate()
    proof = desk.proof(PASSCODE)
    begun = time.monotonic()
    values = desk.sign(made, certificate, proof, "SystmNought")
    return dict(made.signed(values, certificate)), time.monotonic() - begun


def test_250_prescriptions_under_one_approval(surgery: Surgery) -> None:
    """The holder is asked once, and sees which system asks and for how many."""
    desk, signer = surgery.desk()
    found, seconds = signed(desk, numbered(MOST))
    print(f"250 signatures: {seconds:.2f} s")
    assert len(found) == MOST
    assert seconds < GOAL
    [seen] = signer.seen
    assert seen["application"] == "SystmNought: 250 prescriptions"
    assert seen["key_use"] == "Sign, 250 times"
    listed = seen["documents"]
    assert isinstance(listed, list)
    # Each with its data, in order: nothing of the patient.
    texts = [f"D37FD639-E831-420C-B37B-{each:012}, 2 items" for each in range(MOST)]
    assert [each["text"] for each in listed] == texts
    assert len({each["data"] for each in listed}) == MOST
    for each, value in found.items():
        assert signatures.parse(value).is_right(), each


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    ended = subprocess.run(list(map(str, command)), input=stdin, capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def prepared(number: str, algorithm: str) -> str:
    """An answer of `$prepare`."""
    content = fragments.of_prescription(MESSAGE.replace(NUMBER, number.encode())).content
    told = {
        "digest": base64.b64encode(signatures.signed_info(content, ALGORITHMS[algorithm])).decode(),
        "timestamp": "2026-11-29T21:30:00+00:00",
        "algorithm": algorithm,
    }
    rows = [{"name": name, "valueString": value} for name, value in told.items()]
    return json.dumps({"resourceType": "Parameters", "parameter": rows})


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_openssl_verifies_what_the_command_writes(
    surgery: Surgery, tmp_path: Path, algorithm: str
) -> None:
    """A message and an answer of $prepare in one batch; what is written counts for `verify`."""
    # Its time of signing is a moment from now: the card is there already.
    time = datetime.now(UTC) + timedelta(minutes=2)
    message = MESSAGE.replace(b"20261129213000", time.strftime("%Y%m%d%H%M%S").encode())
    (tmp_path / "message.xml").write_bytes(message)
    (tmp_path / "other.json").write_text(
        prepared("D37FD639-E831-420C-B37B-000000000004", algorithm)
    )
    files = (tmp_path / "message.xml", tmp_path / "other.json")
    code, out, error = in_time(
        surgery, "--algorithm", algorithm, "--into", tmp_path / "signed", *files
    )
    assert code == 0, error
    told = json.loads(out)
    assert [each["id"] for each in told["signatures"]] == ["message", "other"]
    for each in told["signatures"]:
        written = (tmp_path / "signed" / f"{each['id']}.signature").read_text()
        assert written == each["signature"]
        element = base64.b64decode(written)
        found = signatures.parse(element)
        public = found.certificate.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "key.pem").write_bytes(pem)
        (tmp_path / "value").write_bytes(found.value)
        verify = ("openssl", "dgst", f"-{found.algorithm.digest}", "-verify", tmp_path / "key.pem")
        canonical = re.sub(
            b"<SignedInfo>", f'<SignedInfo xmlns="{DSIG}">'.encode(), element, count=1
        )
        [content] = re.findall(rb"<SignedInfo .*</SignedInfo>", canonical)
        said = run(*verify, "-signature", tmp_path / "value", stdin=content)
        assert said == b"Verified OK\n"
    counted = verified(surgery, tmp_path, *files)
    assert [(each["id"], each["counts"]) for each in counted] == [
        ("message", True),
        ("other", True),
    ]


def verified(surgery: Surgery, folder: Path, *paths: Path) -> list[dict[str, object]]:
    """What `cloudcard eps verify` says, with the keystore's authority of cards and its list."""
    runner = CliRunner()
    authority, crl = authority_files(surgery, folder)
    asked = ["eps", "verify", "--json", "--signatures", str(folder / "signed")]
    asked += ["--authority", str(authority), "--crl", str(crl), *map(str, paths)]
    done = runner.invoke(cloudcard, asked)
    found: list[dict[str, object]] = json.loads(done.stdout)
    assert done.exit_code == (0 if all(each["counts"] for each in found) else 1)
    return found


def test_a_card_without_a_key_for_prescriptions(surgery: Surgery) -> None:
    """A card of v1 has no key 9C; one for developers has another one."""
    for profile, said in (("v1", "no key 9C: cards of v1 only"), ("p256", "for something else")):
        serial = surgery.keystore.card(surgery.user_id, surgery.phone, profile)
        desk, signer = surgery.desk(serial)
        with pytest.raises(Failure, match=said):
            signed(desk, numbered(1))
        assert not signer.seen


def test_a_wrong_passcode_asks_nobody(surgery: Surgery) -> None:
    desk, signer = surgery.desk()
    with pytest.raises(Failure, match="tries left: 2"):
        desk.proof("000000")
    desk.proof(PASSCODE)
    assert not signer.seen


class Changing(grpc.UnaryUnaryClientInterceptor):
    """A workstation that has something else signed than was approved."""

    def __init__(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        self.change = change

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Request], grpc._CallFuture[Response]],
        client_call_details: grpc.ClientCallDetails,
        request: Request,
    ) -> grpc._CallFuture[Response]:
        if isinstance(request, workstation_pb2.PerformOperationRequest):
            request.inputs[:] = self.change(list(request.inputs))
        return continuation(client_call_details, request)


ANOTHER = ALGORITHMS["RS256"].block(b"another document", 2048)
ATTACKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "one more": lambda rows: [*rows, ANOTHER],
    "altered": lambda rows: [ANOTHER, *rows[1:]],
    "reordered": lambda rows: rows[::-1],
    "left out": lambda rows: rows[1:],
    "one twice": lambda rows: [rows[0], rows[0], *rows[2:]],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_what_was_approved_is_signed(surgery: Surgery, attack: str) -> None:
    """The keystore compares each document with the approval, in order."""
    channel = grpc.intercept_channel(identity.channel(surgery.own), Changing(ATTACKS[attack]))
    desk, signer = surgery.desk(channel=channel)
    with pytest.raises(Refused, match="not the one that was approved"):
        signed(desk, numbered(3))
    assert len(signer.seen) == 1


def test_a_251st_document_is_refused(surgery: Surgery) -> None:
    """By the command before anybody is asked, and by the keystore."""
    with pytest.raises(Unreadable, match="1 to 250"):
        batches.batch(numbered(MOST + 1))
    desk, signer = surgery.desk()
    too_many = batches.Batch(numbered(MOST + 1))
    with pytest.raises(Refused, match="1 to 250"):
        desk.sign(too_many, desk.certificate(), desk.proof(PASSCODE), "")
    assert not signer.seen


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rx.json", "{", "no JSON"),
        ("rx.json", '{"payloads": []}', "1 to 250"),
        ("rx.json", '{"payloads": [{"id": "../x", "payload": ""}], "algorithm": "RS1"}', "an id"),
        ("rx.json", prepared("a", "RS1").replace("RS1", "none"), "RS1 or RS256"),
        ("rx.xml", "<a/>", "0 prescriptions"),
        (".xml", MESSAGE.decode(), "an id"),
        ("one two.xml", MESSAGE.decode(), "an id"),
    ],
)
def test_files_that_are_not_signed(tmp_path: Path, name: str, content: str, said: str) -> None:
    """Nobody is asked, not even the keystore."""
    (tmp_path / name).write_text(content)
    asked = ["eps", "sign", "--card", "1500", "--json", str(tmp_path / name)]
    done = CliRunner().invoke(cloudcard, asked)
    assert done.exit_code == 1
    assert said in done.output


def test_signatures_are_not_overwritten(surgery: Surgery, tmp_path: Path) -> None:
    (tmp_path / "rx.xml").write_bytes(MESSAGE)
    (tmp_path / "rx.signature").write_text("mine")
    asked = ["eps", "sign", "--card", surgery.serial, "--into", str(tmp_path)]
    done = CliRunner().invoke(cloudcard, [*asked, str(tmp_path / "rx.xml")])
    assert done.exit_code == 1
    assert "exists" in done.output
    assert (tmp_path / "rx.signature").read_text() == "mine"


def test_what_does_not_count_is_told(surgery: Surgery, tmp_path: Path) -> None:
    """Of another prescription, no base64, or missing."""
    (tmp_path / "signed").mkdir()
    desk, _ = surgery.desk()
    [one] = signed(desk, numbered(1))[0].values()
    for name, value in (("other", base64.b64encode(one)), ("broken", b"!")):
        (tmp_path / f"{name}.xml").write_bytes(MESSAGE)
        (tmp_path / "signed" / f"{name}.signature").write_bytes(value)
    (tmp_path / "missing.xml").write_bytes(MESSAGE)
    paths = [tmp_path / f"{each}.xml" for each in ("other", "broken", "missing")]
    found = {each["id"]: each["reason"] for each in verified(surgery, tmp_path, *paths)}
    assert "another prescription" in str(found["other"])
    assert "base64" in str(found["broken"])
    assert "there is no" in str(found["missing"])


def test_the_request_is_one_of_its_signer(surgery: Surgery) -> None:
    """Somebody else's phone neither sees nor approves it."""
    _, phone = surgery.keystore.holder("Bo")
    desk, signer = surgery.desk()
    signer.phone = Phone(phone, identity.channel(phone))
    with pytest.raises(Refused, match="no such operation for you"):
        signed(desk, numbered(1))


def test_a_batch_that_is_denied_signs_nothing(surgery: Surgery) -> None:
    """The last test, as the phone is left in peace for seconds after it."""
    desk, signer = surgery.desk()
    signer.approves = False
    with pytest.raises(Refused, match="did not approve: nothing was signed"):
        signed(desk, numbered(2))
    assert signer.outcomes == [Outcome.DENIED]
