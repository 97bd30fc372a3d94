"""What the service does every second without a call: it writes down what has expired, and takes the
journal's new entries into its tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from cloud_keystore.audit import bundling, entries, sequencing
from cloud_keystore.audit import journal as evidence
from cloud_keystore.audit.sequencing import Log
from cloud_keystore.cards import leases
from cloud_keystore.cards.external.heeding import Heeding
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.spares import Spares
from cloud_keystore.custody.backends import destroying
from cloud_keystore.custody.backends.starting import TokenKeys
from cloud_keystore.custody.sealing import rotation
from cloud_keystore.custody.sealing.holder import Holder
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import KeyBackendUnavailable, StorageUnavailable
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import STALLED_TIME
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations import sweeping
from cloud_keystore.operations.watching import Watching
from cloud_keystore.people import surveys
from cloud_keystore.people.rights import oidc_log_ins
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.ends import Ends
from cloud_keystore.run.presence import Presence
from cloud_keystore.storage import guesses, management_keys, passcodes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.past import removing

log = structlog.get_logger()

UPKEEP_SECONDS = 1.0

MOST_PORTIONS = 10  # of old rows that one process removes, or bundles, in a second


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The tasks of one process. Several processes can do the same tasks at the same time."""

    database: Database
    clock: Clock
    seal: Seal
    holder: Holder
    token: TokenKeys | None
    journal: Log
    sessions: UsingSessions
    watching: Watching
    ends: Ends
    budgets: Budgets
    publishing: Publishing
    heeding: Heeding
    presence: Presence
    spares: Spares
    issuing: Callable[[Wake], Issuing]
    keep_time: timedelta  # for rows of what is over
    survey_time: timedelta  # for feedback and answers

    def tasks(self, wake: Wake, wake_here: Wake) -> tuple[Callable[[], object], ...]:
        """The tasks of every second, independent of each other: if one fails, the others still
        run.
        """
        return (
            self._forget_retired,
            lambda: self.holder.see(self.seal),
            self._destroy,
            self.sessions.write_results,
            self.publishing.look,
            lambda: wake(self.heeding.look()),
            lambda: wake(self.sweep()),
            lambda: wake_here(self.watching.topics()),
            self.remove_old,
            self.remove_surveys,
            self.remove_returned,
            self.take_in,
            self.bundle_old,
            self.ends.look,
            self.budgets.tell,
            self.issuing(wake).go_on,
            self.spares.fill,
        )

    def sweep_at_start(self) -> None:
        """Sweep for the first time. If no replica shares the database, all uses of keys that have
        not ended are from before the start, and fail.
        """
        started = entries.about_keystore(Kind.KEYSTORE_STARTED, self.clock(), KEYSTORE)
        with self.database.write() as connection:
            evidence.append(connection, started)
        self._destroy()
        self.publishing.look()
        self.sweep(STALLED_TIME if self.database.is_shared else None)

    def sweep(
        self, stalled_time: timedelta | None = STALLED_TIME, ended: Collection[int] = ()
    ) -> set[str]:
        """Write down what has expired or stalled, and what has lost its process: one that has
        `ended`, or that is not present. Returns the topics of what changed.
        """
        now = self.clock()
        with self.database.read() as connection:
            gone = self.presence.gone(connection).union(ended)
            needed = sweeping.needs_sweep(connection, now, stalled_time, gone)
        changed: set[str] = set()
        if needed:
            with self.database.write() as connection:
                changed = sweeping.sweep(connection, now, stalled_time, gone)
                passcodes.drop_expired_proofs(connection, now)
                guesses.drop_old(connection, now)
                management_keys.drop_expired(connection, now)
        leases.end(self.database, None if stalled_time is None else gone, now)
        self.presence.forget(gone)
        return changed

    def remove_old(self) -> None:
        """Remove rows of what was over long ago, some in each transaction, so that others get their
        turns.
        """
        before = self.clock() - self.keep_time
        for _ in range(MOST_PORTIONS):
            with self.database.read() as connection:
                if not removing.is_due(connection, before):
                    return
            with self.database.write() as connection:
                removing.remove(connection, before)

    def remove_surveys(self) -> None:
        """Remove feedback and answers that are kept no longer, some in each transaction."""
        for _ in range(MOST_PORTIONS):
            if not surveys.remove_old(self.database, self.clock(), self.survey_time):
                return

    def remove_returned(self) -> None:
        """Remove codes of OpenID log-ins, some in each transaction, also when nobody else logs
        in.
        """
        for _ in range(MOST_PORTIONS):
            if not oidc_log_ins.remove_old(self.database, self.clock()):
                return

    def take_in(self) -> None:
        """Take new entries of the journal into its tree."""
        sequencing.take_in_all(self.database, self.journal, self.clock())

    def bundle_old(self) -> None:
        """Put entries of a journal from before there were bundles into some, as many in each
        transaction as others can wait for.
        """
        for _ in range(MOST_PORTIONS):
            if not bundling.catch_up(self.database):
                return

    def finish(self) -> None:
        """Write the last results, and take the last entries into the tree, before the process
        ends.
        """
        try:
            self.sessions.write_results()
            self.take_in()
        except StorageUnavailable:
            log.warning("the last results are lost, and the journal's last entries wait")

    def _forget_retired(self) -> None:
        if rotation.forget_retired(self.database, self.seal):
            log.warning("a sealing key was retired and is no longer used")

    def _destroy(self) -> None:
        if self.token is not None:
            try:
                destroying.sweep(self.database, self.token, self.clock())
                destroying.sweep_planned(self.database, self.token, self.clock())
            # The token's keys are destroyed when it is available again.
            except KeyBackendUnavailable as error:
                log.warning("the token was not swept", reason=str(error))


async def keep_up(
    upkeep: Upkeep,
    wake: Callable[[Iterable[str]], None],
    wake_here: Callable[[Iterable[str]], None],
) -> None:
    """Do what has to be done every second, until cancelled."""
    while True:
        await asyncio.sleep(UPKEEP_SECONDS)
        for task in upkeep.tasks(wake, wake_here):
            try:
                await asyncio.to_thread(task)
            # The next run can succeed; no decision depends on the upkeep.
            except Exception:
                log.exception("the upkeep failed")
