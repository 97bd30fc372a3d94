"""Which blocks a key accepts: what real software makes passes, every other use is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from hashlib import new, sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.use import padding
from cloud_keystore.model.errors import MalformedKeyInput

KEYS = {
    algorithm: rsa.generate_private_key(65537, size * 8)
    for algorithm, size in MODULUS_BYTES.items()
}
every_size = pytest.mark.parametrize("size", KEYS, ids=lambda each: each.name)
HASHES = [hashes.SHA1(), hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]


def raw_public(size: Algorithm, data: bytes) -> bytes:
    """The block inside a signature."""
    numbers = KEYS[size].public_key().public_numbers()
    return pow(int.from_bytes(data), numbers.e, numbers.n).to_bytes(MODULUS_BYTES[size])


def sign(block: bytes, size: Algorithm = Algorithm.RSA_2048) -> None:
    padding.check(KeyUse.SIGN, size, block)


def decrypt(block: bytes, size: Algorithm = Algorithm.RSA_2048) -> None:
    padding.check(KeyUse.DECRYPT, size, block)


@every_size
@pytest.mark.parametrize("algorithm", HASHES, ids=lambda each: each.name)
def test_pkcs1_blocks_of_real_signatures(algorithm: hashes.HashAlgorithm, size: Algorithm) -> None:
    block = raw_public(size, KEYS[size].sign(b"document", rsa_padding.PKCS1v15(), algorithm))
    sign(block, size)
    with pytest.raises(MalformedKeyInput):
        decrypt(block, size)


@every_size
@pytest.mark.parametrize("algorithm", HASHES, ids=lambda each: each.name)
@pytest.mark.parametrize("salt", [0, 8, rsa_padding.PSS.DIGEST_LENGTH])
def test_pss_blocks_of_real_signatures(
    algorithm: hashes.HashAlgorithm, salt: int, size: Algorithm
) -> None:
    scheme = rsa_padding.PSS(rsa_padding.MGF1(algorithm), salt)
    if (size, algorithm.name, salt) == (Algorithm.RSA_1024, "sha512", scheme.DIGEST_LENGTH):
        with pytest.raises(ValueError, match="too long for key size"):  # two of them do not fit
            KEYS[size].sign(b"document", scheme, algorithm)
        return
    block = raw_public(size, KEYS[size].sign(b"document", scheme, algorithm))
    sign(block, size)
    with pytest.raises(MalformedKeyInput):
        decrypt(block, size)


@every_size
@pytest.mark.parametrize(
    "scheme",
    [
        rsa_padding.PKCS1v15(),
        rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    ],
)
def test_cryptograms_are_decrypted_and_not_signed(
    scheme: rsa_padding.AsymmetricPadding, size: Algorithm
) -> None:
    cryptogram = KEYS[size].public_key().encrypt(b"secret", scheme)
    decrypt(cryptogram, size)
    with pytest.raises(MalformedKeyInput):
        sign(cryptogram, size)


def deciphered(size: Algorithm, cryptogram: bytes) -> bytes:
    """What a card's raw RSA makes of a cryptogram."""
    private = KEYS[size].private_numbers()
    plain = pow(int.from_bytes(cryptogram), private.d, private.public_numbers.n)
    return plain.to_bytes(MODULUS_BYTES[size])


def released(
    block: bytes, size: Algorithm = Algorithm.RSA_2048, use: KeyUse = KeyUse.DECRYPT
) -> bool:
    try:
        padding.check_release(use, size, block)
    except MalformedKeyInput:
        return False
    return True


MESSAGES: list[rsa_padding.AsymmetricPadding] = [
    rsa_padding.PKCS1v15(),
    *(
        rsa_padding.OAEP(rsa_padding.MGF1(mask), algorithm, None)
        for mask in HASHES
        for algorithm in HASHES
    ),
]


@pytest.mark.parametrize("message", [b"", b"secret", b"\0" * 32, b"\1\0\1"])
def test_what_was_encrypted_is_released(message: bytes) -> None:
    for scheme in MESSAGES:
        cryptogram = KEYS[Algorithm.RSA_2048].public_key().encrypt(message, scheme)
        assert released(deciphered(Algorithm.RSA_2048, cryptogram))


