"""Authorisation codes and access tokens: single use, short, and gone with their session."""

from __future__ import annotations

import base64
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from cloudcard_tools.simulate.cis2.asking import Asked
from cloudcard_tools.simulate.cis2.levels import Login
from cloudcard_tools.simulate.once import Handed

CODE_LIFE = timedelta(seconds=60)
TOKEN_LIFE = timedelta(minutes=5)
VERIFIER_LENGTHS = range(43, 129)  # RFC 7636, 4.1


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code is for: a login as it was, at a client."""

    asked: Asked
    login: Login
    acr: str
    sid: str
    role_id: str


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token is for."""

    login: Login
    scopes: Set[str]
    role_id: str
    sid: str
    of_code: str


class NoGrant(Exception):
    """The code counts for nothing; the text says why."""


@dataclass(slots=True)
class Grants:
    """The codes and tokens. A code that comes again takes its access token with it."""

    _codes: Handed[Grant] = field(default_factory=lambda: Handed(CODE_LIFE))
    _tokens: Handed[Access] = field(default_factory=lambda: Handed(TOKEN_LIFE))

    def code(self, grant: Grant, now: datetime) -> str:
        """A code for a grant."""
        return self._codes.hand(grant, now)

    def redeem(
        self, code: str, client_id: str, redirect_uri: str, verifier: str, now: datetime
    ) -> tuple[Grant, str]:
        """A code becomes an access token, whatever else is wrong with the request it is over
        with the code. Raises NoGrant.
        """
        mark = sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
        grant = self._codes.take(code, now)
        if grant is None:
            self._tokens.drop(lambda access: compare_digest(access.of_code, mark))
            raise NoGrant("the code was used before, has ended, or never was")
        if grant.asked.client.id != client_id:
            raise NoGrant("the code is another client's")
        if grant.asked.redirect_uri != redirect_uri:
            raise NoGrant("the redirect_uri is not that of the authorisation request")
        if not _proved(grant.asked.challenge, verifier):
            raise NoGrant("the code_verifier does not fit the code_challenge")
        access = Access(grant.login, grant.asked.scopes, grant.role_id, grant.sid, mark)
        return grant, self._tokens.hand(access, now)

    def access(self, token: str, now: datetime) -> Access | None:
        """What an access token is for."""
        return self._tokens.find(token, now)

    def end(self, sid: str) -> None:
        """Forget the codes and tokens of a session."""
        self._codes.drop(lambda grant: grant.sid == sid)
        self._tokens.drop(lambda access: access.sid == sid)


def _proved(challenge: str, verifier: str) -> bool:
    """Whether the proof key fits. Without a challenge there must be none (RFC 9700, 2.1.1)."""
    if not challenge:
        return not verifier
    if len(verifier) not in VERIFIER_LENGTHS or not verifier.isascii():
        return False
    digest = sha256(verifier.encode("ascii")).digest()
    found = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return compare_digest(found, challenge.encode("ascii"))
