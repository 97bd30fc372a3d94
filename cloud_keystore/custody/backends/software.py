"""The backend of software keys, which are generated or imported here, sealed in the database, and
open in memory for a short time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import MadeKey, key_context, public_der
from cloud_keystore.custody.backends.sharing import Sharing
from cloud_keystore.custody.sealing.seal import Seal, SealBroken
from cloud_keystore.model.cards import HeldKey, Sealed
from cloud_keystore.model.errors import KeyNotFound, MalformedKeyInput
from private_keys import importing, keys, using
from private_keys.keys import BadKey, PrivateKey
from private_keys.using import BadInput, OpenKey

MOST_OPEN = 1024
OPEN_SECONDS = 300.0


@dataclass(slots=True)
class _Entry:
    sealed: bytes = field(repr=False)
    key: OpenKey = field(repr=False)
    since: float


class SoftwareKeys:
    """Software keys. Opening a key costs more than using it, so recent keys stay open for a while.

    An open key is used only for the same sealed bytes from which it was opened, so that changes in
    the database take effect at once.
    """

    def __init__(self, seal: Seal, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seal = seal
        self._monotonic = monotonic
        self._open: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()
        self._sharing = Sharing()

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair, sealed under its identifier."""
        return _seal(key_id, keys.generate(algorithm), self._seal)

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key once on each input; several inputs are shared among all processors."""
        opened = self._opened(key)
        if len(inputs) == 1:
            return [use_open(opened, key_use, inputs[0])]
        # One part for each processor: handing over single inputs would cost as much as signatures.
        count = self._sharing.processors
        parts = [inputs[start::count] for start in range(count)]
        made = dict(
            self._sharing.each(
                parts, lambda part: [use_open(opened, key_use, each) for each in part]
            )
        )
        return [made[at % count][at // count] for at in range(len(inputs))]

    def destroy(self, key: HeldKey) -> None:
        """Close the key if it is open; its sealed bytes are erased in the database."""
        with self._lock:
            self._open.pop(key.id, None)

    def _opened(self, key: HeldKey) -> OpenKey:
        if not isinstance(key.private, Sealed):
            raise KeyNotFound("the key is not in the database")
        sealed, now = key.private.private, self._monotonic()
        with self._lock:
            while self._open and next(iter(self._open.values())).since + OPEN_SECONDS <= now:
                self._open.popitem(last=False)
            entry = self._open.get(key.id)
            if entry is not None and entry.sealed == sealed:
                return entry.key
        opened = self._load(key, sealed)
        with self._lock:
            self._open.pop(key.id, None)
            self._open[key.id] = _Entry(sealed, opened, now)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return opened

    def _load(self, key: HeldKey, sealed: bytes) -> OpenKey:
        pkcs8 = self._seal.open(sealed, key_context(key.id))
        try:
            opened = open_pkcs8(pkcs8)
        except ValueError:
            opened = None
        if opened is None or public_der(opened.private.public_key()) != key.public_key:
            raise SealBroken(
                f"key {key.id} is not the one of its public key: the database was altered; restore "
                "it from a backup"
            )
        return opened


def import_key(key_id: str, algorithm: Algorithm, private: bytes, seal: Seal) -> MadeKey:
    """Seal a private key under its identifier. Its form is that of `ImportKeyRequest.private_key`.

    Raises MalformedKeyInput if the bytes are no key of this algorithm, or if others could find it.
    """
    try:
        return _seal(key_id, importing.load(algorithm, private), seal)
    except BadKey as error:
        raise MalformedKeyInput(str(error)) from None


def open_pkcs8(pkcs8: bytes) -> OpenKey:
    """Open a key; raises ValueError if the bytes are not one."""
    # The key was checked when it was made, and its seal authenticates it since. Another check
    # would take 10,000 times as long as loading the key.
    key = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
    match key:
        case (
            rsa.RSAPrivateKey()
            | ec.EllipticCurvePrivateKey()
            | Ed25519PrivateKey()
            | X25519PrivateKey()
        ):
            return OpenKey.of(key)
        case _:
            raise ValueError("a key of an unknown kind")


def use_open(key: OpenKey, key_use: KeyUse, data: bytes) -> bytes:
    """Use a key once on `data`, which `padding.check` has accepted; see `private_keys.using.use`.

    Raises MalformedKeyInput if the key does not accept the input.
    """
    try:
        return using.use(key, key_use, data)
    except BadInput as error:
        raise MalformedKeyInput(str(error)) from None


def _seal(key_id: str, private: PrivateKey, seal: Seal) -> MadeKey:
    pkcs8 = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return MadeKey(private.public_key(), Sealed(seal.close(pkcs8, key_context(key_id))))
