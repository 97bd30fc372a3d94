"""Who is logged in at the provider, in which browser, and at which clients."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudcard_tools.simulate.cis2.levels import Login
from cloudcard_tools.simulate.once import Handed

LIFETIME = timedelta(hours=10)


@dataclass(slots=True)
class Session:
    """Somebody is logged in. `sid` is told to clients; the cookie is another secret."""

    sid: str
    login: Login
    role_id: str = ""
    clients: set[str] = field(default_factory=set)
    """Those that have got an ID token."""


@dataclass(slots=True)
class Sessions:
    """The sessions."""

    draw: Callable[[int], str] = secrets.token_urlsafe
    _open: Handed[Session] = field(init=False)
    _by_sid: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._open = Handed(LIFETIME, self.draw)

    def find(self, cookie: str, now: datetime) -> Session | None:
        """The session of a browser."""
        return self._open.find(cookie, now) if cookie else None

    def by_sid(self, sid: str, now: datetime) -> Session | None:
        """A session by what clients call it."""
        return self.find(self._by_sid.get(sid, ""), now)

    def log_in(self, cookie: str, login: Login, now: datetime) -> tuple[str, Session | None]:
        """Somebody has logged in: returns another cookie, so that one that somebody has planted
        is worth nothing, and the session that this ends, if it was another person's. The same
        person's goes on with the new login.
        """
        before = self._open.take(cookie, now) if cookie else None
        if before is not None:
            self._by_sid.pop(before.sid, None)
        if before is not None and before.login.person.id == login.person.id:
            session, ended = before, None
            session.login = login
        else:
            session, ended = Session(self.draw(16), login), before
        fresh = self._open.hand(session, now)
        self._by_sid[session.sid] = fresh
        return fresh, ended

    def end(self, session: Session, now: datetime) -> None:
        """End a session."""
        self._open.take(self._by_sid.pop(session.sid, ""), now)

    def all(self, now: datetime) -> Sequence[Session]:
        """All of them."""
        found = (self.find(cookie, now) for cookie in self._by_sid.values())
        return [each for each in found if each is not None]
