"""What libcrypto computes is what Python's arithmetic says, blinded, checked, for many threads."""

from __future__ import annotations

import _hashlib
import ctypes
import gc
import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import CFUNCTYPE, c_int, c_void_p
from threading import Lock, Thread

import gmpy2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import Algorithm
from private_keys import libcrypto
from private_keys.keys import generate
from private_keys.libcrypto import NoLibcrypto, RsaKey, is_prime


def made(algorithm: Algorithm) -> rsa.RSAPrivateKey:
    key = generate(algorithm)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


KEYS = {algorithm: made(algorithm) for algorithm in MODULUS_BYTES}
OPEN = {algorithm: RsaKey(key) for algorithm, key in KEYS.items()}
RSA = Algorithm.RSA_2048
SAME_LIBRARY = ctypes.CDLL(_hashlib.__file__)
ONES = b"\1" * MODULUS_BYTES[RSA]


@pytest.mark.parametrize("algorithm", MODULUS_BYTES, ids=lambda each: each.name)
@settings(max_examples=5, deadline=None)  # Python's arithmetic is slow
@given(data=st.data())
def test_results_are_those_of_arithmetic(algorithm: Algorithm, data: st.DataObject) -> None:
    numbers, size = KEYS[algorithm].private_numbers(), MODULUS_BYTES[algorithm]
    modulus = numbers.public_numbers.n
    base = data.draw(st.integers(0, modulus - 1))
    block, result = base.to_bytes(size), pow(base, numbers.d, modulus).to_bytes(size)
    key = OPEN[algorithm]
    assert key.sign(block) == key.decrypt(block) == result
    assert key.recover(result) == block
    assert RsaKey(KEYS[algorithm].public_key()).recover(result) == block


@pytest.mark.parametrize("name", ["sign", "decrypt", "recover"])
@pytest.mark.parametrize("block", [ONES + b"\1", b"\xff" * len(ONES)])
def test_what_is_no_number_below_the_modulus_is_refused(name: str, block: bytes) -> None:
    with pytest.raises(ArithmeticError, match="cannot compute"):
        getattr(OPEN[RSA], name)(block)
    assert SAME_LIBRARY.ERR_peek_error() == 0  # nor is there one for others to find


