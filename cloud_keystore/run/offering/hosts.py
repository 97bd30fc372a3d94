"""By which names the service is reached, and which hosts it may call."""

from __future__ import annotations

import socket

from cloud_keystore.config import Address, Settings
from cloud_keystore.model.fields import hosts

LOG_IN = "/ra/log-in"


def places(settings: Settings) -> frozenset[tuple[str, int]]:
    """The hosts, with their ports, that the keystore may call to have certificates."""
    return frozenset((each.host, each.port) for each in settings.ca_hosts)


def names(settings: Settings) -> frozenset[str]:
    """The hosts and addresses by which clients reach the service."""
    return frozenset(
        {"localhost", "127.0.0.1", "::1", settings.public_host}
        | {each.host for each in settings.service_addresses}
        | ({own} if (own := hosts.domain(socket.gethostname())) is not None else set())
    )


def log_in_page(settings: Settings) -> str:
    """The page where operators log in, as their browsers reach it; empty without pages."""
    web = settings.web
    if web is None:
        return ""
    if settings.webauthn_origin:
        return f"{settings.webauthn_origin}{LOG_IN}"
    host = "localhost" if web.is_plain else settings.public_host
    scheme = "http" if web.is_plain else "https"
    return f"{scheme}://{Address(host, web.listen.port)}{LOG_IN}"
