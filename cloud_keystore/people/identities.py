"""Workstations, operators and auditors for the registration authority, which lists them, and
removes those that are lost, compromised or no longer in office. Holders' devices are in `devices`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.use.closing import close_workstation
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IdentityNotFound, IdentityRejected, LastOperator
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import tokens


@dataclass(frozen=True, slots=True)
class Identities:
    """Lists and removes identities. `wake` wakes callers that wait for an operation or a user."""

    database: Database
    clock: Clock
    wake: Wake

    def list_of(self, role: Role) -> list[Identity]:
        """All identities of a role, oldest first, removed ones included."""
        with self.database.read() as connection:
            return people.list_identities(connection, role)

    def invitations(self, invited: Collection[str]) -> Mapping[str, datetime]:
        """When the invitations of identities expire that are not enrolled yet, by identifier."""
        with self.database.read() as connection:
            found = tokens.terms(connection, invited)
        return {identity: expire_time for identity, (expire_time, _) in found.items()}

    def remove(self, role: Role, identity_id: str, reason: str, operator: Identity) -> Identity:
        """Take an identity out of use for ever; does nothing if it is removed already. An identity
        that was only invited can no longer enrol.

        If it is a workstation, its open operations are withdrawn and its sessions end.

        Raises IdentityNotFound, InvalidInput, LastOperator, and IdentityRejected if the operator
        who asks was removed meanwhile.
        """
        reason = text_field("reason", reason, LONGEST_DISPLAY_NAME)
        now = self.clock()
        topics: set[str] = set()
        with self.database.write() as connection:
            if not people.is_active(connection, operator.id, now):
                raise IdentityRejected("this operator was removed: ask another one")
            found = people.find_identity(connection, identity_id)
            if found is None or found.role is not role:
                word = role.name.lower()
                raise IdentityNotFound(f"there is no such {word}: cloudcard ra {word} list")
            _check_not_last(connection, found, now)
            if people.remove_identity(connection, found.id):
                actor = operator.actor
                said = {
                    "identity": found.id,
                    "role": found.role.name.lower(),
                    "name": found.display_name,
                    "reason": reason,
                }
                gone = entries.about_identity(Kind.IDENTITY_REMOVED, found, now, actor, said)
                journal.append(connection, gone)
                if role is Role.WORKSTATION:
                    topics = close_workstation(
                        connection, found.id, now, actor, "workstation removed"
                    )
            removed = people.find_identity(connection, found.id) or found
        self.wake(topics)
        return removed


def _check_not_last(connection: Connection, found: Identity, now: datetime) -> None:
    """Raise LastOperator for the only active operator, which can only be the caller, because the
    caller is active.
    """
    if found.role is not Role.OPERATOR or not found.is_active(now):
        return
    if people.count_active(connection, Role.OPERATOR, now) == 1:
        raise LastOperator(
            "you are the only operator, and nobody could invite another: cloudcard ra operator "
            "invite NAME, and remove yourself when that operator has enrolled"
        )
