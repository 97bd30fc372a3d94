"""The device's use cases of sessions: listing those that are open, and ending one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from cloud_keystore.custody.use.closing import end_sessions
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import SessionNotFound
from cloud_keystore.model.people import Identity
from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import cards, people, sessions
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sessions import Which


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its holder sees it."""

    session: Session
    card_serial: str
    key_ref: int
    workstation: str
    site: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """The device's use cases of sessions."""

    database: Database
    clock: Clock

    def list_open(self, device: Identity) -> list[OpenSession]:
        """List the open sessions of the device's holder, oldest first."""
        with self.database.read() as connection:
            found = sessions.list_open(connection, device.user_id or "", self.clock())
            return [_seen(connection, each) for each in found]

    def end(self, session_id: str, device: Identity) -> None:
        """End a session of the holder; does nothing if it has ended. Raises SessionNotFound."""
        with self.database.write() as connection:
            session = sessions.find(connection, session_id)
            if session is None or session.user_id != device.user_id:
                raise SessionNotFound("you have no such session")
            end_sessions(
                connection, self.clock(), device.actor, "holder", Which(session_id=session_id)
            )


def _seen(connection: Connection, session: Session) -> OpenSession:
    card = cards.find(connection, session.card_id)
    key = cards.find_key(connection, session.key_id)
    workstation = people.find_identity(connection, session.workstation_id)
    if card is None or key is None or workstation is None:
        raise SessionNotFound("the session's card, key or workstation does not exist")
    return OpenSession(
        session, card.serial, key.key_ref, workstation.display_name, workstation.site
    )
