"""Signs ID tokens as an OpenID provider does, and as attackers would like to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from cloud_keystore.model.rights.oidc import OidcAnswer, ProviderFacts, encoded
from support.keystore_world import OIDC, World

RSA = RSAKey.generate_key(2048, {"use": "sig", "kid": "rsa"})
EC = ECKey.generate_key("P-256", {"use": "sig", "kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"use": "sig", "kid": "rsa"})
SUBJECT = "248289761001"
ENDPOINT = "https://login.example.org/realm/authorize?ui=plain"


def key_set(*keys: RSAKey | ECKey) -> str:
    """What is published of keys."""
    return json.dumps({"keys": [each.as_dict(private=False) for each in keys]})


def facts(keys: str = key_set(RSA, EC), *, names_itself: bool = True) -> ProviderFacts:
    """What the provider says of itself."""
    return ProviderFacts(OIDC.issuer, ENDPOINT, keys, names_itself)


@dataclass
class Asked:
    """What a browser takes to the provider."""

    query: dict[str, str]

    @classmethod
    def of(cls, url: str) -> Asked:
        found = parse_qs(urlsplit(url).query)
        return cls({name: values[0] for name, values in found.items()})


@dataclass
class Tokens:
    """ID tokens of now; each claim and field can be another one, and None leaves it out."""

    now: datetime
    nonce: str
    key: RSAKey | ECKey = field(default_factory=lambda: RSA)
    header: dict[str, object] = field(default_factory=dict)
    claims: dict[str, object] = field(default_factory=dict)
    algorithm: str = "RS256"

    def token(self) -> str:
        """One of them."""
        now = int(self.now.timestamp())
        claims: dict[str, object] = {
            "iss": OIDC.issuer,
            "aud": OIDC.client_id,
            "sub": SUBJECT,
            "nonce": self.nonce,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            **self.claims,
        }
        said = {name: value for name, value in claims.items() if value is not None}
        header: dict[str, object] = {"alg": self.algorithm, "kid": self.key.kid, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        payload = json.dumps(said).encode()
        if header["alg"] == "none":
            return f"{encoded(json.dumps(header).encode())}.{encoded(payload)}."
        names = [str(header["alg"])]
        return jws.serialize_compact(header, payload, self.key, algorithms=names)


def half_hash(text: str) -> str:
    """The at_hash of an access token, for SHA-256."""
    return encoded(sha256(text.encode()).digest()[:16])


def log_in(
    world: World, browser: bytes, answer: OidcAnswer | None = None, **changed: object
) -> str:
    """The whole way of a browser, with a token whose claims are otherwise; returns the state."""
    asked = Asked.of(world.oidc_log_ins.ask(browser)).query
    world.oidc_log_ins.bring(asked["state"], "code", OIDC.issuer, browser)
    (errand,) = world.oidc_log_ins.take()
    token = Tokens(world.clock.now, asked["nonce"], claims=changed).token()
    world.oidc_log_ins.tell(errand.id, errand.tries, answer or OidcAnswer(token))
    return asked["state"]
