"""Problems: what workstations say is wrong with them, for those who look after them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from cloud_keystore.audit import acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput, TooManyCalls
from cloud_keystore.model.fields.problems import MOST_PROBLEMS, Counted, Problem, Report
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.people.identities import named
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import problems

SAME_TIME = timedelta(hours=1)  # as exactly is known until when all was the same
LEAST_TIME = timedelta(seconds=5)  # between two reports that differ


@dataclass(frozen=True, slots=True)
class Problems:
    """Keeps what each workstation said last, and shows it."""

    database: Database
    clock: Clock

    def report(self, found: Sequence[Problem], workstation: Identity) -> None:
        """Keep what a workstation says is wrong; nothing, if all is well. The same within an hour
        writes nothing. Raises InvalidInput, and TooManyCalls for another one within seconds.
        """
        if len(found) > MOST_PROBLEMS:
            raise InvalidInput(f"{len(found)} problems are told: at most {MOST_PROBLEMS} are kept")
        told = Report(tuple(found), self.clock())
        with self.database.read() as connection:
            known = problems.find(connection, workstation.id)
        if known is not None:
            passed = told.report_time - known.report_time
            if known.problems == told.problems and passed < SAME_TIME:
                return
            if known.problems != told.problems and passed < LEAST_TIME:
                wait = (LEAST_TIME - passed).total_seconds()
                raise TooManyCalls("another report came just before: wait a few seconds", wait)
        # Another call can be the first one too.
        with suppress(IntegrityError), self.database.write() as connection:
            problems.put(connection, workstation.id, told)

    def counted(self, ids: Collection[str], *, actor: Actor) -> Mapping[str, Counted]:
        """How much is wrong with workstations that the actor sees, by identifier; those that said
        nothing are left out.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            known = people.with_identity_ids(by.connection, ids)
            seen = [each.id for each in known if by.sees_identity(each)]
            return {
                each: found.counted() for each, found in problems.of(by.connection, seen).items()
            }

    def of(self, workstation_id: str, *, actor: Actor) -> tuple[Identity, Report | None]:
        """A workstation that the actor sees, and what it said last, if it said anything. Raises
        IdentityNotFound.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            found = named(by, Role.WORKSTATION, workstation_id)
            return found, problems.find(by.connection, found.id)
