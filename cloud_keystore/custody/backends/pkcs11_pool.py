"""The processes that talk to a token: as many as are wanted, each made anew when it dies."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import SpawnProcess
from queue import Empty, LifoQueue
from threading import Lock

from cloud_keystore.custody.backends import pkcs11_worker
from cloud_keystore.custody.backends.pkcs11_worker import Request, Result, TokenAddress
from cloud_keystore.model.errors import KeyBackendUnavailable, KeyNotFound, MalformedKeyInput

START_SECONDS = 20.0
CALL_SECONDS = 10.0
MAKE_SECONDS = 120.0  # RSA-4096 takes its time
QUEUE_SECONDS = 5.0  # to wait for a worker that is free


class _WorkerDied(Exception):
    """The process ended, or its pipe did."""


class Pool:
    """A bounded number of workers for one token."""

    def __init__(self, address: TokenAddress, workers: int) -> None:
        """Log in once, to know that module, token and PIN are right.

        Raises KeyBackendUnavailable.
        """
        self._address = address
        self._lock = Lock()
        self._closed = ""  # why no worker is started any more
        self._free: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(workers - 1):
            self._free.put(None)  # started when it is needed
        self._free.put(self._start())

    def call(self, name: str, *arguments: object, again: bool = True) -> Result:
        """Have a worker do a request. One that dies meanwhile is replaced, and the request done
        once more, unless it is not to be done `again`.

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
        """End the workers that are free; those that work end after their request."""
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
        """Of the workers that are free."""
        return [worker.pid for worker in self._free.queue if worker is not None]

    def _start(self) -> _Worker:
        with self._lock:  # one log-in at a time: a wrong PIN is tried once, not by each worker
            if self._closed:
                raise KeyBackendUnavailable(self._closed)
            worker = _Worker(self._address)
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
            raise KeyBackendUnavailable(f"{where} is not there ({text}): connect it")

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

    def __init__(self, address: TokenAddress) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy gRPC's threads' locks
        self._pipe, theirs = context.Pipe()
        self._process = SpawnProcess(
            target=pkcs11_worker.work, args=(theirs, address), daemon=True, name="token"
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def send(self, request: Request) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            raise _WorkerDied from None

    def receive(self, seconds: float) -> tuple[str, Result | str]:
        """The next answer; a worker without one in time is as good as dead, but not asked again."""
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
