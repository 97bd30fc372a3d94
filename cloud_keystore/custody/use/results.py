"""Results of keys, kept sealed for a while in case a workstation does not receive its answer."""

from __future__ import annotations

from collections.abc import Sequence

from card_os.piv.algorithms import FIELD_BYTES, MODULUS_BYTES
from card_os.piv.names import Algorithm
from cloud_keystore.custody.sealing.seal import Seal

LENGTH_BYTES = 4
LONGEST_ECC = 8 + 2 * max(FIELD_BYTES.values())  # a signature of ECDSA, DER


def close(seal: Seal, operation_id: str, results: Sequence[bytes]) -> bytes:
    """Seal the results of an operation."""
    return seal.close(encode(results), context(operation_id))


def open_(seal: Seal, operation_id: str, sealed: bytes) -> list[bytes]:
    """Open the results of an operation; raises SealBroken if they do not open."""
    return decode(seal.open(sealed, context(operation_id)))


def room(seal: Seal, operation_id: str, algorithm: Algorithm, count: int) -> int:
    """The most bytes that so many results of a key take when they are sealed."""
    longest = bytes(MODULUS_BYTES.get(algorithm, LONGEST_ECC))
    return len(close(seal, operation_id, [longest] * count))


def encode(results: Sequence[bytes]) -> bytes:
    """Encode results, each after its length in four bytes."""
    return b"".join(len(each).to_bytes(LENGTH_BYTES) + each for each in results)


def decode(encoded: bytes) -> list[bytes]:
    """Decode results; raises ValueError for bytes that `encode` did not make."""
    results, at = [], 0
    while at < len(encoded):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(encoded[at:start])
        if start > len(encoded) or at > len(encoded):
            raise ValueError("the results end early")
        results.append(encoded[start:at])
    return results


def context(operation_id: str) -> str:
    """Return the context under which the results of an operation are sealed."""
    return f"results {operation_id}"
