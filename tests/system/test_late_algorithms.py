"""Cards with algorithms that OpenSC has learnt lately. Each version reads the certificates, and one
that offers the algorithm uses the key; an older one refuses by itself, and the card hears nothing.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from card_os.piv.names import Algorithm, KeyRef
from cloudcard_tools.demo.programs import Pkcs11
from support.system_cards import OPENSC_IDS, PIN, LocalCard, on_cards

DOCUMENT = b"One signature, end to end.\n"
LEARNT = {  # the mechanism, and what a version lists that has it for such a key
    Algorithm.RSA_4096: ("SHA256-RSA-PKCS", "4096}"),
    Algorithm.ED25519: ("EDDSA", "EDDSA"),
}
KEY = OPENSC_IDS[KeyRef.AUTHENTICATION]


@on_cards(*LEARNT)
def test_a_key_is_used_by_each_version_that_knows_its_algorithm(
    card: LocalCard, tmp_path: Path
) -> None:
    document, signature = tmp_path / "document", tmp_path / "signature"
    document.write_bytes(DOCUMENT)
    mechanism, listed = LEARNT[card.algorithm]
    assert card.pkcs11("--list-objects", "--type", "cert").count("Certificate Object") == 4
    ended = Pkcs11(card.slot, PIN).attempt(
        *("--login", "--pin", PIN, "--sign", "--id", KEY, "--mechanism", mechanism),
        *("--input-file", document, "--output-file", signature),
    )
    if listed not in card.pkcs11("--list-mechanisms"):
        said = "key not found" if mechanism == "EDDSA" else "CKR_FUNCTION_NOT_SUPPORTED"
        assert said in ended.errors
        assert card.used == []
        return
    assert card.used == [KeyRef.AUTHENTICATION], ended.errors
    key = card.certificates[KeyRef.AUTHENTICATION].public_key()
    match key:
        case rsa.RSAPublicKey():
            key.verify(signature.read_bytes(), DOCUMENT, padding.PKCS1v15(), SHA256())
        case ed25519.Ed25519PublicKey():
            key.verify(signature.read_bytes(), DOCUMENT)
        case _:
            raise AssertionError(key)
