"""Approvals at an open page: how soon it rings, and how soon the application has its signature."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from socket import SHUT_RDWR
from threading import Thread

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
    _rings: Queue[Rung] = field(default_factory=Queue)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the page open, until the end of the block."""
        opened: Queue[None] = Queue()
        connection = self.device.browser.connection()

        def listen() -> None:
            for name, said in self.device.events(connection):
                if name == "request":
                    ring = Rung(time.perf_counter(), said["operation_id"], decoded(said["payload"]))
                    self._rings.put(ring)
                elif not name:
                    opened.put(None)

        thread = Thread(target=listen, daemon=True)
        thread.start()
        try:
            opened.get(timeout=SECONDS)
            yield
        finally:
            if connection.sock is not None:
                connection.sock.shutdown(SHUT_RDWR)
            thread.join(SECONDS)
            connection.close()

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
        ring = self._rings.get(timeout=SECONDS)
        if ring.operation_id != operation.id:
            raise RuntimeError("another request has rung")
        waits: Queue[None] = Queue()
        signed: Queue[float] = Queue()
        Thread(target=self._perform, args=(operation.id, waits, signed), daemon=True).start()
        waits.get(timeout=SECONDS)
        tapped = time.perf_counter()
        self.device.approve(operation.id, ring.payload, operation.number)
        return ring.time - begun, signed.get(timeout=SECONDS) - tapped

    def _perform(self, operation_id: str, waits: Queue[None], signed: Queue[float]) -> None:
        """Wait for the approval as the reader does, and use the key."""
        watched = pb.WatchOperationRequest(operation_id=operation_id)
        for told in self.stub.WatchOperation(watched, timeout=SECONDS):
            if told.operation.state != approval_pb2.OPERATION_STATE_PENDING:
                break
            waits.put(None)
        performed = pb.PerformOperationRequest(operation_id=operation_id, inputs=[DIGEST])
        self.stub.PerformOperation(performed, timeout=SECONDS)
        signed.put(time.perf_counter())
