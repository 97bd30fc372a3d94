"""What keys sign in a bench, fresh each time, and whether they have signed it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256, RFC 8017, 9.2
DIGEST, BLOCK = 32, 256  # bytes


def pkcs1() -> bytes:
    """EMSA-PKCS1-v1_5 of a random digest (RFC 8017, 9.2)."""
    padding = b"\xff" * (BLOCK - DIGEST - len(DIGEST_INFO) - 3)
    return b"\x00\x01" + padding + b"\x00" + DIGEST_INFO + os.urandom(DIGEST)


def pss() -> bytes:
    """EMSA-PSS of a random digest, with a salt as long (RFC 8017, 9.1.1)."""
    salt = os.urandom(DIGEST)
    seed = sha256(bytes(8) + os.urandom(DIGEST) + salt).digest()
    length = BLOCK - DIGEST - 1
    parts = (sha256(seed + number.to_bytes(4)).digest() for number in range(BLOCK // DIGEST))
    mask = int.from_bytes(b"".join(parts)[:length])
    masked = mask ^ int.from_bytes(b"\x01" + salt)
    most = (1 << 8 * length - 1) - 1  # the block is shorter than the modulus by a bit
    return (masked & most).to_bytes(length) + seed + b"\xbc"


def p256() -> bytes:
    """A random digest."""
    return os.urandom(DIGEST)


INPUTS: Mapping[str, Callable[[], bytes]] = {"pkcs1": pkcs1, "pss": pss, "p256": p256}


def is_signed(key: PublicKeyTypes, block: bytes, signature: bytes) -> bool:
    """Whether a signature is one of the input under the key."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        opened = pow(int.from_bytes(signature), numbers.e, numbers.n)
        return len(signature) == BLOCK and opened == int.from_bytes(block)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, block, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True
