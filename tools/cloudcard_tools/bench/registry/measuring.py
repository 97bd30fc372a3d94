"""Measures a real keystore of many people over the network: import, search, pages, reports, the
journal, issuing, and the memory of an export.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.audit.v1 import audit_pb2
from cloudcard.audit.v1.audit_pb2_grpc import AuditServiceStub
from cloudcard.registry.v1 import cards_pb2, identities_pb2
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.registry.v1.importing_pb2_grpc import ImportServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.bench import timing
from cloudcard_tools.bench.families import family, resident_mib
from cloudcard_tools.bench.registry import population
from cloudcard_tools.bench.registry.beside import Beside
from cloudcard_tools.bench.town import Town
from cloudcard_tools.enrolment import spending
from cloudcard_tools.ra.sheets.importing import PORTION, SECONDS
from cloudcard_tools.shared.caller import service
from cloudcard_tools.shared.identity import Identity
from cloudcard_tools.shared.processes import Nursery

TIMED_ROWS = 10_000
PAGE = 50
DAYS = 90
SEED = 7
LOOK_SECONDS = 0.05  # between two looks at the memory
# Two entries of the journal for each person
LIMIT = ("--limit", "journal-operator=1000/1000000000")
GOALS: Mapping[str, float] = {
    "import_10000_s": 30,
    "search_p95_ms": 100,
    "page_p95_ms": 100,
    "expiring_p95_ms": 100,
    "log_p95_ms": 100,
    "issue_p95_s": 1,
    "export_rss_mib": 200,
}
PROFILE = "v2"
KEYS = 4  # of such a card, all of one kind
ISSUED_OF = 5  # calls of other kinds, for each card that is issued


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured: figures by the names of their goals, and of how many people and cards."""

    users: int
    cards: int
    measured: Mapping[str, float]
    machine: str

    def facts(self) -> dict[str, int | float | str]:
        """All of it, for programs."""
        return {**self.measured, "users": self.users, "cards": self.cards, "machine": self.machine}


def measure(
    folder: Path, users: int, address: str, calls: int, done: Callable[[int], None]
) -> Figures:
    """Add so many people to a new keystore, give each a card, and measure; `done` is told how many
    people and cards were added.
    """
    issued = calls // ISSUED_OF
    options = (
        *LIMIT,
        *("--spare-keys", str(KEYS * issued)),
        *(("--database", address) if address else ()),
    )
    with Nursery(folder / "logs") as nursery:
        town = Town(folder, nursery, options).open()
        timed = min(TIMED_ROWS, users)
        with service(town.operator, ImportServiceStub) as stub:
            for start in range(0, users - timed, PORTION):
                some = range(start, min(start + PORTION, users - timed))
                population.add(stub, some)
                done(len(some))
            begun = time.perf_counter()
            for dry_run in (True, False):  # as the command does
                for start in range(users - timed, users, PORTION):
                    some = range(start, min(start + PORTION, users))
                    population.add(stub, some, dry_run=dry_run)
                    done(0 if dry_run else len(some))
            seconds = (time.perf_counter() - begun) * TIMED_ROWS / timed
        beside = Beside(town.data(0), address)
        cards = beside.give_cards(town.card(PROFILE), done)
        beside.make_spare_keys(KEYS * issued)
        measured = {
            "import_10000_s": round(seconds, 2),
            **_times(town, users, calls),
            "issue_p95_s": round(_issue(town, issued) / 1000, 3),
            "export_rss_mib": round(_memory(town, folder), 1),
        }
    return Figures(users, cards + issued, measured, timing.machine())


def _times(town: Town, users: int, calls: int) -> dict[str, float]:
    """How long 95 of 100 calls take at most, in ms."""
    chosen = random.Random(SEED)  # noqa: S311 (no secret)
    auditor = _auditor(town)
    with (
        service(town.operator, PeopleServiceStub) as stub,
        service(auditor, AuditServiceStub) as log,
    ):
        ids = [
            each.id
            for page in stub.ListUsers(pb.ListUsersRequest(page_size=1000))
            for each in page.users
        ]

        def search() -> None:
            text = chosen.choice((f"{chosen.randrange(users):05}", "o'brien-0", "żółć", "zoe"))
            stub.SearchUsers(pb.SearchUsersRequest(text=text), timeout=SECONDS)

        def page() -> None:
            request = pb.ListUsersRequest(page_size=PAGE, after=chosen.choice(ids))
            list(stub.ListUsers(request, timeout=SECONDS))

        def expiring() -> None:
            request = pb.ListExpiringRequest(days=DAYS, page_size=PAGE)
            list(stub.ListExpiring(request, timeout=SECONDS))

        def entries() -> None:
            request = audit_pb2.SearchEntriesRequest(
                page_size=PAGE, user_id=chosen.choice(("", chosen.choice(ids)))
            )
            log.SearchEntries(request, timeout=SECONDS)

        return {
            f"{name}_p95_ms": _p95(timing.sample(call, calls))
            for name, call in (
                ("search", search),
                ("page", page),
                ("expiring", expiring),
                ("log", entries),
            )
        }


def _issue(town: Town, cards: int) -> float:
    """How long 95 of 100 cards take at most, in ms."""
    with service(town.operator, PeopleServiceStub) as stub:
        request = pb.ListUsersRequest(page_size=cards)
        users = iter(next(iter(stub.ListUsers(request, timeout=SECONDS))).users)

    with service(town.operator, CardServiceStub) as stub_of_cards:

        def issue() -> None:
            asked = cards_pb2.IssueCardRequest(
                request_id=os.urandom(REQUEST_ID_BYTES), user_id=next(users).id, profile=PROFILE
            )
            stub_of_cards.IssueCard(asked, timeout=SECONDS)

        return _p95(timing.sample(issue, cards))


def _p95(durations: list[int]) -> float:
    return round(sorted(durations)[ceil(0.95 * len(durations)) - 1] / 1e6, 2)


def _auditor(town: Town) -> Identity:
    asked = identities_pb2.CreateAuditorRequest(display_name="auditor")
    with service(town.operator, IdentityServiceStub) as stub:
        token = stub.CreateAuditor(asked).token.text
    return spending.enrol(token, town.folder / "auditor", "auditor")


def _memory(town: Town, folder: Path) -> float:
    """By how many MiB the memory of the keystore grows while all people are exported, and the whole
    memory of the command that does so.
    """
    pid = town.keystores[0].pid
    before = _all_mib(pid)
    command = (
        *(sys.executable, "-m", "cloudcard_tools", "ra", "export", "users"),
        *("-o", str(folder / "users.csv"), "--identity", str(town.operator.folder)),
    )
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 (our own command)
    with _watched(pid, child) as most:
        if child.wait() != 0:
            raise RuntimeError("the export has failed")
    return max(most) - before


@contextmanager
def _watched(pid: int, child: subprocess.Popen[bytes]) -> Iterator[list[float]]:
    """What the keystore and a command have together, look by look, in MiB."""
    looks: list[float] = [_all_mib(pid)]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            looks.append(_all_mib(pid) + resident_mib(child.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield looks
    finally:
        ended.set()
        thread.join()


def _all_mib(pid: int) -> float:
    return sum(map(resident_mib, family(pid)))
