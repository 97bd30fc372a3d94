"""What a token is asked, and a token whose results are wrong: none of them leaves."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import key_context
from cloud_keystore.custody.backends.pkcs11 import AT_ONCE, TokenKeys
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.model.cards import Destroyed, HeldKey, OnToken, Sealed
from cloud_keystore.model.errors import InvalidInput, KeyNotFound, MalformedKeyInput
from private_keys.using import OpenKey, use

DIGEST = b"\x11" * 32
KEY_ID = "01890000-0000-7000-8000-000000000001"
HANDLE = UUID(KEY_ID).bytes


@dataclass
class Pool:
    """Answers as the token's processes do, from a key of its own, which is always the same."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    spoil: bool = False
    calls: list[str] = field(default_factory=list)
    said: list[tuple[object, ...]] = field(default_factory=list)

    def call(self, name: str, *arguments: object, again: bool = True) -> object:
        self.calls.append(name)
        self.said.append((*arguments, again))
        if name == "make":
            return self.private.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        if name == "handles":
            return [HANDLE]
        if name == "destroy":
            return b""
        _, _, key_use, inputs = arguments
        assert isinstance(key_use, KeyUse)
        assert isinstance(inputs, list)
        results = [use(OpenKey.of(self.private), key_use, each) for each in inputs]
        if self.spoil:
            results[-1] = results[-1][:-1] + bytes((results[-1][-1] ^ 1,))
        return results


def token(pool: Pool, algorithm: Algorithm) -> tuple[TokenKeys, HeldKey]:
    """A token and its key."""
    keys = TokenKeys(pool, Seal(b"\x07" * 32, os.urandom))  # type: ignore[arg-type]
    made = keys.make(KEY_ID, algorithm)
    assert isinstance(made.private, OnToken)
    key = HeldKey(
        id=KEY_ID,
        card_id="c",
        key_ref=0x9A,
        algorithm=algorithm,
        certificate=b"",
        create_time=datetime(2026, 11, 23, tzinfo=UTC),
        public_key=made.public_der,
        private=made.private,
    )
    return keys, key


RSA, ECC = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
CASES = {
    "RSA": (RSA, Algorithm.RSA_2048, KeyUse.DECRYPT, b"\0\2" + b"\x55" * 254),
    "ECDSA": (ECC, Algorithm.ECC_P256, KeyUse.SIGN, DIGEST),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_result_is_thrown_away_with_all_the_others(case: str) -> None:
    private, algorithm, key_use, data = CASES[case]
    pool = Pool(private)
    keys, key = token(pool, algorithm)
    assert len(keys.use(key, key_use, [data] * 3)) == 3
    pool.spoil = True
    with pytest.raises(ArithmeticError, match="did not verify"):
        keys.use(key, key_use, [data] * 3)


def test_inputs_go_to_the_token_a_few_at_once() -> None:
    pool = Pool(ECC)
    keys, key = token(pool, Algorithm.ECC_P256)
    inputs = [bytes((number,)) * 32 for number in range(AT_ONCE + 1)]
    signatures = keys.use(key, KeyUse.SIGN, inputs)
    assert pool.calls == ["make", "use", "use"]
    for data, signature in zip(inputs, signatures, strict=True):
        ECC.public_key().verify(signature, data, ec.ECDSA(Prehashed(SHA256())))


def test_an_answer_of_another_kind_is_a_bug() -> None:
    pool = Pool(ECC)
    keys, key = token(pool, Algorithm.ECC_P256)
    pool.call = lambda *_, **__: b"junk"  # type: ignore[method-assign]
    with pytest.raises(TypeError, match="something else"):
        keys.use(key, KeyUse.SIGN, [DIGEST])


def test_a_key_is_made_under_its_identifier_and_never_twice() -> None:
    pool = Pool(ECC)
    _, key = token(pool, Algorithm.ECC_P256)
    assert pool.said == [(HANDLE, Algorithm.ECC_P256, False)]
    assert isinstance(key.private, OnToken)
    assert key.private.handle == HANDLE
    with pytest.raises(InvalidInput, match="ED25519: use RSA or ECC"):
        token(pool, Algorithm.ED25519)
    assert pool.calls == ["make"]


OTHER_KIND = ed448.Ed448PrivateKey.generate().public_key()


@pytest.mark.parametrize(
    "made",
    [[], OTHER_KIND.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)],
    ids=["no key", "Ed448"],
)
def test_a_made_key_of_another_kind_is_a_bug(made: list[bytes] | bytes) -> None:
    pool = Pool(ECC)
    pool.call = lambda *_, **__: made  # type: ignore[method-assign]
    with pytest.raises(TypeError, match="made a key of another kind"):
        token(pool, Algorithm.ECC_P256)


