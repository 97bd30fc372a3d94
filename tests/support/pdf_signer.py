"""A program that signs a PDF with a card's key, with pyHanko and OpenSC's module.

python pdf_signer.py SLOT KEY_ID PIN UNSIGNED SIGNED
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, sign_pdf
from pyhanko.sign.pkcs11 import PKCS11Signer, open_pkcs11_session

from cloudcard_tools.demo.programs import module


def main(slot: int, key_id: bytes, pin: str, unsigned: Path, signed: Path) -> None:
    """Sign the whole document."""
    with (
        open_pkcs11_session(str(module()), slot_no=slot, user_pin=pin) as session,
        unsigned.open("rb") as source,
        signed.open("wb") as target,
    ):
        signer = PKCS11Signer(
            session,
            cert_id=key_id,
            key_id=key_id,
            base_sign_kwargs={"pin": pin},  # once more right before: 9C wants it so
        )
        metadata = PdfSignatureMetadata(field_name="Signature", md_algorithm="sha256")
        sign_pdf(IncrementalPdfFileWriter(source), metadata, signer, output=target)


if __name__ == "__main__":
    slot, key_id, pin, unsigned, signed = sys.argv[1:]
    main(int(slot), bytes.fromhex(key_id), pin, Path(unsigned), Path(signed))
