"""The guide to programs that sign: its program signs files, and OpenSSL agrees."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloudcard.workstation.v1 import workstation_pb2
from cloudcard_tools.authenticator.phone import Ringing
from cloudcard_tools.shared.processes import Nursery
from support.guides import DOCS, blocks, run_by
from support.keystore_process import PASSCODE
from support.open_sessions import Place, new_place

PROGRAM = DOCS.parent / "examples" / "sign_many.py"
[VERIFY] = [line for block in run_by("signing.md", __file__) for line in block.commands]
AUTHENTICATION_OBJECT = 0x5FC105
FILES = 12


def test_the_program_is_the_example() -> None:
    found = blocks((DOCS / "signing.md").read_text())
    assert [each.text for each in found if each.language == "python"] == [PROGRAM.read_text()]


def test_files_are_signed_under_one_approval(tmp_path: Path) -> None:
    names = ["contract.pdf", *(f"{number}.txt" for number in range(FILES))]
    for each in names:
        (tmp_path / each).write_text(f"the contents of {each}")
    with Nursery(tmp_path / "logs") as nursery:
        place = new_place(tmp_path, nursery)
        (tmp_path / "9A.pub").write_bytes(public_key(place))
        run(place, tmp_path, names)
        log = place.keystore.child.log.read_text()
    for each in names:
        command = shlex.split(VERIFY.replace("contract.pdf", each))
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert said.stdout == "Verified OK\n", said.stderr
    assert len(re.findall(r"\"event\": \"use\"", log)) == len(names)
    assert '/UseSession"' not in log


def run(place: Place, folder: Path, names: list[str]) -> None:
    """Run the program, without a terminal on which it could ask for the passcode."""
    command = [sys.executable, str(PROGRAM), str(place.own.folder), place.serial, *names]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(f"{PASSCODE}\n")
        program.stdin.flush()
        said = re.search(r"Type (\d\d) on the phone", program.stdout.readline())
        assert said is not None
        ringing = next(each for each in place.phone.watch() if isinstance(each, Ringing))
        assert place.phone.approve(ringing, said[1]) == "approved"
        assert program.wait(60) == 0


def public_key(place: Place) -> bytes:
    """The public key of 9A, from the certificate on the card."""
    asked = workstation_pb2.GetCardRequest(card_serial=place.serial)
    objects = {each.tag: each.value for each in place.pc.stub.GetCard(asked).card.objects}
    whole = objects[AUTHENTICATION_OBJECT]
    # SP 800-73-5 part 1, table 11: certificate, compression, error detection code
    assert whole[:2] == b"\x70\x82"
    raw = whole[4 : 4 + int.from_bytes(whole[2:4])]
    certificate = x509.load_der_x509_certificate(raw)
    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
