"""What clients themselves are answered: tokens for codes, and what is known of a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from cloudcard_tools.simulate.cis2 import claims
from cloudcard_tools.simulate.cis2.grants import TOKEN_LIFE, Grants, NoGrant
from cloudcard_tools.simulate.cis2.levels import LEVELS
from cloudcard_tools.simulate.cis2.proving import NotProved, Proving
from cloudcard_tools.simulate.cis2.sessions import Sessions
from cloudcard_tools.simulate.cis2.signing import About, Signing
from cloudcard_tools.simulate.exchange import Malformed, Request, Response, as_json
from cloudcard_tools.simulate.faults import Fault, Faults

BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Tokens:
    """The endpoints of clients."""

    proving: Proving
    grants: Grants
    sessions: Sessions
    signing: Signing

    def token(self, request: Request, now: datetime, faults: Faults) -> Response:
        """An access token and an ID token for a code (RFC 6749, 4.1.3)."""
        try:
            form = request.parameters
            client = self.proving.client(form, request.fields.get("authorization", ""), now)
        except Malformed as error:
            return _refused("invalid_request", str(error))
        except NotProved as error:
            return _refused("invalid_client", str(error), HTTPStatus.UNAUTHORIZED)
        if form.get("grant_type") != "authorization_code":
            known = "grant_type" in form
            return _refused(
                "unsupported_grant_type" if known else "invalid_request",
                "the grant_type is authorization_code",
            )
        try:
            grant, access_token = self.grants.redeem(
                form.get("code", ""),
                client.id,
                form.get("redirect_uri", ""),
                form.get("code_verifier", ""),
                now,
            )
        except NoGrant as error:
            return _refused("invalid_grant", str(error))
        session = self.sessions.by_sid(grant.sid, now)
        if session is None:
            self.grants.end(grant.sid)
            return _refused("invalid_grant", "the person has logged out meanwhile")
        session.clients.add(client.id)
        about = About(
            client.id,
            grant.asked.nonce,
            grant.acr,
            LEVELS[grant.acr].methods(grant.login.way),
            grant.sid,
            grant.role_id,
            access_token,
        )
        return as_json(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": int(TOKEN_LIFE.total_seconds()),
                "scope": " ".join(sorted(grant.asked.scopes)),
                "id_token": self.signing.id_token(grant.login, about, now + faults.clock, faults),
            }
        )

    def userinfo(self, request: Request, now: datetime, faults: Faults) -> Response:
        """What is known of a person (OpenID Connect Core 1.0, 5.3)."""
        told = request.fields.get("authorization", "")
        token = told.removeprefix(BEARER) if told.startswith(BEARER) else ""
        access = None if Fault.REVOKED in faults else self.grants.access(token, now)
        if access is None:
            error = ', error="invalid_token"' if token else ""
            refused = _refused(
                "invalid_token", "the access token has ended, or never was", HTTPStatus.UNAUTHORIZED
            )
            fields = (("WWW-Authenticate", f'Bearer realm="simulator"{error}'),)
            return Response(refused.status, refused.body, refused.media_type, fields)
        return as_json(claims.of_person(access.login.person, access.scopes, access.role_id))

    def keys(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """The keys by which tokens are checked."""
        return as_json(self.signing.published())


def _refused(error: str, text: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Response:
    return as_json({"error": error, "error_description": text}, status)
