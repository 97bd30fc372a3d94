"""The backend of keys in a PKCS#11 token, which are made, used and destroyed there.

The database holds a sealed mark of each key: its identifier in the token and the hash of its public
key. So no row can be made to refer to another key of the token. `pkcs11_worker` is the program of
the processes that talk to the token.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import Empty, LifoQueue
from threading import Lock
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key

from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.config import Token
from cloud_keystore.custody.backends import pkcs11_worker
from cloud_keystore.custody.backends.keys import MadeKey, key_context, public_der
from cloud_keystore.custody.backends.pkcs11_worker import CURVES, Request, Result, TokenAddress
from cloud_keystore.custody.sealing.seal import Seal, SealBroken, SealingKeyError, read_secret
from cloud_keystore.model.cards import Destroyed, HeldKey, OnToken
from cloud_keystore.model.errors import (
    InvalidInput,
    KeyBackendUnavailable,
    KeyNotFound,
    MalformedKeyInput,
)
from private_keys.keys import FIELD_HASH
from private_keys.libcrypto import RsaKey
from private_keys.using import fit_digest

AT_ONCE = 16  # inputs in one request, so that it ends in time and others get their turn
START_SECONDS = 20.0
CALL_SECONDS = 10.0
MAKE_SECONDS = 120.0  # generating an RSA-4096 key is slow
QUEUE_SECONDS = 5.0  # to wait for a free worker


def token_address(token: Token, realm: str) -> TokenAddress:
    """Return the token's address with its PIN; raises SealingKeyError if the PIN file cannot be
    used.
    """
    try:
        pin = read_secret(token.pin_file).rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise SealingKeyError(f"{token.pin_file} does not hold a PIN: write it as text") from None
    return TokenAddress(str(token.module), token.label, realm, pin)


def realm(seal: Seal) -> str:
    """Return the label of a keystore's keys, so that several keystores can share a token."""
    return f"cloudcard {seal.derive('realm', b'')[:8].hex()}"


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys of one token."""

    pool: Pool
    seal: Seal

    def make(self, key_id: str, algorithm: Algorithm) -> MadeKey:
        """Make a key pair in the token, not extractable. Raises InvalidInput if the algorithm is
        not one of SP 800-78-5, and KeyBackendUnavailable.
        """
        if algorithm not in MODULUS_BYTES and algorithm not in CURVES:
            raise InvalidInput(f"the token makes no keys of {algorithm.name}: use RSA or ECC")
        handle = UUID(key_id).bytes
        der = self.pool.call("make", handle, algorithm, again=False)
        public = load_der_public_key(der) if isinstance(der, bytes) else None
        if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise TypeError("the token made a key of another kind")
        mark = self.seal.close(_mark(handle, public_der(public)), key_context(key_id))
        return MadeKey(public, OnToken(handle, mark))

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        """Use a key in the token; signatures are checked with the public key."""
        if not isinstance(key.private, OnToken):
            raise KeyNotFound("the key is not in the token")
        handle = key.private.handle
        mark = self.seal.open(key.private.mark, key_context(key.id))
        if mark != _mark(handle, key.public_key):
            raise SealBroken(
                f"the database's record of key {key.id} was altered: restore the database from a "
                "backup"
            )
        for data in inputs:
            _check_input(key, key_use, data)
        return [
            result
            for start in range(0, len(inputs), AT_ONCE)
            for result in self._use(key, handle, key_use, inputs[start : start + AT_ONCE])
        ]

    def _use(
        self, key: HeldKey, handle: bytes, key_use: KeyUse, inputs: Sequence[bytes]
    ) -> list[bytes]:
        results = self.pool.call("use", handle, key.algorithm, key_use, list(inputs))
        if not isinstance(results, list):
            raise TypeError("the token's process answers with something else")
        for data, result in zip(inputs, results, strict=True):
            _check(key, key_use, data, result)
        return results

    def destroy(self, key: HeldKey) -> None:
        """Destroy a key in the token; does nothing if it is gone already."""
        match key.private:
            case OnToken(handle) | Destroyed(bytes(handle)):
                self.destroy_handle(handle)

    def handles(self) -> list[bytes]:
        """Return the handles of all keys of this keystore in the token."""
        found = self.pool.call("handles")
        return found if isinstance(found, list) else []

    def destroy_handle(self, handle: bytes) -> None:
        """Destroy a key that has no row in the database."""
        self.pool.call("destroy", handle)


def _mark(handle: bytes, public_der: bytes) -> bytes:
    return b"pkcs11\0" + sha256(public_der).digest() + handle


def _check_input(key: HeldKey, key_use: KeyUse, data: bytes) -> None:
    """Raise MalformedKeyInput as `software` does, because tokens report bad input differently."""
    public = load_der_public_key(key.public_key)
    match public, key_use:
        case rsa.RSAPublicKey(), _ if int.from_bytes(data) >= public.public_numbers().n:
            raise MalformedKeyInput("the block is a number beyond the key's modulus")
        case ec.EllipticCurvePublicKey(), KeyUse.AGREE:
            try:
                ec.EllipticCurvePublicKey.from_encoded_point(public.curve, data)
            except ValueError:
                raise MalformedKeyInput("the peer's point is not on the key's curve") from None


def _check(key: HeldKey, key_use: KeyUse, data: bytes, result: bytes) -> None:
    """Raise ArithmeticError unless this key made the result. A shared secret cannot be checked."""
    public = load_der_public_key(key.public_key)
    match public, key_use:
        case rsa.RSAPublicKey(), _:
            right = RsaKey(public).recover(result) == data
        case ec.EllipticCurvePublicKey(), KeyUse.SIGN:
            field_hash = FIELD_HASH[public.curve.name]
            fitted = fit_digest(data, field_hash.digest_size)
            try:
                public.verify(result, fitted, ec.ECDSA(Prehashed(field_hash)))
                right = True
            except InvalidSignature:
                right = False
        case _:
            right = True
    if not right:
        raise ArithmeticError("a result of the token did not verify and was thrown away")


class _WorkerDied(Exception):
    """The process has ended, or its pipe is broken."""


class Pool:
    """A bounded number of workers for one token."""

    def __init__(self, address: TokenAddress, workers: int) -> None:
        """Make a pool for a token; no worker is started yet."""
        self._address = address
        self._lock = Lock()
        self._closed = ""  # the reason why no worker is started any more
        self._free: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(workers):
            self._free.put(None)  # a worker that is started when it is needed

    @classmethod
    def start(cls, address: TokenAddress, workers: int) -> Self:
        """Make a pool and log in once, to check module, token and PIN.

        Raises KeyBackendUnavailable.
        """
        pool = cls(address, workers)
        first = pool._start()
        pool._free.get_nowait()
        pool._free.put(first)  # to be taken first
        return pool

    def call(self, name: str, *arguments: object, again: bool = True) -> Result:
        """Have a worker do a request. If it dies meanwhile it is replaced, and the request is
        repeated once if `again` allows it.

        Raises KeyBackendUnavailable, MalformedKeyInput, KeyNotFound.
        """
        try:
            worker = self._free.get(timeout=QUEUE_SECONDS)
        except Empty:
            raise KeyBackendUnavailable("the token is busy: try again") from None
        try:
            worker = worker or self._start()
            try:
                return self._ask(worker, (name, arguments))
            except _WorkerDied:
                worker.stop()
                worker = None
                if not again:
                    raise KeyBackendUnavailable("the token's process ended: try again") from None
                worker = self._start()
                return self._ask(worker, (name, arguments))
        except (_WorkerDied, KeyBackendUnavailable) as error:
            if worker is not None:
                worker.stop()
                worker = None
            if isinstance(error, KeyBackendUnavailable):
                raise
            raise KeyBackendUnavailable("the token's process ended twice: try again") from None
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """Stop the free workers; the call that uses a busy worker is not interrupted."""
        self._closed = "the keystore is stopping"
        while True:
            try:
                worker = self._free.get_nowait()
            except Empty:
                return
            if worker is not None:
                worker.stop()

    @property
    def process_ids(self) -> list[int]:
        """The process ids of the free workers."""
        return [worker.pid for worker in self._free.queue if worker is not None]

    def _start(self) -> _Worker:
        # One log-in at a time: a wrong PIN is tried once, not by each worker.
        with self._lock:
            if self._closed:
                raise KeyBackendUnavailable(self._closed)
            worker = _Worker.start(self._address)
            try:
                word, said = worker.receive(START_SECONDS)
            except _WorkerDied:
                word, said = pkcs11_worker.GONE, "its process ended at once"
            except KeyBackendUnavailable:
                worker.stop()
                raise
            if word == pkcs11_worker.DONE:
                return worker
            worker.stop()
            text = said if isinstance(said, str) else ""
            where = f"token {self._address.token!r} of {self._address.module}"
            if word == pkcs11_worker.PIN:
                self._closed = (
                    f"{where} refuses the PIN ({text}); it is not tried again, so that the token "
                    "does not lock: correct the PIN file, then start the keystore again"
                )
                raise KeyBackendUnavailable(self._closed)
            if word == pkcs11_worker.NO_LIBRARY:
                raise KeyBackendUnavailable(
                    f"the library {self._address.module} cannot be loaded ({text}): install the "
                    "manufacturer's, or correct --hsm-module"
                )
            raise KeyBackendUnavailable(
                f"{where} is not there ({text}): connect it, or correct --hsm-token"
            )

    def _ask(self, worker: _Worker, request: Request) -> Result:
        seconds = MAKE_SECONDS if request[0] == "make" else CALL_SECONDS
        worker.send(request)
        word, result = worker.receive(seconds)
        match word, result:
            case pkcs11_worker.DONE, bytes() | list():
                return result
            case pkcs11_worker.REFUSED, str(error):
                raise MalformedKeyInput(f"the token refuses the input ({error})")
            case pkcs11_worker.NO_KEY, _:
                raise KeyNotFound("the token does not have the key")
            case _, str(error):
                raise KeyBackendUnavailable(f"the token does not answer ({error}): try again")
            case _:
                raise KeyBackendUnavailable("the token's process answers with something else")


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, pipe: Connection, process: SpawnProcess) -> None:
        self._pipe = pipe
        self._process = process

    @classmethod
    def start(cls, address: TokenAddress) -> Self:
        # A fork would copy the locks of gRPC's threads.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = SpawnProcess(
            target=pkcs11_worker.work, args=(theirs, address), daemon=True, name="token"
        )
        process.start()
        theirs.close()
        return cls(ours, process)

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def send(self, request: Request) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            raise _WorkerDied from None

    def receive(self, seconds: float) -> tuple[str, Result | str]:
        """Wait for the next answer. Raises KeyBackendUnavailable if none comes in time, and the
        request is not repeated; raises _WorkerDied if the process has ended.
        """
        try:
            if not self._pipe.poll(seconds):
                raise KeyBackendUnavailable("the token does not answer in time: try again")
            answer: tuple[str, Result | str] = self._pipe.recv()
        except (EOFError, OSError):
            raise _WorkerDied from None
        return answer

    def stop(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()
