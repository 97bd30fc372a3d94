"""OpenSSL's libcrypto, for what `cryptography` does not offer: RSA without padding, and primality.

It is the library that Python's own `hashlib` uses, or else the system's, and is loaded when it is
first asked for. Functions that compute for long release Python's lock; the others keep it, because
getting it back can take longer than they do.

RSA is asked for by OpenSSL's older functions, which take a block in one call. By EVP_PKEY it would
be five calls, and opening a key would take about as long as using it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, PYFUNCTYPE, byref, c_char_p, c_int, c_long, c_void_p
from functools import cache
from importlib.util import find_spec
from typing import TypeAlias
from weakref import finalize

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

WINDOWS = ("libcrypto-3.dll", "libcrypto-3-x64.dll", "libcrypto-3-arm64.dll")
ELSEWHERE = ("libcrypto.so.3", "libcrypto.so.4")
NO_PADDING = 3  # openssl/rsa.h

BlockFunction: TypeAlias = Callable[[int, bytes, ctypes.Array[ctypes.c_char], int, int], int]
_BLOCK = (c_int, c_int, c_char_p, c_char_p, c_void_p, c_int)
_READ = (c_void_p, c_void_p, POINTER(c_char_p), c_long)


class NoLibcrypto(RuntimeError):
    """There is no libcrypto of OpenSSL 3 or later; the text says what to do."""


class _Library:
    """The functions that are used. Raises OSError or AttributeError where they are not."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        self.private_encrypt: BlockFunction = CFUNCTYPE(*_BLOCK)(("RSA_private_encrypt", library))
        self.private_decrypt: BlockFunction = CFUNCTYPE(*_BLOCK)(("RSA_private_decrypt", library))
        self.public_decrypt: BlockFunction = PYFUNCTYPE(*_BLOCK)(("RSA_public_decrypt", library))
        self.read_private = PYFUNCTYPE(*_READ)(("d2i_RSAPrivateKey", library))
        self.read_public = PYFUNCTYPE(*_READ)(("d2i_RSAPublicKey", library))
        self.free = PYFUNCTYPE(None, c_void_p)(("RSA_free", library))
        self.clear_errors = PYFUNCTYPE(None)(("ERR_clear_error", library))
        self.to_number = PYFUNCTYPE(c_void_p, c_char_p, c_int, c_void_p)(("BN_bin2bn", library))
        self.free_number = PYFUNCTYPE(None, c_void_p)(("BN_clear_free", library))
        self.check_prime = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)(
            ("BN_check_prime", library)
        )


def places(platform: str, own: str) -> list[str]:
    """Return what may be the library or lead to it; `own` is the file of Python's `_hashlib`."""
    if platform == "win32":  # its folder is not searched, unless the library is loaded already
        folder = own.rpartition("\\")[0]
        return [*(f"{folder}\\{name}" for name in WINDOWS), *WINDOWS]
    return [own, *ELSEWHERE]  # a file has the functions of all libraries to which it is linked


def load(paths: list[str]) -> _Library | None:
    """Load the first library that has all functions; None if no one has."""
    for path in paths:
        try:
            return _Library(path)
        except (OSError, AttributeError):
            continue
    return None


@cache
def library() -> _Library:
    """Return the library; raises NoLibcrypto."""
    own = find_spec("_hashlib")
    loaded = load(places(sys.platform, (own and own.origin) or "_hashlib"))
    if loaded is None:
        raise NoLibcrypto(
            "RSA keys need libcrypto of OpenSSL 3 or later, and there is none: install it (Debian: "
            "libssl3), or a Python that brings it"
        )
    return loaded


class RsaKey:
    """An RSA key in libcrypto, which is wiped when nothing refers to it any more. Several threads
    can use it at once.

    OpenSSL blinds what it computes with the private numbers (rsa_get_blinding).
    """

    def __init__(self, key: rsa.RSAPrivateKey | rsa.RSAPublicKey) -> None:
        """Raises NoLibcrypto, and ValueError if libcrypto does not read the key."""
        self._library = library()
        if isinstance(key, rsa.RSAPrivateKey):
            read, public = self._library.read_private, key.public_key()
            der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        else:
            read, public = self._library.read_public, key
            der = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        self.modulus = public.public_numbers().n.to_bytes((key.key_size + 7) // 8)
        self._handle: int = read(None, byref(c_char_p(der)), len(der))
        if not self._handle:
            self._library.clear_errors()
            raise ValueError("libcrypto does not read the RSA key")
        # Not when the process ends: a thread that goes on then could still use the key.
        finalize(self, self._library.free, self._handle).atexit = False

    def sign(self, block: bytes) -> bytes:
        """RSASP1 (RFC 8017, 5.2.1) on a block as long as the modulus.

        Raises ArithmeticError if the block is not below the modulus, or the result is wrong.
        """
        return self._private(self._library.private_encrypt, block)

    def decrypt(self, block: bytes) -> bytes:
        """RSADP (RFC 8017, 5.1.2): the same number as that of `sign`, in a time that says nothing
        about it, because here it is secret. Raises as `sign` does.
        """
        return self._private(self._library.private_decrypt, block)

    def recover(self, signature: bytes) -> bytes:
        """RSAVP1 (RFC 8017, 5.2.2): the block from which a signature was made.

        Raises ArithmeticError if the signature is not below the modulus, or longer.
        """
        return self._apply(self._library.public_decrypt, signature)

    def _private(self, function: BlockFunction, block: bytes) -> bytes:
        """OpenSSL repeats a computation whose result does not verify, because one faulty half would
        reveal the factors; it does not verify what the repetition gives.
        """
        result = self._apply(function, block)
        if self.recover(result) != block:
            raise ArithmeticError("an RSA result did not verify and was thrown away")
        return result

    def _apply(self, function: BlockFunction, block: bytes) -> bytes:
        result = ctypes.create_string_buffer(len(self.modulus))
        size = function(len(block), block, result, self._handle, NO_PADDING)
        if size != len(self.modulus):
            # The errors of a thread are also those of Python's `ssl`, which would find them.
            self._library.clear_errors()
            raise ArithmeticError("OpenSSL cannot compute this with the RSA key")
        return result.raw


def is_prime(number: int) -> bool:
    """Whether a number is prime. A composite passes with a probability below 2**-128 (64 or more
    rounds of Miller-Rabin, with random bases). Raises NoLibcrypto.
    """
    functions = library()
    data = number.to_bytes((number.bit_length() + 7) // 8)
    value = functions.to_number(data, len(data), None)
    try:
        return bool(functions.check_prime(value, None, None) == 1)
    finally:
        functions.free_number(value)
