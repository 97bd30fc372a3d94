"""Key requests on threads of their own, so that a slot can wait for result and reader together."""

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
    """Tells a key service that its result is no longer needed."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._action: Callable[[], object] | None = None

    @property
    def requested(self) -> bool:
        """Whether the key service must stop."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask the key service to stop: end its `wait`, and call the action of its `running`."""
        with self._lock:
            self._requested.set()
            if self._action is not None:
                self._action()

    def wait(self, seconds: float) -> bool:
        """Pause; return True, and early, if asked to stop."""
        return self._requested.wait(seconds)

    @contextmanager
    def running(self, action: Callable[[], object]) -> Iterator[None]:
        """Within the block a request to stop calls `action`; an earlier one calls it at once."""
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
    """A key service that can be told to stop; its result is then ignored.

    Refusals are results; only bugs raise.
    """

    def perform(self, request: KeyRequest, cancellation: Cancellation, /) -> KeyResult: ...

    def reset(self) -> None:
        """Take note that the card was reset or taken out. It must return soon."""


class KeyTask:
    """One key request in progress. Its socket `finished` becomes readable at the end.

    It is a socket because every platform can wait for it and the reader's socket together. Raises
    OSError or RuntimeError if the system gives no socket or no thread.
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
        """Ask the key service to stop, and wait for it up to `patience` seconds."""
        self._cancellation.request()
        self._thread.join(patience)

    def _run(self, request: KeyRequest) -> None:
        try:
            self.result = self._keys.perform(request, self._cancellation)
        except Exception:
            log.exception("key service failed", request=type(request).__name__)
        finally:
            self._end.close()
