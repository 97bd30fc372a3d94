"""The simulators' two ports: HTTP over TLS, one of which asks for a card's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud_keystore.config import Address
from cloud_keystore.http.listening import Connection, Listener
from cloud_keystore.http.places import Places
from cloudcard_tools.simulate import outgoing, pages
from cloudcard_tools.simulate.application import Simulators
from cloudcard_tools.simulate.exchange import ALWAYS, Notice, Request, Response
from cloudcard_tools.simulate.outgoing import CallRefused
from cloudcard_tools.simulate.signing_service import service

log = structlog.get_logger()

LARGEST_BODY = 64 * 1024
LARGEST_OF_DOCUMENTS = 2 << 20
OF_DOCUMENTS = frozenset((service.REQUEST, service.SIGN))
BODY_SECONDS = 10.0
MOST_TOLD = 50  # of those that were told of logging out
TLS = "tls"  # the extension of ASGI that names a client's certificate
CERTIFICATE = "client_cert_der"


class TooLarge(Exception):
    """A body that is not read to its end."""


class Presented(Connection):
    """A connection that tells the application which certificate the client has proved."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        found = transport.get_extra_info("ssl_object")
        certificate = found.getpeercert(binary_form=True) if found is not None else None
        self.app = _with_certificate(self.app, certificate)
        super().connection_made(transport)


def _with_certificate(application: ASGIApp, certificate: bytes | None) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        told = {**scope, "extensions": {TLS: {CERTIFICATE: certificate}}}
        await application(told, receive, send)

    return answer


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the simulators hear, and how their server proves itself: the second port asks for
    cards.
    """

    main: tuple[Address, ssl.SSLContext]
    cards: tuple[Address, ssl.SSLContext]


@dataclass(slots=True)
class Serving:
    """Serves simulators until the process ends."""

    simulators: Simulators
    trust: ssl.SSLContext
    """By which the servers of clients are checked."""
    # One request at a time: the simulators keep their state in memory, without locks.
    _one: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "simulator"))
    _telling: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "telling"))

    async def serve(self, ports: Ports, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Open both ports; raises OSError if that is not possible."""
        listeners = [
            Listener(address, self._application(with_card=with_card), tls, Places(str), kind)
            for (address, tls), with_card, kind in (
                (ports.main, False, Connection),
                (ports.cards, True, Presented),
            )
        ]
        try:
            for each in listeners:
                await each.start()
            ready()
            await stop.wait()
        finally:
            for each in listeners:
                await each.close()
            self._one.shutdown(wait=False, cancel_futures=True)
            self._telling.shutdown(wait=False, cancel_futures=True)

    def _application(self, *, with_card: bool) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    documents = str(scope["path"]) in OF_DOCUMENTS
                    most = LARGEST_OF_DOCUMENTS if documents else LARGEST_BODY
                    request = _request(scope, await _body(receive, most))
            except TooLarge:
                return await _send(send, pages.refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "less"))
            except TimeoutError:
                return await _send(send, pages.refusal(HTTPStatus.REQUEST_TIMEOUT, "sooner"))
            await asyncio.sleep(self.simulators.delay(request.path))
            response = await loop.run_in_executor(
                self._one,
                lambda: self.simulators.answer(request, datetime.now(UTC), with_card=with_card),
            )
            log.info(
                "answered", method=request.method, path=request.path, status=int(response.status)
            )
            await _send(send, response)
            for notice in response.notices:
                self._telling.submit(self._tell, notice)
            return None

        return answer

    def _tell(self, notice: Notice) -> None:
        try:
            outgoing.post(notice.url, notice.form, self.trust)
            result = "told"
        except CallRefused as error:
            result = str(error)
        log.info("told of logging out", client=notice.client, result=result)
        self.simulators.told[:] = [*self.simulators.told, (notice.client, result)][-MOST_TOLD:]


def _request(scope: Scope, body: bytes) -> Request:
    # The first of each name counts for cookies and hosts alike; HTTP/1.1 has one of each.
    fields: dict[str, str] = {}
    for name, value in scope["headers"]:
        fields.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return Request(
        str(scope["method"]),
        str(scope["path"]),
        scope["query_string"].decode("latin-1"),
        body,
        fields,
        scope.get("extensions", {}).get(TLS, {}).get(CERTIFICATE),
    )


async def _body(receive: Receive, most: int) -> bytes:
    """The body of a request. Raises TooLarge."""
    found = b""
    while True:
        message = await receive()
        found += bytes(message.get("body", b""))
        if len(found) > most:
            raise TooLarge
        if not message.get("more_body", False):
            return found


async def _send(send: Send, response: Response) -> None:
    fields = [
        *((name, value) for name, value in ALWAYS.items()),
        ("Content-Type", response.media_type),
        ("Content-Length", str(len(response.body))),
        ("Connection", "close"),
        *response.fields,
    ]
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
