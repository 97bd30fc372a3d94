"""By which names the service is reached, and which hosts it may call."""

from __future__ import annotations

import socket
from dataclasses import replace
from urllib.parse import urlsplit

from cloud_keystore.config import Address, Settings
from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.rights.oidc import OidcTerms

LOG_IN = "/ra/log-in"
OIDC_RETURN = f"{LOG_IN}/openid/answer"
HTTPS = 443


def places(settings: Settings) -> frozenset[tuple[str, int]]:
    """The hosts, with their ports, that the keystore may call to have certificates."""
    return frozenset((each.host, each.port) for each in settings.ca_hosts)


def calls(settings: Settings) -> bool:
    """Whether the keystore calls authorities, a session broker, or an OpenID provider."""
    return bool(settings.ca_hosts) or settings.spine is not None or oidc(settings) is not None


def oidc(settings: Settings) -> OidcTerms | None:
    """The OpenID provider by which operators log in; None without one."""
    return None if settings.web is None else settings.web.oidc


def issuer(settings: Settings) -> str:
    """Its issuer; empty without one."""
    return "" if (terms := oidc(settings)) is None else terms.issuer


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
    host = "localhost" if web.is_plain else settings.public_host
    scheme = "http" if web.is_plain else "https"
    origin = settings.webauthn_origin or f"{scheme}://{Address(host, web.listen.port)}"
    # Browsers do not say the usual port.
    usual = f":{HTTPS}" if origin.startswith("https://") else ""
    return f"{origin.removesuffix(usual)}{LOG_IN}"


def log_in_origin(settings: Settings) -> str:
    """The origin of that page, as browsers say it; empty without pages."""
    return log_in_page(settings).removesuffix(LOG_IN)


def oidc_origin(settings: Settings) -> str:
    """The same, where an OpenID provider sends browsers back; empty without a provider."""
    return "" if oidc(settings) is None else log_in_origin(settings)


def oidc_log_in(settings: Settings) -> tuple[OidcTerms | None, str]:
    """The provider, and the page there: the redirect URI that the provider has to know."""
    return oidc(settings), f"{log_in_origin(settings)}{OIDC_RETURN}"


def cards_origin(settings: Settings) -> str:
    """Where operators show their cards: at the same host as that page, and another port; empty if
    there is no such port.
    """
    web = settings.web
    if web is None or web.cards is None:
        return ""
    host, port = urlsplit(log_in_page(settings)).hostname or "", web.cards.port
    if port == HTTPS:
        return f"https://[{host}]" if ":" in host else f"https://{host}"
    return f"https://{Address(host, port)}"


def log_in_party(settings: Settings) -> RelyingParty:
    """The party for which operators' passkeys are made: that of devices, at the pages."""
    party, web = settings.relying_party, settings.web
    if web is None or settings.webauthn_origin:
        return party
    port = web.listen.port
    if web.is_plain:  # without a proxy, where browsers take this computer's pages for safe
        here = party.id == "localhost"
        return replace(party, origin=f"http://localhost:{port}") if here else party
    return party if port == HTTPS else replace(party, origin=f"{party.origin}:{port}")
