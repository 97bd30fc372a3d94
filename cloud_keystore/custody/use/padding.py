"""Which inputs a key accepts, and which results it gives out, by its use. Pure.

Cards receive raw RSA blocks. Without these checks the service would be a raw RSA oracle: a
signature key could decrypt, and a decryption key could sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import new as new_hash

from card_os.piv.algorithms import (
    CURVE25519_BYTES,
    FIELD_BYTES,
    LONGEST_DIGEST,
    MODULUS_BYTES,
    UNCOMPRESSED_POINT,
)
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.model.errors import MalformedKeyInput, ResultWithheld

LONGEST_MESSAGE = 16 * 1024  # the most that a card accepts in one command

# DER of DigestInfo up to the digest, and the length of the digest (RFC 8017, 9.2, note 1)
DIGEST_INFO = {
    "sha1": (bytes.fromhex("3021300906052b0e03021a05000414"), 20),
    "sha224": (bytes.fromhex("302d300d06096086480165030402040500041c"), 28),
    "sha256": (bytes.fromhex("3031300d060960864801650304020105000420"), 32),
    "sha384": (bytes.fromhex("3041300d060960864801650304020205000430"), 48),
    "sha512": (bytes.fromhex("3051300d060960864801650304020305000440"), 64),
}
PSS_HASHES = ("sha256", "sha384", "sha512", "sha1", "sha224")
SHORTEST_PADDING = 8  # random bytes of EME-PKCS1-v1_5 (RFC 8017, 7.2.1)
# Before the salt of EMSA-PSS. One in 65,536 blocks of 128 bytes would be one with SHA-512 and the
# longest salt: a caller would find one that hides a cryptogram, and a signature key decipher it.
FEWEST_ZEROS = 16


def check(use: KeyUse, algorithm: Algorithm, data: bytes) -> None:
    """Raise MalformedKeyInput unless `data` is fit for this use of a key of this algorithm."""
    fits = CHECKS.get((use, algorithm))
    if fits is None:
        raise MalformedKeyInput(f"a key of {algorithm.name} does not {use.name.lower()}")
    fits(algorithm, data)


def check_release(use: KeyUse, algorithm: Algorithm, result: bytes) -> None:
    """Raise ResultWithheld if a result must not leave: the plaintext of an RSA key that is not
    padded as an encrypted message.

    A caller can hide a padded signature from `check`, by multiplying it with the eth power of a
    number, and take the number out of the result. Such a result is a random block.
    """
    if use is KeyUse.DECRYPT and algorithm in MODULUS_BYTES and not is_message(result):
        raise ResultWithheld(
            "this was not encrypted for the key by PKCS #1 v1.5, or by OAEP without a label"
        )


def is_message(block: bytes) -> bool:
    """Whether the block is padded by EME-PKCS1-v1_5, or by EME-OAEP with MGF1 and no label (RFC
    8017, 7.2.1 and 7.1.1). The two hashes of OAEP can differ, as Java's do.
    """
    return _is_pkcs1_message(block) or (
        block.startswith(b"\0")
        and any(
            _oaep_label_fits(block[1:], hash_name, mask_hash)
            for mask_hash in DIGEST_INFO
            for hash_name in DIGEST_INFO
        )
    )


def digest_info(block: bytes) -> bytes | None:
    """Return the DigestInfo of a block padded by EMSA-PKCS1-v1_5 (RFC 8017, 9.2), or None for any
    other block.
    """
    for prefix, size in DIGEST_INFO.values():
        info = block[len(block) - len(prefix) - size :]
        padding = b"\0\1" + b"\xff" * (len(block) - len(info) - 3) + b"\0"
        if info.startswith(prefix) and block == padding + info:
            return info
    return None


def is_pss(block: bytes) -> bool:
    """Whether the block is padded by EMSA-PSS with MGF1, with a salt no longer than the hash (RFC
    8017, 9.1), and enough zeros before it to tell it from a random block.

    The hash of the message is not in the block, but everything else can be checked: the unmasked
    data block must consist of zeros, a one and the salt.
    """
    if block[-1] != 0xBC or block[0] & 0x80:
        return False
    return any(_pss_salt_fits(block, name) for name in PSS_HASHES)


def _pss_salt_fits(block: bytes, hash_name: str) -> bool:
    size = new_hash(hash_name).digest_size
    masked, seed = block[: -size - 1], block[-size - 1 : -1]
    unmasked = bytearray(_xor(masked, _mgf1(seed, len(masked), hash_name)))
    unmasked[0] &= 0x7F  # emBits is one less than the modulus's bits
    zeros, one, salt = bytes(unmasked).partition(b"\1")
    enough = len(zeros) >= FEWEST_ZEROS
    return bool(one) and enough and not any(zeros) and len(salt) <= size


def _is_pkcs1_message(block: bytes) -> bool:
    return block.startswith(b"\0\2") and block.find(b"\0", 2) >= 2 + SHORTEST_PADDING


def _oaep_label_fits(masked: bytes, hash_name: str, mask_hash: str) -> bool:
    label = new_hash(hash_name).digest()
    size = len(label)
    masked_seed, masked_data = masked[:size], masked[size:]
    if len(masked_data) <= size:
        return False
    seed = _xor(masked_seed, _mgf1(masked_data, size, mask_hash))
    data = _xor(masked_data, _mgf1(seed, len(masked_data), mask_hash))
    return data.startswith(label) and data[size:].lstrip(b"\0").startswith(b"\1")


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


def _mgf1(seed: bytes, length: int, hash_name: str) -> bytes:
    blocks = range(-(-length // new_hash(hash_name).digest_size))
    return b"".join(new_hash(hash_name, seed + count.to_bytes(4)).digest() for count in blocks)[
        :length
    ]


def _rsa_signature(algorithm: Algorithm, block: bytes) -> None:
    _rsa_size(algorithm, block)
    if digest_info(block) is None and not is_pss(block):
        raise MalformedKeyInput("a signature key signs only blocks padded by PKCS #1 v1.5 or PSS")


def _rsa_cryptogram(algorithm: Algorithm, block: bytes) -> None:
    _rsa_size(algorithm, block)
    if block.startswith(b"\0\1\xff\xff\xff\xff\xff\xff\xff\xff") or is_pss(block):
        raise MalformedKeyInput(
            "a decryption key does not sign: this block is padded as a signature"
        )


def _rsa_size(algorithm: Algorithm, block: bytes) -> None:
    size = MODULUS_BYTES[algorithm]
    if len(block) != size:
        raise MalformedKeyInput(f"an RSA-{size * 8} key takes {size} bytes, not {len(block)}")


def _digest(_algorithm: Algorithm, data: bytes) -> None:
    if not 1 <= len(data) <= LONGEST_DIGEST:
        raise MalformedKeyInput(
            f"an ECC key signs a digest of 1 to {LONGEST_DIGEST} bytes, not {len(data)}"
        )


def _message(_algorithm: Algorithm, data: bytes) -> None:
    if not 1 <= len(data) <= LONGEST_MESSAGE:
        raise MalformedKeyInput(
            f"an Ed25519 key signs a message of 1 to {LONGEST_MESSAGE} bytes, not {len(data)}"
        )


def _point(algorithm: Algorithm, data: bytes) -> None:
    size = 1 + 2 * FIELD_BYTES[algorithm]
    if len(data) != size or not data.startswith(UNCOMPRESSED_POINT):
        raise MalformedKeyInput(f"a point of this key is {size} bytes that begin with 04")


def _x25519_point(_algorithm: Algorithm, data: bytes) -> None:
    if len(data) != CURVE25519_BYTES:
        raise MalformedKeyInput(f"a point of X25519 is {CURVE25519_BYTES} bytes, not {len(data)}")


CHECKS: Mapping[tuple[KeyUse, int], Callable[[Algorithm, bytes], None]] = {
    **{(KeyUse.SIGN, algorithm): _rsa_signature for algorithm in MODULUS_BYTES},
    **{(KeyUse.DECRYPT, algorithm): _rsa_cryptogram for algorithm in MODULUS_BYTES},
    **{(KeyUse.SIGN, algorithm): _digest for algorithm in FIELD_BYTES},
    **{(KeyUse.AGREE, algorithm): _point for algorithm in FIELD_BYTES},
    (KeyUse.SIGN, Algorithm.ED25519): _message,
    (KeyUse.AGREE, Algorithm.X25519): _x25519_point,
}
