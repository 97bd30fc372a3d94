"""A token whose results are wrong: none of them leaves."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.pkcs11 import AT_ONCE, TokenKeys
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.cards import HeldKey, OnToken
from private_keys.using import OpenKey, use

DIGEST = b"\x11" * 32
KEY_ID = "01890000-0000-7000-8000-000000000001"


@dataclass
class Pool:
    """Answers as the token's processes do, from a key of its own."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    spoil: bool = False
    calls: list[str] = field(default_factory=list)

    def call(self, name: str, *arguments: object, again: bool = True) -> object:
        self.calls.append(name)
        if name == "make":
            return self.private.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        _, _, key_use, inputs = arguments
        assert isinstance(key_use, KeyUse)
        assert isinstance(inputs, list)
        results = [use(OpenKey.of(self.private), key_use, each, os.urandom) for each in inputs]
        if self.spoil:
            results[-1] = results[0][:-1] + bytes((results[-1][-1] ^ 1,))
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