@every_size
def test_messages_of_each_size_are_released(size: Algorithm) -> None:
    for scheme in MESSAGES[:2]:
        cryptogram = KEYS[size].public_key().encrypt(b"secret", scheme)
        assert released(deciphered(size, cryptogram), size)


@every_size
def test_a_hidden_signature_is_not_released(size: Algorithm) -> None:
    """The attacker multiplied a padded digest with the eth power of two, and would have halved the
    result.
    """
    public = KEYS[size].public_key().public_numbers()
    block = block_of(padding.DIGEST_INFO["sha256"][0] + b"\x11" * 32, size=MODULUS_BYTES[size])
    hidden = int.from_bytes(block) * pow(2, public.e, public.n) % public.n
    cryptogram = hidden.to_bytes(MODULUS_BYTES[size])
    decrypt(cryptogram, size)  # nobody can see it there
    result = deciphered(size, cryptogram)
    signature = int.from_bytes(result) * pow(2, -1, public.n) % public.n
    assert pow(signature, public.e, public.n) == int.from_bytes(block)
    assert not released(result, size)


@pytest.mark.parametrize(
    "block",
    [
        b"\0\2" + b"\x55" * 7 + b"\0" + b"m" * 246,  # one byte of padding is missing
        b"\0\2" + b"\x55" * 254,  # its padding never ends
        b"\0\1" + b"\xff" * 253 + b"\0",
        b"\0" * 256,
        b"\0" + b"\x55" * 255,
        b"\1" + b"\2" + b"\x55" * 250 + b"\0abc",
    ],
)
def test_blocks_that_are_no_message_are_kept(block: bytes) -> None:
    assert len(block) == 256
    assert not released(block)


