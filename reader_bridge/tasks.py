"""Key requests on threads of their own, so that a slot can wait for the result and its reader."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

import structlog

from card_os.keys import KeyRequest, KeyResult, Refusal

log = structlog.get_logger()


class Cancellation:
    """Tells the one who performs a request that nobody waits for the result any more."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._action: Callable[[], object] | None = None

    @property
    def requested(self) -> bool:
        """Whether to stop."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask to stop; interrupts a wait and runs the action in force."""
        with self._lock:
            self._requested.set()
            if self._action is not None:
                self._action()

    def wait(self, seconds: float) -> bool:
        """Pause; returns early, and True, when asked to stop."""
        return self._requested.wait(seconds)

    @contextmanager
    def running(self, action: Callable[[], object]) -> Iterator[None]:
        """Within the block, a request to stop calls `action`; at once if it was made before."""
        with self._lock:
            self._action = action
            if self.requested:
                action()
        try:
            yield
        finally:
            with self._lock:
                self._action = None


class CancellableKeys(Protocol):
    """A key service that may be told to stop; what it then returns is not used.

    Refusals are results; only bugs raise.
    """

    def perform(self, request: KeyRequest, cancellation: Cancellation, /) -> KeyResult: ...

    def reset(self) -> None:
        """Hear that the card was reset or taken out; returns soon."""


class KeyTask:
    """One key request being performed. Its socket `finished` becomes readable at the end.

    A socket, because that is what can be waited for together with the reader's on every platform.
    Raises OSError or RuntimeError where the system gives no socket or thread.
    """

    def __init__(self, keys: CancellableKeys, request: KeyRequest) -> None:
        self.finished, self._end = socket.socketpair()
        self.result: KeyResult = Refusal.UNAVAILABLE  # also after a bug of the key service
        self._cancellation = Cancellation()
        self._keys = keys
        self._thread = threading.Thread(
            target=self._run, args=(request,), name="key request", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self.finished.close()
            self._end.close()
            raise

    def __enter__(self) -> KeyTask:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finished.close()

    def cancel(self, patience: float) -> None:
        """Ask to stop, and wait up to `patience` seconds for that."""
        self._cancellation.request()
        self._thread.join(patience)

    def _run(self, request: KeyRequest) -> None:
        try:
            self.result = self._keys.perform(request, self._cancellation)
        except Exception:
            log.exception("key service failed", request=type(request).__name__)
        finally:
            self._end.close()
