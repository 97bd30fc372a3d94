"""A keystore in simulated time, as the code of cloud_keystore goes about a use of a session:

a front takes the call; its gatherer (rpc/gathering.py) sends one group at a time to custody, which
records the group in one transaction (custody/use/using_sessions.py), commits, and then uses the
keys, on all processors at once. Each second every process of custody gives new entries of the
journal their places (audit/sequencing.py), and approvals of new sessions change the database too;
for both, the writers' lock is held alone (storage/databases).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from cloud_keystore.audit.sequencing import MOST_AT_ONCE
from cloud_keystore.rpc.gathering import MOST_TOGETHER
from cloud_keystore.run.upkeep import UPKEEP_SECONDS
from cloudcard_tools.bench.scale.costs import Costs
from cloudcard_tools.bench.scale.queues import Clock, Cores, Disk, Lock, Thread

# Of a session that is opened: transactions that hold the writers' lock alone (a try is spent, the
# passcode is right, it is asked for, approved and opened), and entries of the journal
TRANSACTIONS, ENTRIES = 5, 4
# Round trips to PostgreSQL while the lock is held: of a group, however many uses it has; of a
# transaction of an opening; of the sequencer
GROUP_TRIPS, OPENING_TRIPS, SEQUENCER_TRIPS = 6, 11, 17
SLICE_US = 1000.0  # of a processor, after which the system gives others their turns
FRONT, BORDER, CUSTODY, KEYS = "front", "border", "custody", "keys"  # whose work it is
DATABASE, PASSCODES = "database", "passcodes"
SEQUENCER, APPROVALS, USES = "sequencer", "approvals", "uses"  # who has the lock alone

Answered: TypeAlias = Callable[["Use"], None]


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a session."""

    began: float
    inputs: int = 1
    streamed: bool = False


@dataclass(slots=True)
class Partition:
    """A database, with what waits for it."""

    clock: Clock
    costs: Costs
    database: Cores | None  # None: SQLite, on the computer that uses it
    trip_ms: float = 0.0  # to PostgreSQL and back
    lock: Lock = field(init=False)
    disk: Disk = field(init=False)
    unplaced: int = 0  # entries of the journal that have no place in the tree yet

    def __post_init__(self) -> None:
        self.lock = Lock(self.clock)
        self.disk = Disk(self.clock, self.costs.commit_ms / 1e3)

    def begin_uses(self, then: Callable[[], None]) -> None:
        """Begin the transaction of a group; SQLite has one writer at a time."""
        if self.database is None:
            self.lock.take(USES, then)
        else:
            self.lock.share(then)

    def work(self, here: Cores, us: float, trips: int, then: Callable[[], None]) -> None:
        """Have the database work, at its own computer or here."""
        if self.database is None:
            here.work(DATABASE, us / 1e6, then)
            return
        asked = partial(self.database.work, DATABASE, us / 1e6, then)
        self.clock.after(trips * self.trip_ms / 1e3, asked)

    def commit(self, then: Callable[[], None]) -> None:
        """End a transaction."""

        def ended() -> None:
            self.lock.leave()
            then()

        self.disk.commit(ended)


@dataclass(slots=True)
class Worker:
    """A process that faces the network, and the process of custody that it asks."""

    partition: Partition
    cores: Cores
    answered: Answered
    front: Thread = field(init=False)
    _gathered: deque[Use] = field(default_factory=deque)
    _serving: bool = False

    def __post_init__(self) -> None:
        self.front = Thread(self.cores, FRONT)

    def ask(self, use: Use) -> None:
        """Take a use."""
        costs = self.partition.costs
        us = costs.stream_us if use.streamed else costs.call_us
        self.front.work(us / 1e6, partial(self._gather, use))

    def _gather(self, use: Use) -> None:
        self._gathered.append(use)
        if not self._serving:
            self._serve()

    def _serve(self) -> None:
        count = min(MOST_TOGETHER, len(self._gathered))
        self._serving = count > 0
        if self._serving:
            group = deque(self._gathered.popleft() for _ in range(count))
            begin = partial(self.partition.begin_uses, partial(self._record, group))
            self.cores.work(BORDER, self.partition.costs.border_us * count / 1e6, begin)

    def _record(self, group: deque[Use]) -> None:
        costs = self.partition.costs
        more = sum(use.inputs for use in group if use.inputs > 1)
        us = costs.group_us + costs.custody_us * len(group) + costs.input_us * more
        self.cores.work(CUSTODY, us / 1e6, partial(self._store, group))

    def _store(self, group: deque[Use]) -> None:
        us = self.partition.costs.database_us * len(group)
        commit = partial(self.partition.commit, partial(self._recorded, group))
        self.partition.work(self.cores, us, GROUP_TRIPS, commit)

    def _recorded(self, group: deque[Use]) -> None:
        self.partition.unplaced += len(group)
        self._use_keys(group)

    def _use_keys(self, group: deque[Use]) -> None:
        """Use the keys, as many at once as there are processors."""
        left = [len(group)]

        def used(use: Use) -> None:
            self.answered(use)
            left[0] -= 1
            if group:
                self._use_key(group.popleft(), used)
            elif not left[0]:
                self._serve()

        for _ in range(min(len(group), self.cores.count)):
            self._use_key(group.popleft(), used)

    def _use_key(self, use: Use, then: Answered) -> None:
        """Use a key; the inputs of a batch are shared among the processors too."""
        parts = min(use.inputs, self.cores.count)
        left = [parts]

        def used() -> None:
            left[0] -= 1
            if not left[0]:
                then(use)

        for _ in range(parts):
            us = self.partition.costs.key_us * use.inputs / parts
            self.cores.work(KEYS, us / 1e6, used)

    def open_session(self) -> None:
        """Take a passcode and an approval, and open a session."""
        self._hash(self.partition.costs.passcode_us)

    def _hash(self, left_us: float) -> None:
        """Compare a passcode; the system lets others work in between."""
        us = min(left_us, SLICE_US)
        left = left_us - us
        following = partial(self._hash, left) if left else partial(self._change, TRANSACTIONS)
        self.cores.work(PASSCODES, us / 1e6, following)

    def _change(self, left: int) -> None:
        if not left:
            self.partition.unplaced += ENTRIES
            return
        partition = self.partition
        us = partition.costs.opening_us / TRANSACTIONS
        commit = partial(partition.commit, partial(self._change, left - 1))
        work = partial(partition.work, self.cores, us, OPENING_TRIPS, commit)
        partition.lock.take(APPROVALS, work)

    def keep_up(self) -> None:
        """Give entries their places: as many as there are, each second."""
        if self.partition.unplaced:
            self.partition.lock.take(SEQUENCER, self._place)
        else:
            self._rest()

    def _place(self) -> None:
        partition = self.partition
        count = min(MOST_AT_ONCE, partition.unplaced)
        partition.unplaced -= count
        us = partition.costs.entry_us * count
        following = self.keep_up if count == MOST_AT_ONCE else self._rest
        commit = partial(partition.commit, following)
        partition.work(self.cores, us, SEQUENCER_TRIPS, commit)

    def _rest(self) -> None:
        self.partition.clock.after(UPKEEP_SECONDS, self.keep_up)
