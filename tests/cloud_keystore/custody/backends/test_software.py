"""Software keys that stay open for a while, and what an altered database makes of them."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from card_os.piv.algorithms import PUBLIC_EXPONENT
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.backends import software
from cloud_keystore.custody.backends.keys import Keys, key_context
from cloud_keystore.custody.backends.software import SoftwareKeys, import_key
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.custody.use import padding
from cloud_keystore.model.cards import SOFTWARE, Destroyed, HeldKey, OnToken, Sealed
from cloud_keystore.model.errors import KeyBackendUnavailable, KeyNotFound, MalformedKeyInput
from private_keys import keys, using
from private_keys.using import OpenKey

SECONDS = 60.0
SEAL = Seal(b"\x07" * 32, os.urandom)
DIGEST = sha256(b"document").digest()


class Opening(Seal):
    """A seal that counts what it opens."""

    count = 0

    def open(self, sealed: bytes, context: str) -> bytes:
        self.count += 1
        return super().open(sealed, context)


def new_key(key_id: str, algorithm: Algorithm = Algorithm.ECC_P256) -> HeldKey:
    made = SoftwareKeys(SEAL).make(key_id, algorithm)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return HeldKey(
        id=key_id,
        card_id="c",
        key_ref=0x9A,
        algorithm=algorithm,
        certificate=b"",
        create_time=now,
        public_key=made.public_der,
        private=made.private,
    )


def with_sealed(key: HeldKey, private: bytes) -> HeldKey:
    return replace(key, private=Sealed(private))


def sealed_of(key: HeldKey) -> bytes:
    assert isinstance(key.private, Sealed)
    return key.private.private


def sign(keys: SoftwareKeys, key: HeldKey) -> None:
    (signature,) = keys.use(key, KeyUse.SIGN, [DIGEST])
    public = load_der_public_key(key.public_key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))


def test_a_key_is_opened_once_for_a_while() -> None:
    now, seal = [0.0], Opening(b"\x07" * 32, os.urandom)
    keys, key = SoftwareKeys(seal, lambda: now[0]), new_key("k")
    for _ in range(3):
        sign(keys, key)
    assert seal.count == 1
    now[0] += software.OPEN_SECONDS
    sign(keys, key)
    assert seal.count == 2
    keys.destroy(key)
    sign(keys, key)
    assert seal.count == 3


def test_no_more_keys_than_the_limit_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "MOST_OPEN", 2)
    seal = Opening(b"\x07" * 32, os.urandom)
    keys, held = SoftwareKeys(seal), [new_key(str(number)) for number in range(3)]
    for key in (*held, held[2], held[1]):
        sign(keys, key)
    assert seal.count == 3
    sign(keys, held[0])  # the one that was opened first, and closed for the third
    assert seal.count == 4


def test_only_the_keys_that_were_opened_long_ago_are_closed() -> None:
    now, seal = [0.0], Opening(b"\x07" * 32, os.urandom)
    keys = SoftwareKeys(seal, lambda: now[0])
    old, young = new_key("old"), new_key("young")
    sign(keys, old)
    now[0] += software.OPEN_SECONDS / 2
    sign(keys, young)
    now[0] += software.OPEN_SECONDS / 2
    sign(keys, young)
    assert seal.count == 2
    sign(keys, old)
    assert seal.count == 3


def test_a_key_that_was_sealed_anew_counts_as_opened_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(software, "MOST_OPEN", 2)
    seal = Opening(b"\x07" * 32, os.urandom)
    keys, first, second = SoftwareKeys(seal), new_key("first"), new_key("second")
    pkcs8 = SEAL.open(sealed_of(first), key_context("first"))
    renewed = with_sealed(first, SEAL.close(pkcs8, key_context("first")))
    for key in (first, second, renewed, new_key("third"), renewed):
        sign(keys, key)
    assert seal.count == 4
    sign(keys, second)
    assert seal.count == 5


def test_an_open_key_does_not_outlive_its_sealed_bytes() -> None:
    keys, key = SoftwareKeys(SEAL), new_key("k")
    sign(keys, key)
    for gone in (Destroyed(), OnToken(b"handle", sealed_of(key))):
        with pytest.raises(KeyNotFound):
            keys.use(replace(key, private=gone), KeyUse.SIGN, [DIGEST])
    altered = bytes([*sealed_of(key)[:-1], 0])
    with pytest.raises(SealBroken):
        keys.use(with_sealed(key, altered + b"\0"), KeyUse.SIGN, [DIGEST])


def test_a_key_under_the_row_of_another_is_refused() -> None:
    keys, mine, other = SoftwareKeys(SEAL), new_key("mine"), new_key("other")
    with pytest.raises(SealBroken):
        keys.use(with_sealed(mine, sealed_of(other)), KeyUse.SIGN, [DIGEST])
    with pytest.raises(SealBroken, match="not the one of its public key"):
        keys.use(replace(mine, public_key=other.public_key), KeyUse.SIGN, [DIGEST])


def test_what_is_no_key_is_refused() -> None:
    key = with_sealed(new_key("k"), SEAL.close(b"junk", key_context("k")))
    with pytest.raises(SealBroken, match="altered"):
        SoftwareKeys(SEAL).use(key, KeyUse.SIGN, [DIGEST])


def test_a_key_of_a_backend_that_is_not_there_is_refused() -> None:
    keys = Keys({SOFTWARE: SoftwareKeys(SEAL)})
    with pytest.raises(KeyBackendUnavailable, match="pkcs11"):
        keys.use(replace(new_key("k"), private=OnToken(b"", b"")), KeyUse.SIGN, [DIGEST])


def test_a_destroyed_key_is_refused() -> None:
    keys = Keys({SOFTWARE: SoftwareKeys(SEAL)})
    with pytest.raises(KeyNotFound, match="destroyed"):
        keys.use(replace(new_key("k"), private=Destroyed()), KeyUse.SIGN, [DIGEST])


def test_a_batch_keeps_its_order() -> None:
    key = new_key("k", Algorithm.RSA_2048)
    digests = [sha256(bytes([number])).digest() for number in range(20)]
    blocks = [block(digest) for digest in digests]
    signatures = SoftwareKeys(SEAL).use(key, KeyUse.SIGN, blocks)
    public = load_der_public_key(key.public_key)
    assert isinstance(public, rsa.RSAPublicKey)
    for digest, signature in zip(digests, signatures, strict=True):
        public.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))


def meeting(monkeypatch: pytest.MonkeyPatch, number: int, seconds: float) -> set[str]:
    """Let as many uses wait for each other; returns the names of the threads that made them."""
    barrier, threads = threading.Barrier(number), set[str]()

    def use(_key: OpenKey, _use: KeyUse, data: bytes) -> bytes:
        threads.add(threading.current_thread().name)
        barrier.wait(seconds)
        return data

    monkeypatch.setattr(software, "use_open", use)
    return threads


def test_a_batch_is_shared_among_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    threads = meeting(monkeypatch, 3, SECONDS)
    inputs = [bytes([number]) for number in range(6)]
    assert SoftwareKeys(SEAL).use(new_key("k"), KeyUse.SIGN, inputs) == inputs
    assert {name.partition("_")[0] for name in threads} == {"MainThread", "keys"}
    assert len(threads) == 3


def test_an_unknown_number_of_processors_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    meeting(monkeypatch, 2, 0.01)
    with pytest.raises(threading.BrokenBarrierError):
        SoftwareKeys(SEAL).use(new_key("k"), KeyUse.SIGN, [b"1", b"2"])


def test_a_single_input_waits_for_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = meeting(monkeypatch, 1, SECONDS)
    assert SoftwareKeys(SEAL).use(new_key("k"), KeyUse.SIGN, [b"1"]) == [b"1"]
    assert threads == {threading.current_thread().name}


def block(digest: bytes) -> bytes:
    """EMSA-PKCS1-v1_5 for RSA-2048."""
    info = padding.DIGEST_INFO["sha256"][0] + digest
    return b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info


@pytest.mark.parametrize("key_use", [KeyUse.SIGN, KeyUse.DECRYPT])
def test_an_rsa_key_takes_any_block(key_use: KeyUse) -> None:
    key, blocks = new_key("k", Algorithm.RSA_2048), [block(DIGEST), b"\0\2" + b"\x55" * 254]
    public = load_der_public_key(key.public_key)
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()
    results = SoftwareKeys(SEAL).use(key, key_use, blocks)
    assert [pow(int.from_bytes(each), numbers.e, numbers.n).to_bytes(256) for each in results] == (
        blocks
    )


@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P256, Algorithm.ECC_P384, Algorithm.ED25519])
def test_what_looks_like_a_block_of_rsa_is_signed_by_other_keys_as_it_is(
    algorithm: Algorithm,
) -> None:
    info = padding.DIGEST_INFO["sha1"][0] + bytes(20)
    data = b"\0\1" + b"\xff" * (64 - 3 - len(info)) + b"\0" + info
    key, held = new_key("k", algorithm), SoftwareKeys(SEAL)
    (signature,) = held.use(key, KeyUse.SIGN, [data])
    public = load_der_public_key(key.public_key)
    if isinstance(public, ec.EllipticCurvePublicKey):
        field_hash = keys.FIELD_HASH[public.curve.name]
        fitted = using.fit_digest(data, field_hash.digest_size)
        public.verify(signature, fitted, ec.ECDSA(Prehashed(field_hash)))
    else:
        assert isinstance(public, Ed25519PublicKey)
        public.verify(signature, data)


def test_a_sealed_key_is_not_checked_again() -> None:
    """Its seal proves that it was checked; another check would make each use much slower."""
    primes = keys.generate(Algorithm.RSA_2048)
    assert isinstance(primes, rsa.RSAPrivateKey)
    numbers = primes.private_numbers()
    # An odd multiple of three, of which the exponent has an inverse
    composite = next(
        each for each in count(numbers.p // 6 * 6 + 3, -6) if (each - 1) % PUBLIC_EXPONENT
    )
    bad = keys.load(Algorithm.RSA_2048, composite.to_bytes(128) + numbers.q.to_bytes(128))
    pkcs8 = bad.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert software.open_pkcs8(pkcs8).rsa is not None


def test_a_sealed_key_of_a_kind_that_cards_have_not_is_refused() -> None:
    pkcs8 = Ed448PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(ValueError, match="unknown kind"):
        software.open_pkcs8(pkcs8)
    key = with_sealed(new_key("k"), SEAL.close(pkcs8, key_context("k")))
    with pytest.raises(SealBroken, match="altered"):
        SoftwareKeys(SEAL).use(key, KeyUse.SIGN, [DIGEST])


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_from_elsewhere_is_sealed_as_one_made_here(algorithm: Algorithm) -> None:
    private = keys.generate(algorithm)
    made = import_key("k", algorithm, keys.encode(private), SEAL)
    assert isinstance(made.private, Sealed)
    opened = software.open_pkcs8(SEAL.open(made.private.private, key_context("k")))
    assert opened.private.public_key() == private.public_key() == made.public


def test_a_bad_key_from_elsewhere_is_refused() -> None:
    with pytest.raises(MalformedKeyInput, match="repeated") as refusal:
        import_key("k", Algorithm.ECC_P256, b"\x5a" * 32, SEAL)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("algorithm", "key_use", "data", "said"),
    [
        (Algorithm.RSA_2048, KeyUse.DECRYPT, b"\xff" * 256, "beyond the key's modulus"),
        (Algorithm.ECC_P256, KeyUse.AGREE, b"\4" + b"\1" * 64, "not on the key's curve"),
        (Algorithm.X25519, KeyUse.AGREE, bytes(32), "agrees with everybody"),
        (Algorithm.ECC_P256, KeyUse.DECRYPT, b"\1" * 32, "cannot be used so"),
    ],
)
def test_what_the_key_cannot_take_is_refused(
    algorithm: Algorithm, key_use: KeyUse, data: bytes, said: str
) -> None:
    held = SoftwareKeys(SEAL)
    with pytest.raises(MalformedKeyInput, match=said):
        held.use(new_key("k", algorithm), key_use, [data])


def test_no_secret_in_a_repr() -> None:
    made = SoftwareKeys(SEAL).make("k", Algorithm.ECC_P256)
    assert isinstance(made.private, Sealed)
    assert repr(made.private.private) not in repr(made)
