"""Inputs are padded as keys of cards require, and signatures of other inputs are noticed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from cloud_keystore.custody.use.padding import digest_info, is_pss
from cloudcard_tools.bench.signing.inputs import INPUTS, is_signed

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def rsa_signature(block: bytes) -> bytes:
    numbers = RSA_KEY.private_numbers()
    return pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(256)


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_are_fresh(name: str) -> None:
    assert len({INPUTS[name]() for _ in range(20)}) == 20


def test_blocks_are_padded_as_their_names_say() -> None:
    for _ in range(20):
        assert digest_info(INPUTS["pkcs1"]()) is not None
        assert is_pss(INPUTS["pss"]())
        assert len(INPUTS["p256"]()) == 32


@pytest.mark.parametrize("name", ["pkcs1", "pss"])
def test_rsa_signatures_are_checked(name: str) -> None:
    block = INPUTS[name]()
    signature = rsa_signature(block)
    assert is_signed(RSA_KEY.public_key(), block, signature)
    assert not is_signed(RSA_KEY.public_key(), INPUTS[name](), signature)
    assert not is_signed(RSA_KEY.public_key(), block, b"\0" + signature)


def test_ecdsa_signatures_are_checked() -> None:
    digest = INPUTS["p256"]()
    signature = EC_KEY.sign(digest, ec.ECDSA(Prehashed(SHA256())))
    assert is_signed(EC_KEY.public_key(), digest, signature)
    assert not is_signed(EC_KEY.public_key(), INPUTS["p256"](), signature)
