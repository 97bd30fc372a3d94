"""ID tokens of an OpenID provider, checked strictly (OpenID Connect Core 1.0, 3.1.3.7). Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import new
from hmac import compare_digest
from types import MappingProxyType

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from cloud_keystore.model.rights.oidc import (
    FRESH_SECONDS,
    LARGEST_KEYS,
    LARGEST_TOKEN,
    LONGEST_SUBJECT,
    SKEW,
    encoded,
    is_plain,
)

MOST_KEYS = 32
LEAST_RSA_BITS = 2048
LONGEST_LIFE = timedelta(days=1)
# What may sign, the kind of key for it, and its hash: nothing without a signature, and nothing with
# a secret that others share.
ALGORITHMS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "RS256": ("RSA", "", "sha256"),
        "RS384": ("RSA", "", "sha384"),
        "RS512": ("RSA", "", "sha512"),
        "PS256": ("RSA", "", "sha256"),
        "PS384": ("RSA", "", "sha384"),
        "PS512": ("RSA", "", "sha512"),
        "ES256": ("EC", "P-256", "sha256"),
        "ES384": ("EC", "P-384", "sha384"),
        "ES512": ("EC", "P-521", "sha512"),
    }
)


class Wrong(Exception):
    """A token that says of nobody for certain who it is; the text says why, and has nothing of the
    token.
    """


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say."""

    issuer: str
    client_id: str
    nonce: str
    asked_time: datetime  # when the browser was sent to the provider


def kid_of(token: str) -> str:
    """Which key a token names; empty if it names none, or is no token."""
    try:
        kid = _object(_part(token, 0)).get("kid", "")
    except Wrong:
        return ""
    return kid if isinstance(kid, str) else ""


def subject(token: str, access_token: str, keys: str, expected: Expected, now: datetime) -> str:
    """Who has logged in at the provider just now. Raises Wrong."""
    if len(token) > LARGEST_TOKEN:
        raise Wrong("it is too long")
    header = _object(_part(token, 0))
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Wrong("it is not signed by an algorithm that counts (RS256, PS256, ES256 or longer)")
    if "crit" in header or header.get("typ", "JWT") not in ("JWT", "jwt"):
        raise Wrong("it is of another kind")
    claims = _object(_signed(token, algorithm, _key(keys, header, algorithm)))
    _require(claims, expected, now)
    if access_token and "at_hash" in claims:
        half = new(ALGORITHMS[algorithm][2], _raw(access_token)).digest()
        if not _same(claims["at_hash"], encoded(half[: len(half) // 2])):
            raise Wrong("it belongs to another access token")
    found = claims.get("sub")
    if not isinstance(found, str) or not is_plain(found, LONGEST_SUBJECT):
        raise Wrong("it does not say who it is")
    return found


def _require(claims: Mapping[str, object], expected: Expected, now: datetime) -> None:
    if not _same(claims.get("iss"), expected.issuer):
        raise Wrong("it is of another issuer")
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in several or not all(isinstance(each, str) for each in several):
        raise Wrong("it is for somebody else")
    # Others in the audience are trusted by nobody here (3.1.3.7, 3 to 5).
    if len(several) != 1 or claims.get("azp", expected.client_id) != expected.client_id:
        raise Wrong("it is for others, too")
    if not _same(claims.get("nonce"), expected.nonce):
        raise Wrong("it is of another log-in")
    begin, end = _time(claims, "iat", now), _time(claims, "exp", now)
    if end + SKEW <= now:
        raise Wrong("it has ended, or the clocks differ")
    if begin - SKEW > now or begin + LONGEST_LIFE < now or end > now + LONGEST_LIFE:
        raise Wrong("it is not of now, or the clocks differ")
    if "nbf" in claims and _time(claims, "nbf", now) - SKEW > now:
        raise Wrong("it does not count yet, or the clocks differ")
    logged_in = _time(claims, "auth_time", now)
    soonest = expected.asked_time - timedelta(seconds=FRESH_SECONDS) - SKEW
    if not soonest <= logged_in <= now + SKEW:
        raise Wrong("the log-in at the provider is not of now: log in there once more")


def _time(claims: Mapping[str, object], name: str, now: datetime) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"it has no {name}")
    try:
        return datetime.fromtimestamp(value, now.tzinfo)
    except (ValueError, OverflowError, OSError):
        raise Wrong(f"its {name} is no time") from None


def _key(keys: str, header: Mapping[str, object], algorithm: str) -> RSAKey | ECKey:
    """The one key of the provider that can have signed. Raises Wrong."""
    kind, curve, _ = ALGORITHMS[algorithm]
    kid = header.get("kid")
    fitting = [
        each
        for each in read_keys(keys)
        if each.get("kty") == kind
        and (not curve or each.get("crv") == curve)
        and each.get("use", "sig") == "sig"
        and each.get("alg", algorithm) == algorithm
        and (kid is None or each.get("kid") == kid)
    ]
    if len(fitting) != 1:
        raise Wrong("it is not signed by a key of the provider")
    public = {name: fitting[0].get(name) for name in ("kty", "n", "e", "crv", "x", "y")}
    said: dict[str, str | list[str]] = {
        name: value for name, value in public.items() if isinstance(value, str)
    }
    try:
        if kind == "EC":
            return ECKey.import_key(said)
        found = RSAKey.import_key(said)
        if found.public_key.key_size < LEAST_RSA_BITS:
            raise Wrong("the provider's key is too short")
    except (JoseError, ValueError, TypeError, KeyError):
        raise Wrong("the provider's key cannot be read") from None
    return found


def read_keys(keys: str) -> Sequence[Mapping[str, object]]:
    """The keys of a JSON Web Key Set. Raises Wrong."""
    if len(keys) > LARGEST_KEYS:
        raise Wrong("the provider has too many keys")
    found = _object(keys.encode()).get("keys")
    if not isinstance(found, list) or len(found) > MOST_KEYS:
        raise Wrong("the provider's keys cannot be read")
    return [each for each in found if isinstance(each, dict)]


def _signed(token: str, algorithm: str, key: RSAKey | ECKey) -> bytes:
    try:
        return jws.deserialize_compact(token, key, algorithms=[algorithm]).payload
    except (JoseError, ValueError, TypeError, KeyError):
        raise Wrong("its signature is wrong") from None


def _part(token: str, number: int) -> bytes:
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise Wrong("it is no signed token")
    try:
        return base64.b64decode(parts[number] + "=" * (-len(parts[number]) % 4), b"-_", True)
    except ValueError:
        raise Wrong("it is no signed token") from None


def _object(text: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong("it is no JSON") from None
    if not isinstance(found, dict):
        raise Wrong("it is no object")
    return found


def _same(said: object, expected: str) -> bool:
    return isinstance(said, str) and compare_digest(_raw(said), _raw(expected))


def _raw(text: str) -> bytes:
    """UTF-8, also of halves of characters, which JSON can name."""
    return text.encode("utf-8", "surrogatepass")
