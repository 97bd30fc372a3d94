"""One approval at log-in, then an application signs as often as the session allows, unasked, over
one stream.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from cloudcard_tools.demo.programs import must
from cloudcard_tools.demo.stage import PASSCODE, Stage
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support import pkcs11_signer

SIGNATURES = 4


def test_one_approval_at_log_in(
    nursery: Nursery, virtual_readers: pcsc.Client, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, nursery, interactive=False)
    stage.start_keystore()
    stage.meet_ada()
    stage.ask("ra", "policy", "set", "--session-uses", "10", "--session-minutes", "5")
    serial = stage.issue("p256")
    stage.start_phone()
    stage.insert(0, serial, approval="push")

    signer = [sys.executable, pkcs11_signer.__file__, PASSCODE, str(SIGNATURES)]
    # pcscd takes the power from a card that nobody is connected to for five seconds, which ends the
    # session: sooner, on a busy computer, than it is asked for.
    with virtual_readers.connect(0):
        said = stage.while_deciding(stage.approve_push, lambda: must(signer))
        (session,) = stage.ask.json("authenticator", "sessions", "list")
    assert session["uses_left"] == 10 - SIGNATURES

    pem = (stage.certificates(serial) / "9A.pem").read_bytes()
    public = load_pem_x509_certificate(pem).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signatures = [bytes.fromhex(line) for line in said.split()]
    assert len(signatures) == SIGNATURES
    for number, raw in enumerate(signatures):
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public.verify(der, pkcs11_signer.digest(number), ec.ECDSA(Prehashed(SHA256())))
    assert stage.count_rings() == 1
    log = nursery["keystore"].log.read_text()
    assert (log.count('"event": "use"'), log.count('/UseSession"')) == (SIGNATURES, 0)
