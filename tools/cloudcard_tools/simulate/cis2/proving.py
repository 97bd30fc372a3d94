"""How clients prove themselves: by a signed assertion (RFC 7523), or by a secret in the form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest

from joserfc import jws, jwt
from joserfc.errors import JoseError

from cloudcard_tools.simulate.cis2.clients import Client, KeysUnreadable
from cloudcard_tools.simulate.once import Handed

KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHM = "RS512"
LONGEST_LIFE = timedelta(minutes=10)
SKEW = timedelta(seconds=60)
LONGEST_ASSERTION = 8192
LONGEST_JTI = 256


class NotProved(Exception):
    """The client is not who it says; the text says why."""


@dataclass(slots=True)
class Proving:
    """Checks proofs. An assertion counts once."""

    clients: Mapping[str, Client]
    audiences: frozenset[str]
    """What assertions can name: the token endpoint, or the issuer."""
    fetch: Callable[[str], bytes]
    _used: Handed[bool] = field(default_factory=lambda: Handed(LONGEST_LIFE + 2 * SKEW))

    def client(self, form: Mapping[str, str], authorization: str, now: datetime) -> Client:
        """The client that has sent a form. Raises NotProved."""
        if authorization:
            raise NotProved("clients prove themselves by private_key_jwt or client_secret_post")
        if "client_assertion" in form or "client_assertion_type" in form:
            return self._by_assertion(form, now)
        client = self.clients.get(form.get("client_id", ""))
        secret = form.get("client_secret", "")
        # The comparison is made for nobody too.
        known = compare_digest((client.secret if client else "").encode(), secret.encode())
        if client is None or client.has_keys or not secret or not known:
            raise NotProved("client_id or client_secret is wrong, or the client has keys")
        return client

    def _by_assertion(self, form: Mapping[str, str], now: datetime) -> Client:
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != KIND or "client_secret" in form:
            raise NotProved(
                f"the client_assertion_type is {KIND}, and nothing else proves a client"
            )
        client = self.clients.get(_subject(assertion))
        if client is None or not client.has_keys:
            raise NotProved("the assertion names no client that has keys")
        if form.get("client_id", client.id) != client.id:
            raise NotProved("client_id is another client's")
        try:
            found = jwt.decode(assertion, client.keys(self.fetch), algorithms=[ALGORITHM])
        except KeysUnreadable as error:
            raise NotProved(str(error)) from None
        except (JoseError, ValueError, TypeError):
            raise NotProved(
                f"the assertion is not signed with {ALGORITHM} and a key of the client"
            ) from None
        self._require_good(found.claims, client, now)
        return client

    def _require_good(self, claims: Mapping[str, object], client: Client, now: datetime) -> None:
        named = claims.get("aud")
        audience = named if isinstance(named, list) else [named]
        if len(audience) != 1 or audience[0] not in self.audiences:
            raise NotProved("aud of the assertion is not the token endpoint")
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise NotProved("iss and sub of the assertion are the client_id")
        end = _moment(claims, "exp")
        if end is None or now - SKEW >= end or end > now + LONGEST_LIFE + SKEW:
            raise NotProved("exp of the assertion is over, or more than ten minutes away")
        for name in ("iat", "nbf"):
            begun = _moment(claims, name)
            if name in claims and (begun is None or begun > now + SKEW):
                raise NotProved(f"{name} of the assertion is still to come")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:
            raise NotProved("the assertion has a jti")
        used = f"{client.id}\n{jti}"
        if self._used.find(used, now) is not None:
            raise NotProved("the assertion was used before")
        self._used.keep(used, True, now)


def _subject(assertion: str) -> str:
    """Whom an assertion names, before anything is known about it."""
    if len(assertion) > LONGEST_ASSERTION:
        raise NotProved("the assertion is too long")
    try:
        claims = json.loads(jws.extract_compact(assertion.encode()).payload)
    except (JoseError, ValueError):
        raise NotProved("the assertion is no JSON Web Token") from None
    found = claims.get("sub") if isinstance(claims, dict) else None
    return found if isinstance(found, str) else ""


def _moment(claims: Mapping[str, object], name: str) -> datetime | None:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return datetime.fromtimestamp(found, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