def faulty(*names: str) -> RsaKey:
    """The key, with one bit changed in each of these numbers."""
    numbers = KEYS[RSA].private_numbers()
    parts = {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    changed = {name: parts[name] ^ (1 << 20) for name in names}
    key = rsa.RSAPrivateNumbers(**{**parts, **changed}, public_numbers=numbers.public_numbers)
    return RsaKey(key.private_key(unsafe_skip_rsa_key_validation=True))


@pytest.mark.parametrize("number", ["dmp1", "dmq1", "iqmp"])
def test_a_faulty_result_is_never_returned(number: str) -> None:
    """OpenSSL repeats a computation that one number has spoiled; if that is spoiled too, we see."""
    key, spoiled = faulty(number), faulty(number, "d")
    for right, use in ((key.sign, spoiled.sign), (key.decrypt, spoiled.decrypt)):
        assert right(ONES) == OPEN[RSA].sign(ONES)
        with pytest.raises(ArithmeticError, match="thrown away"):
            use(ONES)


class RandMethod(ctypes.Structure):
    """RAND_METHOD of openssl/rand.h: seed, bytes, cleanup, add, pseudorand, status."""

    _fields_ = [
        (name, c_void_p) for name in ("seed", "bytes", "cleanup", "add", "pseudorand", "status")
    ]


@contextmanager
def random_numbers() -> Iterator[list[int]]:
    """The sizes of the random numbers that libcrypto makes meanwhile."""
    sizes: list[int] = []

    @CFUNCTYPE(c_int, c_void_p, c_int)
    def make(place: int, size: int) -> int:
        sizes.append(size)
        ctypes.memmove(place, os.urandom(size), size)
        return 1

    address = ctypes.cast(make, c_void_p)
    method = RandMethod(bytes=address, pseudorand=address)
    assert SAME_LIBRARY.RAND_set_rand_method(ctypes.byref(method)) == 1
    try:
        yield sizes
    finally:
        SAME_LIBRARY.RAND_set_rand_method(None)


@pytest.mark.parametrize("name", ["sign", "decrypt"])
def test_the_base_is_blinded(name: str) -> None:
    """A random number below the modulus is made for a new key, and none to recover a block."""
    key = RsaKey(KEYS[RSA])
    with random_numbers() as sizes:
        key.recover(ONES)
        assert sizes == []
        result = getattr(key, name)(ONES)
    assert any(size >= len(ONES) for size in sizes)
    assert result == OPEN[RSA].sign(ONES)


def test_threads_do_not_disturb_each_other() -> None:
    numbers = KEYS[RSA].private_numbers()
    shared, modulus = RsaKey(KEYS[RSA]), numbers.public_numbers.n
    blocks = [number.to_bytes(256) for number in range(2, 34)]
    with ThreadPoolExecutor(8) as threads:
        signed = list(threads.map(shared.sign, blocks))
        # A key of its own, which is freed as soon as it has been used
        own = list(threads.map(lambda block: RsaKey(KEYS[RSA]).decrypt(block), blocks))
    expected = [pow(number, numbers.d, modulus).to_bytes(256) for number in range(2, 34)]
    assert signed == expected
    assert own == expected


@pytest.mark.parametrize("name", ["sign", "decrypt"])
def test_other_threads_work_meanwhile(name: str) -> None:
    """Python takes its lock from nobody here, so the other thread needs one that is given away."""
    key, block = OPEN[Algorithm.RSA_4096], b"\1" * 512
    use, begin, ran = getattr(key, name), Lock(), list[bool]()
    interval = sys.getswitchinterval()

    def work() -> None:
        with begin:
            ran.append(True)

    begin.acquire()
    other = Thread(target=work)
    other.start()
    sys.setswitchinterval(60)
    try:
        begin.release()
        tries = sum(1 for _ in range(300) if not ran and use(block))
    finally:
        sys.setswitchinterval(interval)
        other.join()
    assert 0 < tries < 300


def test_a_key_is_wiped_when_nothing_refers_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[int] = []
    free = libcrypto.library().free
    monkeypatch.setattr(libcrypto.library(), "free", freed.append)
    key = RsaKey(KEYS[RSA])
    use = key.sign
    del key
    gc.collect()
    assert freed == []
    assert use(ONES) == OPEN[RSA].sign(ONES)
    del use
    gc.collect()
    (handle,) = freed
    free(handle)


def test_a_key_that_libcrypto_does_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypto.library(), "read_private", lambda *_: None)
    with pytest.raises(ValueError, match="does not read"):
        RsaKey(KEYS[RSA])


def test_no_secret_in_a_repr() -> None:
    assert repr(OPEN[RSA]).startswith("<private_keys.libcrypto.RsaKey object at")


@given(number=st.one_of(st.integers(2, 10_000), st.integers(2, 1 << 256)))
def test_primes_are_told_from_other_numbers(number: int) -> None:
    assert is_prime(number) == gmpy2.is_prime(number)
    assert is_prime(int(gmpy2.next_prime(number)))


def test_numbers_that_look_like_primes_are_none() -> None:
    """Carmichael numbers; a product of primes; one that passes Miller-Rabin for the bases 2 to 37
    (Sorenson and Webster, 2015).
    """
    p, q = (int(gmpy2.next_prime(1 << bits)) for bits in (512, 513))
    for number in (561, 1729, 294409, p * q, 318665857834031151167461, 3317044064679887385961981):
        assert not is_prime(number)
    assert math.prod(number for number in (0, 1) if is_prime(number)) == 1


def test_libcrypto_is_found_where_python_has_it() -> None:
    own = "/usr/lib/python3.11/lib-dynload/_hashlib.so"
    assert libcrypto.places("linux", own) == [own, "libcrypto.so.3", "libcrypto.so.4"]
    first, *_, last = libcrypto.places("win32", r"C:\Python\DLLs\_hashlib.pyd")
    assert (first, last) == (r"C:\Python\DLLs\libcrypto-3.dll", "libcrypto-3-arm64.dll")


def test_the_first_library_with_all_functions_is_taken() -> None:
    assert libcrypto.load(["nowhere.so", "libc.so.6"]) is None
    assert libcrypto.load(["nowhere.so", "libc.so.6", _hashlib.__file__]) is not None
    assert libcrypto.load([*libcrypto.ELSEWHERE]) is not None


def test_without_a_library_somebody_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypto, "load", lambda _: None)
    libcrypto.library.cache_clear()
    with pytest.raises(NoLibcrypto, match="libssl3"):
        RsaKey(KEYS[RSA])
    with pytest.raises(NoLibcrypto):
        is_prime(7)
