"""ID tokens and logout tokens, signed; wrong in one way or another if that is asked for."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from cloudcard_tools.simulate.cis2.claims import ID_ASSURANCE
from cloudcard_tools.simulate.cis2.levels import Login
from cloudcard_tools.simulate.faults import Fault, Faults

ALGORITHM = "RS256"
KEY_BITS = 2048
ID_TOKEN_LIFE = timedelta(minutes=60)
LOGOUT_TOKEN_LIFE = timedelta(minutes=2)
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LONG_AGO = timedelta(hours=2)
ELSEWHERE = "https://elsewhere.example.invalid"


def new_key() -> RSAKey:
    """A key to sign with."""
    return RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)


@dataclass(frozen=True, slots=True)
class About:
    """What an ID token is about, besides the login."""

    client_id: str
    nonce: str
    acr: str
    methods: list[str]
    sid: str
    role_id: str
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signing:
    """Signs tokens with a key that is published, unless a fault says otherwise."""

    issuer: str
    key: RSAKey
    draw: Callable[[int], str] = secrets.token_urlsafe

    def published(self) -> dict[str, object]:
        """The public key as a set (RFC 7517)."""
        return {"keys": [dict(self.key.as_dict(private=False))]}

    def id_token(self, login: Login, about: About, now: datetime, faults: Faults) -> str:
        """An ID token (OpenID Connect Core 1.0, 2)."""
        digest = sha256(about.access_token.encode("ascii")).digest()
        claims: dict[str, object] = {
            **self._common(login.person.id, about.client_id, now, ID_TOKEN_LIFE),
            "uid": login.person.id,
            "azp": about.client_id,
            "auth_time": int((login.time + faults.clock).timestamp()),
            "acr": about.acr,
            "amr": about.methods,
            "sid": about.sid,
            "id_assurance_level": ID_ASSURANCE,
            "authentication_assurance_level": login.assurance,
            "at_hash": base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii"),
        }
        if about.nonce:
            claims["nonce"] = about.nonce
        if about.role_id:
            claims["selected_roleid"] = about.role_id
        return self._signed(claims, now, faults)

    def logout_token(
        self, person_id: str, sid: str, client_id: str, now: datetime, faults: Faults
    ) -> str:
        """A logout token (OpenID Connect Back-Channel Logout 1.0, 2.4)."""
        claims = {
            **self._common(person_id, client_id, now, LOGOUT_TOKEN_LIFE),
            "jti": self.draw(16),
            "sid": sid,
            "events": {LOGOUT_EVENT: {}},
        }
        return self._signed(claims, now, faults)

    def was_signed(self, token: str) -> Mapping[str, object] | None:
        """The claims of an ID token of ours, whether it has ended or not; None for others."""
        try:
            claims = jwt.decode(token, self.key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, TypeError):
            return None
        return claims if claims.get("iss") == self.issuer and "events" not in claims else None

    def _common(
        self, person_id: str, client_id: str, now: datetime, life: timedelta
    ) -> dict[str, object]:
        return {
            "iss": self.issuer,
            "sub": person_id,
            "aud": client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
        }

    def _signed(self, claims: dict[str, object], now: datetime, faults: Faults) -> str:
        for fault, wrong in (
            (Fault.ISSUER, {"iss": ELSEWHERE}),
            (Fault.AUDIENCE, {"aud": "another-client"}),
            (Fault.NONCE, {"nonce": self.draw(16)}),
            (
                Fault.EXPIRED,
                {
                    "iat": int((now - LONG_AGO).timestamp()),
                    "exp": int((now - LONG_AGO / 2).timestamp()),
                },
            ),
        ):
            if fault in faults and (fault is not Fault.NONCE or "nonce" in claims):
                claims.update(wrong)
        if Fault.UNSIGNED in faults:
            return jwt.encode({"alg": "none"}, claims, self.key, algorithms=["none"])
        key = new_key() if Fault.SIGNATURE in faults else self.key
        header = {"alg": ALGORITHM, "kid": self.key.kid}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])
