"""What is asked of a keystore, and on what it runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Signatures of a day, and how they are asked for."""

    per_day: float
    peak: float = 4.0  # the busiest hour, times the day's mean
    streamed: bool = True  # over streams, as readers ask; else each by a call of its own
    batch: int = 250  # signatures under one call
    batched: float = 0.0  # the share of the signatures that come in batches
    uses: float = 200.0  # signatures of a session
    hours: float = 8.0  # for which a session stays open

    def of_day(self, per_day: float) -> Demand:
        """The same with more or fewer signatures."""
        return replace(self, per_day=per_day)

    @property
    def per_second(self) -> float:
        """Signatures in a second of the busiest hour."""
        return self.per_day * self.peak / DAY_SECONDS

    @property
    def calls(self) -> float:
        """Calls in such a second."""
        return self.per_second * (1 - self.batched + self.batched / self.batch)

    @property
    def batches(self) -> float:
        """The share of the calls that are batches."""
        return self.per_second * self.batched / self.batch / self.calls

    @property
    def openings(self) -> float:
        """Sessions that are opened in such a second."""
        return self.per_second / self.uses

    @property
    def open_sessions(self) -> float:
        """Sessions that are open if all of the day were like its busiest hour."""
        return self.openings * self.hours * HOUR_SECONDS


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """The computers. The smaller of two has fewer partitions, then fewer replicas, then fewer
    cores.
    """

    partitions: int  # shares of the cards, each with a database and replicas of its own
    replicas: int  # of a partition, each on a computer of its own
    cores: int  # of such a computer
    database_cores: int = 0  # of a partition's PostgreSQL; 0 is SQLite, on the replica's computer

    @property
    def is_shared(self) -> bool:
        """Whether replicas share the database."""
        return self.database_cores > 0

    @property
    def workers(self) -> int:
        """The processes of a replica that face the network, each with one of custody. With SQLite,
        which has one writer at a time, more of them would only make groups smaller.
        """
        return self.cores if self.is_shared else 1

    @property
    def all_cores(self) -> int:
        """The cores of all computers."""
        return self.partitions * (self.replicas * self.cores + self.database_cores)
