"""Makes what sends e-mail, from the settings."""

from __future__ import annotations

import ssl

from cloud_keystore.config import Mail, Security
from cloud_keystore.custody.sealing.seal import read_secret
from cloud_keystore.mail.sending import Sending
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import InvalidInput


def sending(mail: Mail) -> Sending:
    """What sends to the mail server. It reads the password and the authorities now, because the
    process may not do so later.

    Raises SealingKeyError if the password's file is not its owner's alone, and InvalidInput.
    """
    password = ""
    if mail.password_file is not None:
        password = _line(read_secret(mail.password_file), mail)
    return Sending(mail, utc_now, password, _tls(mail))


def _line(secret: bytes, mail: Mail) -> str:
    try:
        text = secret.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text:
        raise InvalidInput(f"{mail.password_file} is to hold the password on one line")
    return text


def _tls(mail: Mail) -> ssl.SSLContext | None:
    if mail.security is Security.NONE:
        return None
    try:
        return ssl.create_default_context(cafile=mail.roots)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"{mail.roots} has no certificates to know the mail server by ({error})"
        ) from None
