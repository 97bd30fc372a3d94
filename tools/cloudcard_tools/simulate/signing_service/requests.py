"""What an application asks to be signed: a JSON Web Token of its own, which counts once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from cloudcard_tools.eps import batches
from cloudcard_tools.eps.batches import Batch
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.simulate.cis2.clients import Client, KeysUnreadable
from cloudcard_tools.simulate.once import Handed

ALGORITHM = "RS512"
LEAST_BITS = 4096
LONGEST_LIFE = timedelta(seconds=600)
SKEW = timedelta(seconds=60)
LONGEST_SUBJECT = 100


class Registry(JWSRegistry):
    """Takes tokens with many documents."""

    max_payload_length = 1 << 20


REGISTRY = Registry(algorithms=[ALGORITHM])


class RequestRefused(Exception):
    """A request that is not taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an application asks for, and who is to sign."""

    client: Client
    subject: str
    batch: Batch


@dataclass(slots=True)
class Requests:
    """Reads requests of registered clients that have keys."""

    clients: Mapping[str, Client]
    audience: str
    """The base address of the service."""
    fetch: Callable[[str], bytes]
    _used: Handed[bool] = field(default_factory=lambda: Handed(LONGEST_LIFE + 2 * SKEW))

    def read(self, token: str, now: datetime) -> Asked:
        """Read a request. Raises RequestRefused."""
        header, issuer = _beginning(token)
        client = self.clients.get(issuer)
        if client is None or not client.has_keys:
            raise RequestRefused("iss names no client that has keys")
        if header.get("alg") != ALGORITHM:
            raise RequestRefused(f"the token is signed with {ALGORITHM}, and with nothing else")
        try:
            known = client.keys(self.fetch).keys
        except KeysUnreadable as error:
            raise RequestRefused(str(error)) from None
        key = next((each for each in known if each.kid and each.kid == header.get("kid")), None)
        if key is None:
            raise RequestRefused("kid names no key of the client")
        public = key.get_op_key("verify")
        if not isinstance(public, RSAPublicKey) or public.key_size < LEAST_BITS:
            raise RequestRefused(f"the client's key is RSA with {LEAST_BITS} bits or more")
        try:
            claims = jwt.decode(token, key, registry=REGISTRY).claims
        except (JoseError, ValueError, TypeError):
            raise RequestRefused("the token is not signed with the client's key") from None
        subject = self._require_good(claims, now)
        try:
            batch = batches.batch(batches.several(claims))
        except Unreadable as error:
            raise RequestRefused(str(error)) from None
        if self._used.find(token, now) is not None:
            raise RequestRefused("the token was used before")
        self._used.keep(token, True, now)
        return Asked(client, subject, batch)

    def _require_good(self, claims: Mapping[str, object], now: datetime) -> str:
        """The user who is to sign. Raises RequestRefused."""
        if claims.get("aud") != self.audience:
            raise RequestRefused(f"aud is {self.audience}")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise RequestRefused("sub is the user who signs")
        end, begun = _moment(claims.get("exp")), _moment(claims.get("iat"))
        if end is None or end <= now - SKEW:
            raise RequestRefused("exp is over, or is not there")
        if end > now + LONGEST_LIFE + SKEW:
            raise RequestRefused("exp is more than 600 seconds away")
        if begun is None or begun > now + SKEW:
            raise RequestRefused("iat is still to come, or is not there")
        return subject


def _beginning(token: str) -> tuple[Mapping[str, object], str]:
    """The header, and who has issued the token, before anything is known about it."""
    try:
        found = jws.extract_compact(token.encode("ascii"), registry=REGISTRY)
        claims = json.loads(found.payload)
    except (JoseError, ValueError, RecursionError):
        raise RequestRefused("the body is a JSON Web Token, and nothing else") from None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return found.headers(), issuer if isinstance(issuer, str) else ""


def _moment(found: object) -> datetime | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return datetime.fromtimestamp(found, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
