"""Hands letters to a mail server: SMTP (RFC 5321), under TLS."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as PLAIN
from email.policy import SMTPUTF8 as INTERNATIONAL
from email.utils import format_datetime
from typing import Protocol

import aiosmtplib

from cloud_keystore.config import Mail, Security
from cloud_keystore.mail.letters import Letter
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails, hosts
from cloud_keystore.model.outbox.notifications import Outcome

ANSWER_SECONDS = 20.0  # for each answer of the server
STEP_SECONDS = 40.0  # for connecting, and for a letter: a portion takes less than its lease
QUIT_SECONDS = 2.0
LONGEST_WHY = 200
PERMANENT = range(500, 600)  # RFC 5321, 4.2.1
NOT_REACHED = "the mail server is not reached"
FAULTS = (aiosmtplib.SMTPException, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a letter, and why, for people. The text never goes into a log: a server's
    answer can name the address.
    """

    outcome: Outcome
    why: str = field(default="", repr=False)


class Sender(Protocol):
    """Sends letters in portions."""

    async def send(self, letter: Letter) -> Tried:
        """Try to send a letter."""

    async def end_portion(self) -> None:
        """End what the letters of a portion have shared."""


@dataclass(slots=True)
class Sending:
    """Sends letters one after another, over one connection as long as it holds."""

    mail: Mail
    clock: Clock
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    answer_seconds: float = ANSWER_SECONDS
    _client: aiosmtplib.SMTP | None = None
    _why: str = ""  # the server takes nothing of this portion

    async def send(self, letter: Letter) -> Tried:
        """Try to send a letter. What the server says before it knows the letter, such as to a wrong
        password, can be put right, and holds for the others of the portion too.
        """
        try:
            if not self._why:
                async with asyncio.timeout(STEP_SECONDS):
                    client = await self._connected()
        except FAULTS as error:
            self._drop()
            self._why = _answer(error)
        if self._why:
            return Tried(Outcome.LATER, self._why)
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await _hand_over(client, letter, self.mail.sender, self.clock())
        except (ValueError, InvalidInput):
            self._drop()
            return Tried(Outcome.REFUSED, "this cannot be put into an e-mail")
        except FAULTS as error:
            self._drop()
            return Tried(_outcome(error), _answer(error))
        return Tried(Outcome.TAKEN)

    async def end_portion(self) -> None:
        """End the connection. The server is tried again with the next portion."""
        if self._client is not None:
            with suppress(*FAULTS):
                async with asyncio.timeout(QUIT_SECONDS):
                    await self._client.quit()
        self._drop()
        self._why = ""

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        security, server = self.mail.security, self.mail.server
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=self.mail.user or None,
            password=self.password or None,
            local_hostname=_ascii(self.mail.sender).rpartition("@")[2],
            timeout=self.answer_seconds,
            use_tls=security is Security.TLS,
            # Nobody on the way can talk us out of it.
            start_tls=security is Security.STARTTLS,
            tls_context=self.tls,
        )
        await self._client.connect()
        if self._client.is_ehlo_or_helo_needed:  # it tells what else the server takes
            await self._client.ehlo()
        return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def message(letter: Letter, sender: str, now: datetime) -> EmailMessage:
    """The letter as an e-mail: text, and HTML that says the same. A receiver that gets it twice can
    know by its identifier. Raises ValueError for a header that would be two, and InvalidInput.
    """
    made = EmailMessage(policy=PLAIN if _ascii(letter.address).isascii() else INTERNATIONAL)
    made["From"] = _mailbox(sender)
    made["To"] = _mailbox(emails.email(letter.address))
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{letter.notification_id}@{_ascii(sender).rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # nobody answers by a machine (RFC 3834, 5)
    made["Content-Language"] = "en"
    made.set_content(letter.text, cte="quoted-printable")
    made.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return made


async def _hand_over(client: aiosmtplib.SMTP, letter: Letter, sender: str, now: datetime) -> None:
    to, by = _ascii(letter.address), _ascii(sender)
    if to.isascii():
        made = message(letter, sender, now)
        await client.mail(by)
        await client.rcpt(to)
        await client.data(made.as_bytes())
        return
    if not client.supports_extension("smtputf8"):
        raise aiosmtplib.SMTPNotSupported("the mail server takes no such address (SMTPUTF8)")
    made = message(letter, sender, now)
    await client.mail(by, options=["SMTPUTF8", "BODY=8BITMIME"], encoding="utf-8")  # RFC 6531
    await client.rcpt(to, encoding="utf-8")
    await client.data(made.as_bytes())


def _mailbox(address: str) -> Address:
    local, _, domain = _ascii(address).rpartition("@")
    return Address(username=local, domain=domain)


def _ascii(address: str) -> str:
    """An address whose domain is as DNS has it; what is before the @ can be of any script."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{hosts.domain(domain) or domain}"


def _outcome(error: BaseException) -> Outcome:
    match error:
        case aiosmtplib.SMTPNotSupported():
            return Outcome.REFUSED
        case aiosmtplib.SMTPRecipientRefused() | aiosmtplib.SMTPDataError():
            return Outcome.REFUSED if error.code in PERMANENT else Outcome.LATER
    return Outcome.LATER


def _answer(error: BaseException) -> str:
    """Why, for people: what the server has said, on one line."""
    match error:
        case aiosmtplib.SMTPResponseException() if error.code > 0:
            said = f"{error.code} {error.message}"
        case aiosmtplib.SMTPNotSupported():
            said = str(error)
        case _:
            said = f"{NOT_REACHED} ({type(error).__name__})"
    return "".join(each if each.isprintable() else " " for each in said)[:LONGEST_WHY]
