"""PDFs that pyHanko signs with the card's signature key, verified by Poppler."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pyhanko.pdf_utils.generic import StreamObject
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from card_os.piv.names import Algorithm, KeyRef
from cloudcard_tools.demo.programs import must, run
from cloudcard_tools.demo.stage import PASSCODE, Stage
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support import nss, pdf_signer
from support.authority import Authority
from support.system_cards import ALGORITHMS, OPENSC_IDS, PIN, inserted

GOOD = ("Signature Validation: Signature is Valid.", "Total document signed")
PROFILES = ("rsa2048", "p256")  # of the keystore's cards: a row is a card more
A4 = (0, 0, 595, 842)
TRUSTED = "Certificate Validation: Certificate is Trusted."


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A PDF of one page."""
    path = tmp_path / "document.pdf"
    writer = PdfFileWriter()
    empty = writer.add_object(StreamObject(stream_data=b""))
    writer.insert_page(PageObject(contents=empty, media_box=A4))
    with path.open("wb") as file:
        writer.write(file)
    return path


def sign(document: Path, key_ref: int, pin: str) -> Path:
    """The document signed with a key of the card in slot 0."""
    signed = document.with_name("signed.pdf")
    files = (str(document), str(signed))
    must([sys.executable, pdf_signer.__file__, "0", OPENSC_IDS[key_ref], pin, *files])
    return signed


def verify(signed: Path, authority: Path) -> str:
    """What pdfsig says to somebody who trusts the authority."""
    trust = nss.make(signed.with_name(f"trust of {signed.name}"), authority)
    return run(["pdfsig", "-nssdir", trust.name, str(signed)]).output


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda each: each.name)
def test_a_signed_pdf(
    virtual_readers: pcsc.Client,
    authority: Authority,
    document: Path,
    tmp_path: Path,
    algorithm: Algorithm,
) -> None:
    with inserted(virtual_readers, algorithm, authority) as card:
        signed = sign(document, KeyRef.SIGNATURE, PIN)
    assert card.used == [KeyRef.SIGNATURE]
    trusted = authority.write(tmp_path)
    said = verify(signed, trusted)
    assert all(word in said for word in (*GOOD, TRUSTED, "Signer Certificate Common Name: Ada 9C"))

    changed = signed.with_name("changed.pdf")
    original = signed.read_bytes()
    assert b"/MediaBox" in original
    changed.write_bytes(original.replace(b"/MediaBox", b"/CropBox ", 1))
    assert "Digest Mismatch" in verify(changed, trusted)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_pdf_signed_after_the_holders_approval(
    nursery: Nursery, document: Path, tmp_path: Path, profile: str
) -> None:
    stage = Stage(tmp_path / "stage", nursery, interactive=False)
    stage.start_keystore()
    stage.meet_ada()
    stage.start_phone()
    serial = stage.issue(profile)
    stage.insert(0, serial, approval="push")
    signed = stage.while_deciding(
        stage.approve_push, lambda: sign(document, KeyRef.SIGNATURE, PASSCODE)
    )
    said = verify(signed, stage.certificates(serial) / "ca.pem")
    assert all(word in said for word in (*GOOD, TRUSTED)), said
    assert stage.count_rings() == 1
