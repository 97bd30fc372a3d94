"""Logs in once and signs digests with key 9A through OpenSC: `pkcs11_signer.py PIN COUNT`.

A program of its own: OpenSC is loaded into its process. Prints the signatures, r and s, in hex.
"""

from __future__ import annotations

import sys

import pkcs11

MODULE = "opensc-pkcs11.so"
AUTHENTICATION = b"\x01"  # as OpenSC numbers key 9A


def digest(number: int) -> bytes:
    """What is signed the nth time."""
    return bytes([number]) * 32


def main(pin: str, count: int) -> None:
    token = next(iter(pkcs11.lib(MODULE).get_tokens()))
    with token.open(user_pin=pin) as session:
        key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, id=AUTHENTICATION)
        for number in range(count):
            print(key.sign(digest(number), mechanism=pkcs11.Mechanism.ECDSA).hex())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
