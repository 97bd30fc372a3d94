"""Private keys of a local card, by the card's algorithm for them, which is a cipher suite for key
04. As bytes they have the form of `ImportKey`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from card_os.piv.algorithms import SUITE_ALGORITHM
from card_os.piv.issuing import encode_keys
from card_os.uses import KeyUse
from private_keys import importing, keys, using
from private_keys.keys import PrivateKey, point
from private_keys.using import BadInput, OpenKey


def generate(algorithm: int) -> bytes:
    """Make a private key. Raises BadKey for an unknown algorithm."""
    return keys.encode(keys.generate(SUITE_ALGORITHM.get(algorithm, algorithm)))


def load(algorithm: int, private: bytes) -> PrivateKey:
    """The key that checked bytes encode. Raises BadKey if they cannot be a key."""
    return keys.load(SUITE_ALGORITHM.get(algorithm, algorithm), private)


def check(algorithm: int, private: bytes) -> None:
    """Raise BadKey unless bytes from elsewhere are a sound key of that algorithm."""
    importing.load(algorithm, private)


def public_template(algorithm: int, private: bytes) -> bytes:
    """The contents of template 7F49 (SP 800-73-5 part 2, table 21)."""
    match load(algorithm, private):
        case rsa.RSAPrivateKey() as key:
            public = key.private_numbers().public_numbers
            return encode_keys.rsa_public_key(
                public.n.to_bytes(key.key_size // 8), public.e.to_bytes(3)
            )
        case ec.EllipticCurvePrivateKey() as key:
            return encode_keys.ecc_public_key(point(key))
        case key:
            return encode_keys.ecc_public_key(key.public_key().public_bytes_raw())


def use(algorithm: int, private: bytes, key_use: KeyUse, data: bytes) -> bytes:
    """Use a key once; see `private_keys.using.use`. A key of secure messaging can only agree.

    Raises BadKey if the bytes are not a key, BadInput for a use or input that does not fit it, and
    NoLibcrypto for an RSA key where there is none.
    """
    if algorithm in SUITE_ALGORITHM and key_use is not KeyUse.AGREE:
        raise BadInput("a key of secure messaging cannot be used so")
    return using.use(OpenKey.of(load(algorithm, private)), key_use, data)
