"""Logging out: at the provider, and at all clients that know of the session (back-channel)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.cis2 import screens
from cloudcard_tools.simulate.cis2.clients import Client
from cloudcard_tools.simulate.cis2.grants import Grants
from cloudcard_tools.simulate.cis2.sessions import Session, Sessions
from cloudcard_tools.simulate.cis2.signing import Signing
from cloudcard_tools.simulate.exchange import Notice, Request, Response, redirect
from cloudcard_tools.simulate.faults import Faults
from cloudcard_tools.simulate.once import Handed

ASKED_WITHIN = timedelta(minutes=5)


@dataclass(slots=True)
class Leaving:
    """Ends sessions, and tells clients. What is told is signed with the faults that are on."""

    clients: Mapping[str, Client]
    sessions: Sessions
    grants: Grants
    signing: Signing
    cookie: str
    faults: Callable[[], Faults]
    draw: Callable[[int], str] = secrets.token_urlsafe
    _asked: Handed[str] = field(init=False)
    """Which sessions are asked whether to log out, so that no other page answers for them."""

    def __post_init__(self) -> None:
        self._asked = Handed(ASKED_WITHIN, self.draw)

    def end_session(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """A client sends somebody to log out (OpenID Connect RP-Initiated Logout 1.0)."""
        parameters = request.parameters
        session = self.sessions.find(request.cookie(self.cookie), now)
        hint = parameters.get("id_token_hint", "")
        claims = self.signing.was_signed(hint) if hint else {}
        if claims is None:
            return pages.refusal(
                HTTPStatus.BAD_REQUEST, "id_token_hint is no ID token of this provider"
            )
        client_id = parameters.get("client_id") or str(claims.get("aud", ""))
        client = self.clients.get(client_id)
        if claims and claims.get("aud") != client_id:
            return pages.refusal(HTTPStatus.BAD_REQUEST, "client_id is not that of id_token_hint")
        there = parameters.get("post_logout_redirect_uri", "")
        if there and (client is None or there not in client.post_logout_redirect_uris):
            return pages.refusal(
                HTTPStatus.BAD_REQUEST,
                "this post_logout_redirect_uri is not registered for the client, letter by letter",
            )
        if session is not None and not self._is_meant(session, claims, parameters, now):
            kept = {k: v for k, v in parameters.items() if k != "id_token_hint"} | {
                "client_id": client_id,
                "confirmed": self._asked.hand(session.sid, now),
            }
            return screens.log_out(kept)
        notices = self.end(session, now) if session is not None else ()
        state = {"state": parameters["state"]} if "state" in parameters else {}
        done = redirect(there, state) if there else screens.logged_out()
        return done.with_cookie(self.cookie, "").with_notices(notices)

    def end(self, session: Session, now: datetime) -> Sequence[Notice]:
        """End a session; returns what its clients are told."""
        self.sessions.end(session, now)
        return self.notices(session, now)

    def notices(self, session: Session, now: datetime) -> Sequence[Notice]:
        """What the clients of a session that has ended are told; its tokens count no more."""
        self.grants.end(session.sid)
        person_id, faults = session.login.person.id, self.faults()
        return [
            Notice(
                client.id,
                client.backchannel_logout_uri,
                {
                    "logout_token": self.signing.logout_token(
                        person_id, session.sid, client.id, now, faults
                    )
                },
            )
            for client in (self.clients[each] for each in sorted(session.clients))
            if client.backchannel_logout_uri
        ]

    def _is_meant(
        self,
        session: Session,
        claims: Mapping[str, object],
        parameters: Mapping[str, str],
        now: datetime,
    ) -> bool:
        """Whether this session is to end: a client says so that knows it, or the person has."""
        if claims:
            return claims.get("sid") == session.sid
        confirmed = parameters.get("confirmed", "")
        return bool(confirmed) and self._asked.take(confirmed, now) == session.sid
