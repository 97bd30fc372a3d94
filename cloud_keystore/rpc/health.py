"""gRPC's health service: tells every caller with a certificate whether this process serves.

It checks no role and writes no log entry per call, because balancers and monitors call every
second. The servicer of the library grpc_health does not limit watchers, and does not end them when
the service stops.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import grpc
import structlog
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc

from cloud_keystore.model.clock import TOLD_AS, Clock
from cloud_keystore.rpc.peer import certificate_sha256
from cloud_keystore.rpc.refusals import Context

log = structlog.get_logger()

WHOLE_SERVER = ""  # the name of the whole server in the protocol
CHECK_SECONDS = 1.0
ANSWER_SECONDS = 3.0  # a database that takes longer does not answer
MOST_WATCHES = 100  # at once
MOST_WATCHES_OF_ONE = 4

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Answers with the result of the last check, the same for all services. Used from one event
    loop.
    """

    def __init__(
        self,
        services: Iterable[str],
        check: Callable[[], bool],
        heard: Callable[[str, bytes], None],
        clock: Clock,
    ) -> None:
        """`check` can block; it is called on a thread of its own, one call at a time. `heard` gets
        each caller's address and the SHA-256 of its certificate. `clock` is told to callers.
        """
        self._clock = clock
        self._names = frozenset({WHOLE_SERVER, *services})
        self._check = check
        self._heard = heard
        # The threads of the use cases can all be busy, so the check has a thread of its own.
        self._thread = ThreadPoolExecutor(1, "health")
        self._serving = False
        self._stopped = False
        self._changed = asyncio.Event()  # a new one after each change
        self._watches: Counter[bytes] = Counter()  # by the caller's certificate

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve on a server that has not been started."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    async def look(self) -> None:
        """Check, and tell the watchers if the result has changed."""
        checked = asyncio.get_running_loop().run_in_executor(self._thread, self._check)
        try:
            serving = await asyncio.wait_for(checked, ANSWER_SECONDS)
        except TimeoutError:
            serving = False
        if serving is not self._serving:
            log.info("health", serving=serving)
            self._serving = serving
            self._tell()

    async def keep_looking(self) -> None:
        """Check every second until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.look()

    def stop(self) -> None:
        """Answer from now on that nothing is served, and end the streams of the watchers."""
        self._stopped = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._tell()

    async def Check(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> pb.HealthCheckResponse:
        self._note(context)
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        # So that callers learn by how much their own clock differs.
        context.set_trailing_metadata(((TOLD_AS, self._clock().isoformat()),))
        return pb.HealthCheckResponse(status=self._status)

    async def List(self, _request: pb.HealthListRequest, context: Context) -> pb.HealthListResponse:
        self._note(context)
        status = pb.HealthCheckResponse(status=self._status)
        return pb.HealthListResponse(statuses=dict.fromkeys(self._names, status))

    async def Watch(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        self._note(context)
        caller = b"".join((context.auth_context() or {}).get("x509_pem_cert", ()))
        if self._watches.total() >= MOST_WATCHES or self._watches[caller] >= MOST_WATCHES_OF_ONE:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch already")
        self._watches[caller] += 1
        try:
            known = request.service in self._names
            said = None
            while True:
                changed, stopped = self._changed, self._stopped
                status = self._status if known else SERVICE_UNKNOWN
                if status != said:
                    yield pb.HealthCheckResponse(status=status)
                    said = status
                if stopped:
                    break
                await changed.wait()
        finally:
            self._watches[caller] -= 1
            self._watches = +self._watches  # forgets callers that watch no longer
        await context.abort(grpc.StatusCode.UNAVAILABLE, "this process stops: call again")

    def _note(self, context: Context) -> None:
        """Note that a caller has called, who else would count as silent."""
        if (context.auth_context() or {}).get("x509_pem_cert"):
            self._heard(context.peer(), certificate_sha256(context))

    @property
    def _status(self) -> pb.HealthCheckResponse.ServingStatus.ValueType:
        return SERVING if self._serving and not self._stopped else NOT_SERVING

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
