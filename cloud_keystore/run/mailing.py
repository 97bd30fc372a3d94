"""Makes what sends to people, to their pages and to webhooks, from the settings."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from cloud_keystore.config import Chat, Mail, Security, Settings, Sms, hook_url
from cloud_keystore.custody.sealing.seal import read_secret
from cloud_keystore.mail.delivering import Delivering
from cloud_keystore.mail.dispatching import Dispatching
from cloud_keystore.mail.hooks import CHATS, Hook, Sink, sms
from cloud_keystore.mail.push.sounding import Sounding
from cloud_keystore.mail.sending import Sender, Sending
from cloud_keystore.mail.webhooks.calling import Calling
from cloud_keystore.mail.webhooks.informing import Informing
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.outbox.bells import LONGEST_ENDPOINT
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.run.offering.sending import MailUseCases

SHORTEST_SECRET = 16


def keep_sending(
    cases: MailUseCases, settings: Settings
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """What sends to people, to their pages and to webhooks until told to stop; raises as
    `dispatching` does.
    """
    delivering = Delivering(cases.posting, dispatching(settings))
    informing = Informing(cases.signing, calling(settings))
    sounding = Sounding(cases.rings, ringing(settings))

    async def send(stop: asyncio.Event) -> None:
        keep = (delivering.keep_delivering, informing.keep_informing, sounding.keep_sounding)
        await asyncio.gather(*(each(stop) for each in keep))

    return send


def dispatching(settings: Settings) -> Dispatching:
    """What sends by all media that are configured. It reads secrets and authorities, and opens
    files, now, because the process may not do so later.

    Raises SealingKeyError if a secret's file is not its owner's alone, and InvalidInput.
    """
    senders: dict[Medium, Sender] = {}
    if settings.mail is not None:
        senders[Medium.EMAIL] = sending(settings.mail)
    if settings.sms is not None:
        senders[Medium.SMS] = _gateway(settings.sms)
    if settings.chat is not None:
        senders[Medium.CHAT] = _chat(settings.chat)
    return Dispatching(senders)


def sending(mail: Mail) -> Sending:
    """What sends to the mail server; raises as `dispatching` does."""
    password = ""
    if mail.password_file is not None:
        password = _line(mail.password_file, "the password")
    return Sending(mail, utc_now, password, _tls(mail))


def calling(settings: Settings) -> Calling:
    """What calls webhooks; raises as `dispatching` does."""
    terms = settings.webhooks
    return Calling(terms.inside, _authorities(terms.roots, "webhooks"))


def ringing(settings: Settings) -> Calling:
    """What calls push services; raises as `dispatching` does."""
    known = _authorities(settings.push_roots, "push services")
    return Calling(settings.push.inside, known, longest=LONGEST_ENDPOINT)


def _gateway(gateway: Sms) -> Hook | Sink:
    if gateway.file is not None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return Sink(os.open(gateway.file, flags, 0o600))
    tls = ssl.create_default_context()
    return Hook(gateway.url, sms, utc_now, _secret(gateway.secret_file), tls)


def _chat(chat: Chat) -> Hook:
    url = hook_url(_line(chat.url_file, "the address of the chat"))
    tls = ssl.create_default_context()
    return Hook(url, CHATS[chat.form], utc_now, _secret(chat.secret_file), tls)


def _secret(file: Path | None) -> bytes:
    if file is None:
        return b""
    secret = _line(file, "the secret").encode()
    if len(secret) < SHORTEST_SECRET:
        raise InvalidInput(f"the secret in {file} is too short: at least {SHORTEST_SECRET} bytes")
    return secret


def _line(file: Path, what: str) -> str:
    try:
        text = read_secret(file).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text:
        raise InvalidInput(f"{file} is to hold {what} on one line")
    return text


def _tls(mail: Mail) -> ssl.SSLContext | None:
    if mail.security is Security.NONE:
        return None
    return _authorities(mail.roots, "the mail server")


def _authorities(roots: Path | None, what: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=roots)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"{roots} has no certificates to know {what} by ({error})") from None
