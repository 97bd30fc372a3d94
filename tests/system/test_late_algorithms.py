"""Cards with algorithms that OpenSC has learnt lately. Each version reads the certificates, and one
that offers the algorithm uses the key; an older one refuses by itself, and the card hears nothing.

What OpenSC offers does not depend on what our cards announce (tag AC of the answer to SELECT): it
reads that only for secure messaging. Up to 0.26.1, its PIV driver knows neither Ed25519 nor X25519
nor RSA-4096, for no card: one that it is told to take for a YubiKey, with the version 5.7.0 that
the profile `developer` answers, gets the same list. Its later source offers the three to cards
alone whose historical bytes say YubiKey and whose version is 5.7.0 or later.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import Algorithm, KeyRef
from cloudcard_tools.demo.programs import Pkcs11
from support.system_cards import OPENSC_IDS, PIN, LocalCard, on_cards

DOCUMENT = b"One signature, end to end.\n"
LEARNT = {  # the mechanism, and what a version lists that has it for such a key
    Algorithm.RSA_4096: ("SHA256-RSA-PKCS", "4096}"),
    Algorithm.ED25519: ("EDDSA", "EDDSA"),
}
LOGGED_IN = ("--login", "--pin", PIN)
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
        *(*LOGGED_IN, "--sign", "--id", KEY, "--mechanism", mechanism),
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


@on_cards(Algorithm.ED25519)
def test_an_agreement_by_each_version_that_knows_x25519(card: LocalCard, tmp_path: Path) -> None:
    """Key 9D of such a card is an X25519 key (RFC 8410)."""
    public = card.certificates[KeyRef.KEY_MANAGEMENT].public_key()
    assert isinstance(public, x25519.X25519PublicKey)
    other, secret = x25519.X25519PrivateKey.generate(), tmp_path / "secret"
    others = tmp_path / "other.der"
    others.write_bytes(
        other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    ended = Pkcs11(card.slot, PIN).attempt(
        *(*LOGGED_IN, "--derive", "--id", OPENSC_IDS[KeyRef.KEY_MANAGEMENT]),
        *("--mechanism", "ECDH1-DERIVE", "--input-file", others, "--output-file", secret),
    )
    if "key not found" in ended.errors:
        assert "Private Key Object" not in card.pkcs11(*LOGGED_IN, "--list-objects")
        assert card.used == []
        return
    assert secret.read_bytes() == other.exchange(public), ended.errors
    assert card.used == [KeyRef.KEY_MANAGEMENT]
