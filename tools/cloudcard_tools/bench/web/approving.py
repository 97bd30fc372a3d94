"""Approvals at an open page: how soon it rings, and how soon the application has its signature."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from queue import Queue
from socket import SHUT_RDWR
from threading import Event, Thread

from card_os.piv.names import KeyRef
from card_os.uses import REQUEST_ID_BYTES
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.bench.web.browser import SECONDS
from cloudcard_tools.bench.web.device import PageDevice, decoded

DIGEST = bytes(32)


@dataclass(frozen=True, slots=True)
class Rung:
    """A request that the page was told, and when."""

    time: float
    operation_id: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody before a workstation, with a card and a page that is open."""

    stub: WorkstationServiceStub
    device: PageDevice
    serial: str
    proof: bytes  # of the passcode
    rings: Queue[Rung | Exception] = field(default_factory=Queue)  # or why there are no more

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the page open, until the end of the block."""
        opened: Future[None] = Future()
        leaving = Event()
        connection = self.device.browser.connection()

        def listen() -> None:
            try:
                self._listen(connection, opened)
            # Also what a connection says that is closed while an event comes: that is no fault
            except Exception as error:
                why = error
            else:
                why = RuntimeError("the keystore has ended the stream of a page")
            if not leaving.is_set():
                self.rings.put(why)
                if not opened.done():
                    opened.set_exception(why)

        thread = Thread(target=listen, daemon=True)
        thread.start()
        try:
            opened.result(SECONDS)
            yield
        finally:
            leaving.set()
            if connection.sock is not None:
                with suppress(OSError):  # the keystore has ended it
                    connection.sock.shutdown(SHUT_RDWR)
            thread.join(SECONDS)
            connection.close()

    def _listen(self, connection: HTTPSConnection, opened: Future[None]) -> None:
        for name, said in self.device.events(connection):
            if name == "request":
                ring = Rung(time.perf_counter(), said["operation_id"], decoded(said["payload"]))
                self.rings.put(ring)
            elif not name and not opened.done():
                opened.set_result(None)

    def approve(self) -> tuple[float, float]:
        """Ask for a signature, and approve it. Returns the seconds from the request to the ring,
        and those from the tap to the signature.
        """
        asked = pb.CreateOperationRequest(
            request_id=os.urandom(REQUEST_ID_BYTES),
            card_serial=self.serial,
            key_ref=KeyRef.AUTHENTICATION,
            algorithm=approval_pb2.ALGORITHM_ECC_P256,
            key_use=approval_pb2.KEY_USE_SIGN,
            inputs=[DIGEST],
            passcode_proof=self.proof,
        )
        begun = time.perf_counter()
        operation = self.stub.CreateOperation(asked, timeout=SECONDS).operation
        ring = self.rings.get(timeout=SECONDS)
        if isinstance(ring, Exception):
            raise ring
        if ring.operation_id != operation.id:
            raise RuntimeError("another request has rung")
        waits: Future[None] = Future()
        signed: Future[float] = Future()
        Thread(target=self._perform, args=(operation.id, waits, signed), daemon=True).start()
        waits.result(SECONDS)
        tapped = time.perf_counter()
        self.device.approve(operation.id, ring.payload, operation.number)
        return ring.time - begun, signed.result(SECONDS) - tapped

    def _perform(self, operation_id: str, waits: Future[None], signed: Future[float]) -> None:
        """Wait for the approval as the reader does, and use the key."""
        watched = pb.WatchOperationRequest(operation_id=operation_id)
        try:
            for told in self.stub.WatchOperation(watched, timeout=SECONDS):
                if told.operation.state != approval_pb2.OPERATION_STATE_PENDING:
                    break
                if not waits.done():
                    waits.set_result(None)
            performed = pb.PerformOperationRequest(operation_id=operation_id, inputs=[DIGEST])
            self.stub.PerformOperation(performed, timeout=SECONDS)
            signed.set_result(time.perf_counter())
        # Whoever waits is told, whatever it is.
        except Exception as error:
            for each in (waits, signed):
                if not each.done():
                    each.set_exception(error)
