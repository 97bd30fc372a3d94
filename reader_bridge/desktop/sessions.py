"""The log-in sessions of one user, as logind tells of them, and what their changes mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reader_bridge.desktop.events import Event


@dataclass(slots=True)
class Session:
    """One session at this computer's screen."""

    active: bool = True  # on the screen
    locked: bool = False
    idle: bool = False


@dataclass(slots=True)
class Sessions:
    """The user's sessions, by D-Bus path. Without one at a screen, as after a log-in by ssh, the
    person counts as being there.
    """

    own: dict[str, Session] = field(default_factory=dict)
    seen: bool = False  # there was a session at a screen

    def begin(self, path: str, properties: Mapping[str, object]) -> Event | None:
        """A session is there. One without a seat is none at a screen."""
        if not _seat(properties.get("Seat")) or properties.get("Class") not in (None, "user"):
            return None
        self.seen = True
        self.own[path] = Session()
        return self.change(path, properties, LOCKED_BEFORE)

    def change(
        self, path: str, properties: Mapping[str, object], before: bool | None = None
    ) -> Event | None:
        """Some properties of a session have changed."""
        session = self.own.get(path)
        if session is None:
            return None
        was_here, was_idle = self._here if before is None else before, session.idle
        for name, field_ in (("Active", "active"), ("LockedHint", "locked"), ("IdleHint", "idle")):
            if isinstance(value := properties.get(name), bool):
                setattr(session, field_, value)
        if was_here and not self._here:
            return Event.LOCKED if session.locked else Event.AWAY
        if not was_here and self._here:
            return Event.HERE
        if session.idle is not was_idle:
            return Event.IDLE if session.idle else Event.HERE
        return None

    def lock(self, path: str) -> Event | None:
        """Somebody has asked that a session locks its screen."""
        return Event.LOCKED if path in self.own else None

    def end(self, path: str) -> Event | None:
        """A session is gone."""
        if self.own.pop(path, None) is None:
            return None
        if not self.own:
            return Event.LOGGED_OFF
        return None if self._here else Event.AWAY

    @property
    def _here(self) -> bool:
        return any(each.active and not each.locked for each in self.own.values())


LOCKED_BEFORE = True  # a session that begins locked is told as one that was locked


def _seat(value: object) -> bool:
    """Whether a session has a seat: logind tells a pair of its name and path."""
    match value:
        case (str(name), str()):
            return bool(name)
    return True
