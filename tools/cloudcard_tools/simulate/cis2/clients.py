"""The clients that are registered at the provider. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from cloudcard_tools.simulate.outgoing import CallRefused, require_callable

MOST_KEYS = 16
LEAST_SECRET = 16


class ClientsUnreadable(Exception):
    """A file of clients that cannot be used; the text says what to do."""


class KeysUnreadable(Exception):
    """A client's keys cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client: how it proves itself, and where its users return to."""

    id: str
    redirect_uris: tuple[str, ...]
    secret: str = field(default="", repr=False)
    jwks: str = field(default="", repr=False)
    jwks_uri: str = ""
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str = ""

    @property
    def has_keys(self) -> bool:
        """Whether it proves itself by a signed assertion, and by nothing else."""
        return bool(self.jwks or self.jwks_uri)

    def keys(self, fetch: Callable[[str], bytes]) -> KeySet:
        """Its public keys. Raises KeysUnreadable."""
        try:
            return keys_of(self.jwks or fetch(self.jwks_uri).decode("utf-8"))
        except (CallRefused, UnicodeDecodeError) as error:
            raise KeysUnreadable(f"the keys of {self.id}: {error}") from None


def keys_of(text: str) -> KeySet:
    """Read a set of public RSA keys (RFC 7517). Raises KeysUnreadable."""
    try:
        found = KeySet.import_key_set(cast("KeySetSerialization", json.loads(text)))
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        raise KeysUnreadable("this is no JSON Web Key Set") from None
    if len(found.keys) > MOST_KEYS:
        raise KeysUnreadable(f"a set has at most {MOST_KEYS} keys")
    if any(each.key_type != "RSA" for each in found.keys):
        raise KeysUnreadable("client assertions are signed with RS512: RSA keys alone count")
    return found


def read(text: str) -> Mapping[str, Client]:
    """Read a list of clients, JSON; raises ClientsUnreadable."""
    try:
        rows = json.loads(text)
    except ValueError:
        raise ClientsUnreadable("the file of clients is no JSON") from None
    if not isinstance(rows, list) or not rows:
        raise ClientsUnreadable("the file of clients has a list of objects")
    found: dict[str, Client] = {}
    for row in rows:
        client = _client(row)
        if client.id in found:
            raise ClientsUnreadable(f"the client {client.id} is there twice")
        found[client.id] = client
    return found


TEXTS = ("client_id", "client_secret", "jwks_uri", "backchannel_logout_uri")
LISTS = ("redirect_uris", "post_logout_redirect_uris")


def _client(row: object) -> Client:
    if not isinstance(row, dict):
        raise ClientsUnreadable("each client is an object")
    if unknown := sorted(set(row) - {*TEXTS, *LISTS, "jwks"}):
        raise ClientsUnreadable(f"a client has no {', '.join(unknown)}")
    texts = {name: row.get(name, "") for name in TEXTS}
    lists = {name: row.get(name, []) for name in LISTS}
    if not all(isinstance(each, str) for each in texts.values()) or not all(
        isinstance(each, list) and all(isinstance(one, str) for one in each)
        for each in lists.values()
    ):
        raise ClientsUnreadable(f"texts are {', '.join(TEXTS)}; lists of texts, {', '.join(LISTS)}")
    client = Client(
        texts["client_id"],
        tuple(lists["redirect_uris"]),
        texts["client_secret"],
        json.dumps(row["jwks"]) if "jwks" in row else "",
        texts["jwks_uri"],
        tuple(lists["post_logout_redirect_uris"]),
        texts["backchannel_logout_uri"],
    )
    _require_usable(client)
    return client


def _require_usable(client: Client) -> None:
    if not client.id or not client.redirect_uris:
        raise ClientsUnreadable("a client has at least client_id and redirect_uris")
    if sum(map(bool, (client.secret, client.jwks, client.jwks_uri))) != 1:
        raise ClientsUnreadable(f"{client.id} has one of client_secret, jwks and jwks_uri")
    if client.secret and len(client.secret) < LEAST_SECRET:
        raise ClientsUnreadable(
            f"{client.id}: a client_secret has {LEAST_SECRET} characters or more"
        )
    for url in (*client.redirect_uris, *client.post_logout_redirect_uris):
        _require_return(client, url)
    try:
        for url in filter(None, (client.jwks_uri, client.backchannel_logout_uri)):
            require_callable(url)
        if client.jwks:
            keys_of(client.jwks)
    except (CallRefused, KeysUnreadable) as error:
        raise ClientsUnreadable(f"{client.id}: {error}") from None


def _require_return(client: Client, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.scheme and parts.netloc and not parts.fragment and url.isascii())
    except ValueError:
        usable = False
    if not usable or any(each in url for each in ("#", " ", "\r", "\n", "\\")):
        raise ClientsUnreadable(f"{client.id}: {url!r} is no absolute address without a fragment")
