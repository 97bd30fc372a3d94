"""The few calls that simulators make by themselves: to clients, and for revocation lists. They are
short, follow nobody, and never reach a host of the NHS.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlencode, urlsplit

from cloudcard_tools.simulate.exchange import FORM

SECONDS = 5.0
MOST_BYTES = 1 << 20
OF_THE_NHS = ("nhs.uk", "nhs.net", "nhs.scot", "nhs.wales", "hscni.net")


class CallRefused(Exception):
    """A call that is not made, or was not answered well; the text says why."""


def require_callable(url: str) -> str:
    """The address, if it can be called: HTTP, and no host of the NHS. Raises CallRefused."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise CallRefused(f"{url!r} is no address") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise CallRefused(f"{url!r} is no address of HTTP")
    host = host.rstrip(".")
    if any(host == each or host.endswith(f".{each}") for each in OF_THE_NHS):
        raise CallRefused(f"{host} is a host of the NHS: simulators never call one")
    return url


def get(url: str, tls: ssl.SSLContext) -> bytes:
    """What is at an address. Raises CallRefused."""
    return _call("GET", url, tls, b"", {})


def post(url: str, form: Mapping[str, str], tls: ssl.SSLContext) -> None:
    """Send a form. Raises CallRefused unless it is taken."""
    _call("POST", url, tls, urlencode(form).encode(), {"Content-Type": FORM})


def _call(
    method: str, url: str, tls: ssl.SSLContext, body: bytes, fields: Mapping[str, str]
) -> bytes:
    parts = urlsplit(require_callable(url))
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(host, port, timeout=SECONDS, context=tls)
    else:
        connection = HTTPConnection(host, port, timeout=SECONDS)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, dict(fields))
        answer = connection.getresponse()
        content = answer.read(MOST_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise CallRefused(f"{url} was not reached: {error}") from None
    finally:
        connection.close()
    if not 200 <= answer.status < 300 or len(content) > MOST_BYTES:
        raise CallRefused(f"{url} answered {answer.status}, or with too much")
    return content
