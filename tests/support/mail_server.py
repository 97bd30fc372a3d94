"""A real SMTP server on a thread, which answers as a test says, and keeps what it has taken."""

from __future__ import annotations

import asyncio
import email
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from functools import partial
from queue import Queue

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HANG, DROP = "hang", "drop"
TAKEN = "250 OK"
SECONDS = 20


@dataclass
class MailServer:
    """The server. `answers` are those to what comes next, in turn; then it takes everything."""

    port: int = 0
    password: str = ""  # of the user "keystore"; empty: nobody signs in
    answers: list[str] = field(default_factory=list)  # to the e-mail itself
    to_recipients: list[str] = field(default_factory=list)  # to an address
    received: list[bytes] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    signed_in: int = 0
    tried: int = 0  # e-mails that came to an answer, or to none
    _came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def letters(self) -> list[EmailMessage]:
        """What it has taken."""
        with self._came:
            return [_parsed(each) for each in self.received]

    def wait_for(self, count: int) -> list[EmailMessage]:
        """What it has taken, once it is so much."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.received) >= count, SECONDS)
        return self.letters

    def wait_for_tries(self, count: int) -> None:
        """Wait until so many e-mails have come, taken or not."""
        with self._came:
            assert self._came.wait_for(lambda: self.tried >= count, SECONDS)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        answer = self.to_recipients.pop(0) if self.to_recipients else TAKEN
        if answer == TAKEN:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        answer = self.answers.pop(0) if self.answers else TAKEN
        with self._came:
            self.tried += 1
            if answer == TAKEN:
                self.received.append(bytes(envelope.content or b""))
                self.addresses += envelope.rcpt_tos
            self._came.notify_all()
        if answer == HANG:
            await asyncio.Event().wait()
        if answer == DROP:
            server.transport.abort()
        return answer

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object
    ) -> AuthResult:
        """Whether user and password are right."""
        right = given == LoginPassword(b"keystore", self.password.encode())
        self.signed_in += right
        return AuthResult(success=right, handled=False)


@contextmanager
def serving(
    server: MailServer,
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    utf8: bool = False,
) -> Iterator[MailServer]:
    """Let a server answer during the block: under TLS by STARTTLS, or from the first byte."""
    make = partial(
        SMTP,
        server,
        hostname="localhost",
        enable_SMTPUTF8=utf8,
        tls_context=None if implicit else tls,
        require_starttls=tls is not None and not implicit,
        authenticator=server.authenticate if server.password else None,
        # By TLS from the first byte, of which it does not know, it could only warn.
        auth_required=bool(server.password) and not implicit,
        auth_require_tls=not implicit,
    )
    ready: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Queue()
    talks: list[SMTP] = []

    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def talk() -> SMTP:
            talks.append(make(loop=loop))
            return talks[-1]

        listening = await loop.create_server(
            talk, "127.0.0.1", server.port, ssl=tls if implicit else None
        )
        server.port = listening.sockets[0].getsockname()[1]
        ready.put((loop, stop))
        await stop.wait()
        listening.close()
        for each in talks:
            if each.transport is not None:
                each.transport.abort()
        await let_end()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="mail server")
    thread.start()
    loop, stop = ready.get(timeout=SECONDS)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def let_end() -> None:
    """Let connections go that are closed already: their sockets are closed in a later turn."""
    for _ in range(5):
        await asyncio.sleep(0)


def options_to(server: MailServer) -> tuple[str, ...]:
    """The options of a keystore that sends by a server, without TLS."""
    return (
        *("--mail-server", f"127.0.0.1:{server.port}", "--mail-security", "none"),
        *("--mail-from", "keystore@example.org", "--public-url", "https://cards.example.org"),
    )


def _parsed(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found
