"""Every mechanism that OpenSC offers, with each key that can do it; each result is checked by
another library against the certificate.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from asn1crypto.algos import DigestInfo
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import KeyRef
from cloudcard_tools.demo.programs import Pkcs11
from support.system_cards import ALGORITHMS, ECC, OPENSC_IDS, PIN, RSA, LocalCard, on_cards

DOCUMENT = b"One signature, end to end.\n"
HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA1": hashes.SHA1(),
    "SHA224": hashes.SHA224(),
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
PKCS1_HASHES = ("MD5", "RIPEMD160", *HASHES)
OAEP_HASHES = ("SHA256", "SHA384", "SHA512")
PROGRAMS = 4
DERIVING = ("ECDH1-DERIVE", "ECDH1-COFACTOR-DERIVE")

SIGNERS = pytest.mark.parametrize(
    "key_ref",
    [KeyRef.AUTHENTICATION, KeyRef.SIGNATURE, KeyRef.CARD_AUTHENTICATION],
    ids=["9A", "9C", "9E"],
)
EVERY_HASH = pytest.mark.parametrize("name", list(HASHES))


def sign(
    card: LocalCard, folder: Path, key_ref: int, mechanism: str, data: bytes, *options: str
) -> bytes:
    """What pkcs11-tool makes of `data`, and whether that key made it."""
    (folder / "data").write_bytes(data)
    form = ("--signature-format", "openssl") if mechanism.startswith("ECDSA") else ()
    before = len(card.used)
    card.pkcs11(
        *("--login", "--pin", PIN, "--sign", "--id", OPENSC_IDS[key_ref]),
        *("--mechanism", mechanism, *options, *form),
        *("--input-file", folder / "data", "--output-file", folder / "signature"),
    )
    assert card.used[before:] == [key_ref]
    return (folder / "signature").read_bytes()


def decrypt(card: LocalCard, folder: Path, mechanism: str, data: bytes, *options: str) -> bytes:
    """What pkcs11-tool reads with the key management key."""
    (folder / "cryptogram").write_bytes(data)
    card.pkcs11(
        *("--login", "--pin", PIN, "--decrypt", "--id", OPENSC_IDS[KeyRef.KEY_MANAGEMENT]),
        *("--mechanism", mechanism, *options),
        *("--input-file", folder / "cryptogram", "--output-file", folder / "plain"),
    )
    return (folder / "plain").read_bytes()


def rsa_key(card: LocalCard, key_ref: int) -> rsa.RSAPublicKey:
    key = card.certificates[key_ref].public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def ec_key(card: LocalCard, key_ref: int) -> ec.EllipticCurvePublicKey:
    key = card.certificates[key_ref].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def public_operation(key: rsa.RSAPublicKey, block: bytes) -> bytes:
    """RSAVP1 and RSAEP (RFC 8017, 5.2.2 and 5.1.1)."""
    numbers = key.public_numbers()
    return pow(int.from_bytes(block), numbers.e, numbers.n).to_bytes(len(block))


def number_below_modulus(key: rsa.RSAPublicKey) -> bytes:
    return b"\x00" + os.urandom(key.key_size // 8 - 1)


@on_cards(*ALGORITHMS[:1])
def test_these_tests_know_every_mechanism(card: LocalCard) -> None:
    listed = re.findall(r"^  ([A-Z0-9-]+), .*\b(?:sign|decrypt|derive)\b", _mechanisms(card), re.M)
    known = {
        *("RSA-X-509", "RSA-PKCS", "RSA-PKCS-PSS", "RSA-PKCS-OAEP", "ECDSA", *DERIVING),
        *(f"{name}-RSA-PKCS" for name in PKCS1_HASHES),
        *(f"{name}-RSA-PKCS-PSS" for name in HASHES),
        *(f"ECDSA-{name}" for name in HASHES),
    }
    assert set(listed) == known


@SIGNERS
@on_cards(*RSA)
def test_raw_rsa(card: LocalCard, tmp_path: Path, key_ref: KeyRef) -> None:
    key = rsa_key(card, key_ref)
    block = number_below_modulus(key)
    signature = sign(card, tmp_path, key_ref, "RSA-X-509", block)
    assert public_operation(key, signature) == block


@SIGNERS
@on_cards(*RSA)
def test_pkcs1_of_a_digest_info(card: LocalCard, tmp_path: Path, key_ref: KeyRef) -> None:
    digest = hashlib.sha256(DOCUMENT).digest()
    info = DigestInfo({"digest_algorithm": {"algorithm": "sha256"}, "digest": digest}).dump()
    signature = sign(card, tmp_path, key_ref, "RSA-PKCS", info)
    rsa_key(card, key_ref).verify(signature, DOCUMENT, padding.PKCS1v15(), hashes.SHA256())


@SIGNERS
@on_cards(*RSA)
@pytest.mark.parametrize("name", PKCS1_HASHES)
def test_pkcs1_with_a_hash(card: LocalCard, tmp_path: Path, key_ref: KeyRef, name: str) -> None:
    signature = sign(card, tmp_path, key_ref, f"{name}-RSA-PKCS", DOCUMENT)
    key = rsa_key(card, key_ref)
    signed = DigestInfo.load(key.recover_data_from_signature(signature, padding.PKCS1v15(), None))
    assert signed["digest"].native == hashlib.new(name.lower(), DOCUMENT).digest()
    if name in HASHES:
        key.verify(signature, DOCUMENT, padding.PKCS1v15(), HASHES[name])


@SIGNERS
@on_cards(*RSA)
@EVERY_HASH
def test_pss_of_a_digest(card: LocalCard, tmp_path: Path, key_ref: KeyRef, name: str) -> None:
    digest = hashlib.new(name, DOCUMENT).digest()
    standard = "SHA-1" if name == "SHA1" else name  # as pkcs11-tool calls it
    options = ("--hash-algorithm", standard, "--mgf", f"MGF1-{name}")
    signature = sign(card, tmp_path, key_ref, "RSA-PKCS-PSS", digest, *options)
    _verify_pss(card, key_ref, signature, name)


@SIGNERS
@on_cards(*RSA)
@EVERY_HASH
def test_pss_with_a_hash(card: LocalCard, tmp_path: Path, key_ref: KeyRef, name: str) -> None:
    signature = sign(card, tmp_path, key_ref, f"{name}-RSA-PKCS-PSS", DOCUMENT)
    _verify_pss(card, key_ref, signature, name)


@on_cards(*RSA)
def test_raw_decryption(card: LocalCard, tmp_path: Path) -> None:
    key = rsa_key(card, KeyRef.KEY_MANAGEMENT)
    block = number_below_modulus(key)
    assert decrypt(card, tmp_path, "RSA-X-509", public_operation(key, block)) == block


@on_cards(*RSA)
def test_pkcs1_decryption(card: LocalCard, tmp_path: Path) -> None:
    cryptogram = rsa_key(card, KeyRef.KEY_MANAGEMENT).encrypt(DOCUMENT, padding.PKCS1v15())
    assert decrypt(card, tmp_path, "RSA-PKCS", cryptogram) == DOCUMENT


@on_cards(*RSA)
@pytest.mark.parametrize("name", OAEP_HASHES)
def test_oaep_decryption(card: LocalCard, tmp_path: Path, name: str) -> None:
    oaep = padding.OAEP(padding.MGF1(HASHES[name]), HASHES[name], None)
    cryptogram = rsa_key(card, KeyRef.KEY_MANAGEMENT).encrypt(DOCUMENT, oaep)
    options = ("--hash-algorithm", name, "--mgf", f"MGF1-{name}")
    assert decrypt(card, tmp_path, "RSA-PKCS-OAEP", cryptogram, *options) == DOCUMENT


@SIGNERS
@on_cards(*ECC)
@EVERY_HASH
def test_ecdsa_of_a_digest(card: LocalCard, tmp_path: Path, key_ref: KeyRef, name: str) -> None:
    digest = hashlib.new(name, DOCUMENT).digest()
    signature = sign(card, tmp_path, key_ref, "ECDSA", digest)
    ec_key(card, key_ref).verify(signature, digest, ec.ECDSA(Prehashed(HASHES[name])))


@SIGNERS
@on_cards(*ECC)
@EVERY_HASH
def test_ecdsa_with_a_hash(card: LocalCard, tmp_path: Path, key_ref: KeyRef, name: str) -> None:
    signature = sign(card, tmp_path, key_ref, f"ECDSA-{name}", DOCUMENT)
    ec_key(card, key_ref).verify(signature, DOCUMENT, ec.ECDSA(HASHES[name]))


@on_cards(*ECC)
@pytest.mark.parametrize("mechanism", DERIVING)
def test_key_agreement(card: LocalCard, tmp_path: Path, mechanism: str) -> None:
    ours = ec_key(card, KeyRef.KEY_MANAGEMENT)
    peer = ec.generate_private_key(ours.curve)
    (tmp_path / "peer.der").write_bytes(
        peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    card.pkcs11(
        *("--login", "--pin", PIN, "--derive", "--id", OPENSC_IDS[KeyRef.KEY_MANAGEMENT]),
        *("--mechanism", mechanism),
        *("--input-file", tmp_path / "peer.der", "--output-file", tmp_path / "secret"),
    )
    assert (tmp_path / "secret").read_bytes() == peer.exchange(ec.ECDH(), ours)


@on_cards(*ALGORITHMS)
def test_programs_sign_at_once(card: LocalCard, tmp_path: Path) -> None:
    mechanism = "SHA256-RSA-PKCS" if card.algorithm in RSA else "ECDSA-SHA256"
    (tmp_path / "data").write_bytes(DOCUMENT)

    def attempt(number: int) -> bytes:
        signature = tmp_path / f"signature {number}"
        program = Pkcs11(card.slot, PIN)
        program.sign(OPENSC_IDS[KeyRef.AUTHENTICATION], mechanism, tmp_path / "data", signature)
        return signature.read_bytes()

    before = len(card.used)
    with ThreadPoolExecutor(PROGRAMS) as threads:
        signatures = list(threads.map(attempt, range(2 * PROGRAMS)))
    assert card.used[before:] == [KeyRef.AUTHENTICATION] * 2 * PROGRAMS
    for signature in signatures:
        if card.algorithm in RSA:
            key = rsa_key(card, KeyRef.AUTHENTICATION)
            key.verify(signature, DOCUMENT, padding.PKCS1v15(), hashes.SHA256())
        else:
            point = ec_key(card, KeyRef.AUTHENTICATION)
            point.verify(signature, DOCUMENT, ec.ECDSA(hashes.SHA256()))


def _mechanisms(card: LocalCard) -> str:
    return card.pkcs11("--list-mechanisms")


def _verify_pss(card: LocalCard, key_ref: int, signature: bytes, name: str) -> None:
    pss = padding.PSS(padding.MGF1(HASHES[name]), HASHES[name].digest_size)
    rsa_key(card, key_ref).verify(signature, DOCUMENT, pss, HASHES[name])