def mask(seed: bytes, length: int) -> bytes:
    """MGF1 with SHA-256."""
    made = (sha256(seed + count.to_bytes(4)).digest() for count in range(-(-length // 32)))
    return b"".join(made)[:length]


def oaep(seed: bytes, label: bytes = b"") -> bytes:
    """A message of 256 bytes, padded by OAEP with SHA-256 and this seed."""
    data = sha256(label).digest() + bytes(184) + b"\1secret"
    masked = bytes(a ^ b for a, b in zip(data, mask(seed, len(data)), strict=True))
    return b"\0" + bytes(a ^ b for a, b in zip(seed, mask(masked, 32), strict=True)) + masked


@given(st.binary(min_size=32, max_size=32), st.integers(2, 255), st.integers(1, 255))
def test_one_changed_byte_spoils_a_message(seed: bytes, at: int, change: int) -> None:
    block = bytearray(oaep(seed))
    assert released(bytes(block))
    block[at] ^= change
    assert not released(bytes(block)) or block.startswith(b"\0\2")


def test_a_message_that_begins_like_one_of_the_other_padding_is_released() -> None:
    """One in 256 messages padded by OAEP has a two in its second byte."""
    seeds = (count.to_bytes(32) for count in range(10_000))
    alike = [block for block in map(oaep, seeds) if block[1] == 2 and 0 not in block[2:]]
    assert alike
    assert all(released(block) for block in alike)


def labelled() -> Iterator[bytes]:
    """Messages with a label, which begin in all ways."""
    return (oaep(count.to_bytes(32), b"label") for count in range(2000))


def begins_like_the_other_padding(block: bytes) -> bool:
    return block[1] == 2 and block.find(0, 2) >= 2 + padding.SHORTEST_PADDING


def test_a_message_with_a_label_is_kept() -> None:
    """A label is not in the block, so nothing shows that the block is a message."""
    key = KEYS[Algorithm.RSA_2048]
    scheme = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"label")
    kept = [block for block in labelled() if not begins_like_the_other_padding(block)]
    assert key.decrypt(raw_public(Algorithm.RSA_2048, kept[0]), scheme) == b"secret"
    twos = [block for block in kept if block[1] == 2]
    assert twos
    assert not any(released(block) for block in (*twos, *kept[:50]))


def test_a_message_with_a_label_that_begins_like_one_of_the_other_padding_is_released() -> None:
    """One in about 430 is such a block, which nobody can tell from a message of PKCS #1 v1.5."""
    alike = [block for block in labelled() if begins_like_the_other_padding(block)]
    assert alike
    assert all(released(block) for block in alike)


def test_only_plaintexts_are_looked_at() -> None:
    assert released(b"\x55" * 256, Algorithm.RSA_2048, KeyUse.SIGN)
    assert released(b"\x55" * 32, Algorithm.ECC_P256, KeyUse.AGREE)


@every_size
def test_a_block_of_another_size_is_refused(size: Algorithm) -> None:
    for other in set(KEYS) - {size}:
        block = raw_public(
            other, KEYS[other].sign(b"document", rsa_padding.PKCS1v15(), hashes.SHA256())
        )
        for use in (sign, decrypt):
            with pytest.raises(MalformedKeyInput, match=f"takes {MODULUS_BYTES[size]} bytes"):
                use(block, size)


def block_of(info: bytes, kind: int = 1, filler: int = 0xFF, size: int = 256) -> bytes:
    return bytes((0, kind)) + bytes((filler,)) * (size - 3 - len(info)) + b"\0" + info


def pss(salt: bytes, first: int = 0, size: int = 256, name: str = "sha256") -> bytes:
    """An EMSA-PSS block of a hash with this salt; `first` stands among its zeros."""
    seed = new(name, bytes(8) + new(name, b"document").digest() + salt).digest()
    data = bytearray((size - len(seed) - 2 - len(salt)) * b"\0" + b"\1" + salt)
    data[1] |= first
    mask = b"".join(new(name, seed + count.to_bytes(4)).digest() for count in range(7))
    masked = bytearray(a ^ b for a, b in zip(data, mask, strict=False))
    masked[0] &= 0x7F
    return bytes(masked) + seed + b"\xbc"


def test_a_salt_of_the_hashs_length_is_the_longest() -> None:
    sign(pss(b"\x55" * 32))
    for size in (33, 64, 200):
        with pytest.raises(MalformedKeyInput):
            sign(pss(b"\x55" * size))


@pytest.mark.parametrize(("salt", "signed"), [(46, True), (47, False), (62, False)])
def test_a_salt_leaves_room_for_zeros(salt: int, signed: bool) -> None:
    """The attack: a cryptogram for a signature key was multiplied by eth powers of numbers until it
    looked like a padded digest, one time in 65,536, and the key deciphered it.
    """
    block = pss(b"\x55" * salt, size=128, name="sha512")
    taken, refusing = (sign, decrypt) if signed else (decrypt, sign)
    taken(block, Algorithm.RSA_1024)
    with pytest.raises(MalformedKeyInput):
        refusing(block, Algorithm.RSA_1024)


@pytest.mark.parametrize("first", [0x77, 0x80, 0x02])
def test_what_stands_before_the_salt_is_zeros(first: int) -> None:
    with pytest.raises(MalformedKeyInput):
        sign(pss(b"\x55" * 32, first))


INFO = padding.DIGEST_INFO["sha256"][0] + b"\x55" * 32


@pytest.mark.parametrize(
    "block",
    [
        block_of(INFO, kind=2),
        block_of(INFO, filler=0xFE),
        block_of(INFO + b"\0"),
        block_of(b"\x55" * 32),
        block_of(b"\x55" * 36),  # MD5 and SHA-1 together: TLS 1.0 and 1.1
        block_of(INFO)[1:],
        block_of(INFO) + b"\0",
        b"\0\1\xff\0" + INFO.rjust(252, b"\0"),
        b"\0" * 256,
        b"\xff" * 256,
        b"\0" * 255 + b"\xbc",
        b"",
    ],
)
def test_blocks_that_only_look_like_signatures(block: bytes) -> None:
    with pytest.raises(MalformedKeyInput):
        sign(block)


@pytest.mark.parametrize("info", [b"\x55" * 36, INFO, b""], ids=["TLS 1.0", "SHA-256", "none"])
def test_a_block_padded_as_a_signature_is_not_decrypted(info: bytes) -> None:
    """Whatever was hashed: a decryption key would sign it."""
    with pytest.raises(MalformedKeyInput, match="padded as a signature"):
        decrypt(block_of(info))


SIGNED = {
    size: [
        raw_public(size, key.sign(b"document", scheme, hashes.SHA256()))
        for scheme in (
            rsa_padding.PKCS1v15(),
            rsa_padding.PSS(rsa_padding.MGF1(hashes.SHA256()), 32),
        )
    ]
    for size, key in KEYS.items()
}


@st.composite
def blocks(draw: st.DrawFn, length: int) -> bytes:
    """Any that begin as padded ones do."""
    tail = draw(st.binary(max_size=length))
    head = draw(st.sampled_from([b"", b"\0\1", b"\0\2", b"\0\1\xff\xff"]))
    return (head + tail.rjust(length, b"\xff"))[:length]


@given(st.data(), st.sampled_from(list(KEYS)))
def test_no_block_is_both_signed_and_decrypted(data: st.DataObject, size: Algorithm) -> None:
    length = MODULUS_BYTES[size]
    block = data.draw(st.sampled_from(SIGNED[size]) | blocks(length))
    accepted = []
    for use in (sign, decrypt):
        try:
            use(block, size)
            accepted.append(use)
        except MalformedKeyInput:
            pass
    assert len(accepted) < 2


@given(
    st.sampled_from(list(KEYS)),
    st.sampled_from(list(padding.DIGEST_INFO.values())),
    st.data(),
)
def test_one_changed_byte_spoils_a_signature_block(
    size: Algorithm, form: tuple[bytes, int], data: st.DataObject
) -> None:
    prefix, digest_bytes = form
    info = prefix + b"\x55" * digest_bytes
    filler = b"\xff" * (MODULUS_BYTES[size] - 3 - len(info))
    block = bytearray(b"\0\1" + filler + b"\0" + info)
    sign(bytes(block), size)
    place = data.draw(st.integers(0, len(block) - digest_bytes - 1))
    block[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MalformedKeyInput):
        sign(bytes(block), size)


@given(st.sampled_from(list(padding.CHECKS)), st.binary(max_size=300))
def test_any_input_is_taken_or_refused(case: tuple[KeyUse, Algorithm], data: bytes) -> None:
    with suppress(MalformedKeyInput):
        padding.check(*case, data)


TAKEN = {
    (KeyUse.SIGN, Algorithm.ECC_P256): [1, 20, 32, 64],
    (KeyUse.SIGN, Algorithm.ECC_P384): [1, 20, 48, 64],
    (KeyUse.SIGN, Algorithm.ED25519): [1, 32, 16384],
    (KeyUse.AGREE, Algorithm.X25519): [32],
    (KeyUse.AGREE, Algorithm.ECC_P256): [65],
    (KeyUse.AGREE, Algorithm.ECC_P384): [97],
}
REFUSED = {
    (KeyUse.SIGN, Algorithm.ECC_P256): [0, 65],
    (KeyUse.SIGN, Algorithm.ECC_P384): [0, 65],
    (KeyUse.SIGN, Algorithm.ED25519): [0, 16385],
    (KeyUse.AGREE, Algorithm.X25519): [0, 31, 33],
    (KeyUse.AGREE, Algorithm.ECC_P256): [0, 33, 64, 97],
    (KeyUse.AGREE, Algorithm.ECC_P384): [0, 49, 65, 96],
    # what their mathematics cannot do
    (KeyUse.DECRYPT, Algorithm.ECC_P256): [32],
    (KeyUse.SIGN, Algorithm.X25519): [32],
    (KeyUse.AGREE, Algorithm.ED25519): [32],
    (KeyUse.AGREE, Algorithm.RSA_2048): [256],
}


@pytest.mark.parametrize(("case", "sizes"), TAKEN.items())
def test_lengths_that_are_taken(case: tuple[KeyUse, Algorithm], sizes: list[int]) -> None:
    for size in sizes:
        padding.check(*case, b"\4" * size)


@pytest.mark.parametrize(("case", "sizes"), REFUSED.items())
def test_lengths_that_are_refused(case: tuple[KeyUse, Algorithm], sizes: list[int]) -> None:
    for size in sizes:
        with pytest.raises(MalformedKeyInput):
            padding.check(*case, b"\4" * size)


def test_a_compressed_point_is_refused() -> None:
    with pytest.raises(MalformedKeyInput):
        padding.check(KeyUse.AGREE, Algorithm.ECC_P256, b"\2" * 65)