def test_a_result_for_each_input(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(ECC)
    keys, key = token(pool, Algorithm.ECC_P256)
    (signature,) = keys.use(key, KeyUse.SIGN, [DIGEST])
    monkeypatch.setattr(pool, "call", lambda *_, **__: [signature])
    with pytest.raises(ValueError, match="shorter"):
        keys.use(key, KeyUse.SIGN, [DIGEST] * 2)


def test_a_mark_holds_for_its_handle_and_public_key() -> None:
    pool = Pool(ECC)
    keys, key = token(pool, Algorithm.ECC_P256)
    assert isinstance(key.private, OnToken)
    other = OnToken(bytes(16), key.private.mark)
    rsa_der = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for altered in (replace(key, private=other), replace(key, public_key=rsa_der)):
        with pytest.raises(SealBroken, match=f"record of key {KEY_ID} was altered"):
            keys.use(altered, KeyUse.SIGN, [DIGEST])
    assert pool.calls == ["make"]
    # as the databases have it that were made before
    mark = keys.seal.open(key.private.mark, key_context(KEY_ID))
    assert mark == b"pkcs11\0" + sha256(key.public_key).digest() + HANDLE


@pytest.mark.parametrize("elsewhere", [Sealed(b"sealed"), Destroyed(), Destroyed(HANDLE)])
def test_a_key_that_is_elsewhere_is_not_used_here(elsewhere: Sealed | Destroyed) -> None:
    pool = Pool(ECC)
    keys, key = token(pool, Algorithm.ECC_P256)
    with pytest.raises(KeyNotFound, match="not in the token"):
        keys.use(replace(key, private=elsewhere), KeyUse.SIGN, [DIGEST])
    assert pool.calls == ["make"]


def test_only_a_key_that_was_in_the_token_is_destroyed_there() -> None:
    pool = Pool(ECC)
    keys, key = token(pool, Algorithm.ECC_P256)
    assert keys.handles() == [HANDLE]
    for elsewhere in (Sealed(b"sealed"), Destroyed()):
        keys.destroy(replace(key, private=elsewhere))
    assert pool.calls == ["make", "handles"]
    for here in (key, replace(key, private=Destroyed(HANDLE))):
        keys.destroy(here)
    assert pool.calls[2:] == ["destroy", "destroy"]
    assert pool.said[2:] == [(HANDLE, True)] * 2
    pool.call = lambda *_, **__: b"junk"  # type: ignore[method-assign]
    assert keys.handles() == []


UNFIT = {
    "as long as the modulus": (
        *(RSA, Algorithm.RSA_2048, KeyUse.DECRYPT),
        RSA.public_key().public_numbers().n.to_bytes(256),
    ),
    "off the curve": (ECC, Algorithm.ECC_P256, KeyUse.AGREE, b"\4" + b"\1" * 64),
}


@pytest.mark.parametrize("case", UNFIT)
def test_no_input_goes_to_the_token_if_one_is_not_fit(case: str) -> None:
    private, algorithm, key_use, data = UNFIT[case]
    pool = Pool(private)
    keys, key = token(pool, algorithm)
    fit = CASES["RSA"][3] if private is RSA else public_point(ECC)
    with pytest.raises(MalformedKeyInput) as refusal:
        keys.use(key, key_use, [fit, data])
    assert refusal.value.__cause__ is None
    assert pool.calls == ["make"]
    assert len(keys.use(key, key_use, [fit])) == 1  # a secret that is shared cannot be checked


def public_point(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
