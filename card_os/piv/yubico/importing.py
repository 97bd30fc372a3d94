"""IMPORT KEY of Yubico's tools, for a private key that was made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from card_os.administration import ImportKey
from card_os.apdu import Command
from card_os.data_objects import parse_unique
from card_os.keys import Exchange
from card_os.piv import administrator
from card_os.piv.algorithms import CURVE25519_BYTES, FIELD_BYTES, MODULUS_BYTES
from card_os.piv.context import Context
from card_os.piv.generation import POLICY_TAGS, check_algorithm, policies
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm
from card_os.status import SW, CardError

# Data objects with the parts of a private key, and the length of each part.
PRIMES = (0x01, 0x02)
CRT = (0x03, 0x04, 0x05)  # derived from the primes: d mod p-1, d mod q-1, q^-1 mod p
SCALAR, ED25519_SEED, X25519_SCALAR = 0x06, 0x07, 0x08

# By algorithm: the length of each part, the tags that make up the key, and the tags to be ignored.
PARTS: Mapping[int, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    **{algorithm: (size // 2, PRIMES, CRT) for algorithm, size in MODULUS_BYTES.items()},
    **{algorithm: (size, (SCALAR,), ()) for algorithm, size in FIELD_BYTES.items()},
    Algorithm.ED25519: (CURVE25519_BYTES, (ED25519_SEED,), ()),
    Algorithm.X25519: (CURVE25519_BYTES, (X25519_SCALAR,), ()),
}


@dataclass(frozen=True, slots=True)
class ImportPrivateKey:
    """IMPORT KEY. Its data is checked after the administrator, so that others do not learn what is
    wrong with it.
    """

    algorithm: int
    key_ref: int
    data: bytes = field(repr=False)

    @classmethod
    def parse(cls, command: Command) -> ImportPrivateKey:
        """Raises 6A86 if P1 is not an algorithm or P2 is not an asymmetric key."""
        if command.p1 not in PARTS or command.p2 not in CERTIFICATE_OF_KEY:
            raise CardError(SW.INCORRECT_P1P2)
        return cls(command.p1, command.p2, command.data)


def import_key(context: Context, command: ImportPrivateKey) -> Exchange:
    """Ask for the key to replace the previous one.

    Raises 6982 unless the administrator is authenticated, 6A86 for an algorithm that the card does
    not have or the key reference does not allow, and 6A80 if parts or policies do not fit.
    """
    proof = administrator.proof(context)
    check_algorithm(context, command.key_ref, command.algorithm, unknown=SW.INCORRECT_P1P2)
    objects, private = _private(command)
    pin_policy, touch_policy = policies(context, objects)
    request = ImportKey(
        proof, command.key_ref, command.algorithm, private, pin_policy, touch_policy
    )
    yield from administrator.change(context, request, SW.INCORRECT_P1P2)
    return b""


def _private(command: ImportPrivateKey) -> tuple[Mapping[int, bytes], bytes]:
    """All data objects, and the private key in the form of `ImportKey`.

    Raises 6A80 if parts are missing, unknown or too long.
    """
    size, wanted, besides = PARTS[command.algorithm]
    objects = parse_unique(command.data)
    if objects.keys() - POLICY_TAGS != {*wanted, *besides}:
        raise CardError(SW.WRONG_DATA, "not the parts of such a key")
    # Some tools drop leading zeros.
    parts = [objects[tag].rjust(size, b"\0") for tag in wanted]
    if any(len(part) != size for part in parts):
        raise CardError(SW.WRONG_DATA, "parts are too long")
    return objects, b"".join(parts)
