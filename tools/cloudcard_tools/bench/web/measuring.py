"""Measures the pages of a real keystore of many people, over TLS: lists, search, the first load of
the authenticator, rings and approvals while thousands of pages are open, and their memory.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloudcard.registry.v1 import identities_pb2
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.registry.v1.importing_pb2_grpc import ImportServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.bench import timing
from cloudcard_tools.bench.certificates import HOST, own_certificate
from cloudcard_tools.bench.families import family, resident_mib
from cloudcard_tools.bench.registry import population
from cloudcard_tools.bench.registry.beside import Beside
from cloudcard_tools.bench.town import Town
from cloudcard_tools.bench.web.approving import Desk
from cloudcard_tools.bench.web.browser import Browser
from cloudcard_tools.bench.web.crowd import allow_files, waiting
from cloudcard_tools.bench.web.device import PageDevice
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.ra.sheets.importing import PORTION, SECONDS
from cloudcard_tools.shared.caller import service
from cloudcard_tools.shared.processes import Nursery

SEED = 7
PAGE_SIZE = 1000
PROFILE, OWN_PROFILE = "v2", "p256"
UNFINISHED = 0.05  # of all people, who have no phone yet
# Two entries of the journal for each person
LIMITS = (
    *("--limit", "journal-operator=1000/1000000000"),
    *("--limit", "web=1000000/1000000"),
)
GOALS: Mapping[str, float] = {
    "list_p95_ms": 100,
    "search_p95_ms": 100,
    "ring_p95_ms": 1000,
    "tap_to_signature_p50_ms": 150,
    "first_load_kb": 150,
    "streams_rss_mib": 1024,
}
# Lists below /ra/; those of people, begin from somebody too
LISTS = (
    *(f"people?sort={way}{column}" for column in ("uuid12", "cards") for way in ("", "-")),
    *("people", "people?sort=-email", "people?sort=state", "people?sort=profile"),
    *("people?sort=-devices", "people?sort=created", "people?state=pending", "people?state=closed"),
    *("expiring", "mail", "alerts", "alerts?which=all", "requests", "report", "unfinished"),
    *("unfinished?sort=-since", "workstations", "feedback", "scores", "journal", "organisations"),
    *("domains", "roles", "grants", "policies", "profiles"),
)
PEOPLE = "/ra/people"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured: figures by the names of their goals, and each list by its address."""

    measured: Mapping[str, float]
    streams: int
    lists: Mapping[str, float]  # p95 in ms
    machine: str

    def facts(self) -> dict[str, int | float]:
        """The figures, for programs."""
        rss = "streams_rss_mib"
        without = {name: value for name, value in self.measured.items() if name != rss}
        return {**without, "streams": self.streams, rss: self.measured[rss]}


@dataclass(frozen=True, slots=True)
class Task:
    """How much is measured."""

    users: int
    address: str  # of the database; empty: SQLite
    calls: int  # of each list
    streams: int

    @property
    def phones(self) -> int:
        """How many people have a phone."""
        return max(self.streams, round(self.users * (1 - UNFINISHED)))


def measure(folder: Path, task: Task, done: Callable[[int], None]) -> Figures:
    """Fill a new keystore, and measure; `done` is told how many people, cards, phones and streams
    were added.
    """
    allow_files(task.streams)
    (port,) = free_ports(1)
    trust = certify(folder)
    options = (
        *LIMITS,
        *("--web", f"{HOST}:{port}"),
        *("--web-certificate", str(folder / "web.pem"), "--web-key", str(folder / "web.key")),
        *(("--database", task.address) if task.address else ()),
    )
    with Nursery(folder / "logs") as nursery:
        town = Town(folder, nursery, options).open()
        with service(town.operator, ImportServiceStub) as stub:
            for start in range(0, task.users, PORTION):
                some = range(start, min(start + PORTION, task.users))
                population.add(stub, some)
                done(len(some))
        beside = Beside(town.data(0), task.address)
        beside.give_cards(town.card(PROFILE), done)
        phones = beside.give_phones(town.phone.id, task.phones, done)
        with closing(Browser(port, trust)) as browser, closing(Browser(port, trust)) as phone:
            lists = _lists(town, browser, task.calls)
            first_load = phone.first_load()
            device = PageDevice.of(phone, town.phone)
            before = _memory(town)
            with waiting(device, phones[: task.streams], done) as crowd:
                rings, taps = _approvals(town, device, task.calls)
                after = _memory(town)
                streams = crowd.still_open()
    grown = max(after, key=lambda pid: after[pid] - before.get(pid, 0.0))
    measured = {
        "list_p95_ms": max(value for name, value in lists.items() if "q=" not in name),
        "search_p95_ms": max(value for name, value in lists.items() if "q=" in name),
        "ring_p95_ms": _p95([round(each * 1e9) for each in rings]),
        "tap_to_signature_p50_ms": round(median(taps) * 1000, 2),
        "first_load_kb": round(first_load / 1000, 1),
        "streams_rss_mib": round(after[grown], 1),
    }
    return Figures(measured, streams, lists, timing.machine())


def certify(folder: Path) -> ssl.SSLContext:
    """Make a certificate of the pages. Returns what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = own_certificate(key).public_bytes(Encoding.PEM)
    (folder / "web.pem").write_bytes(pem)
    (folder / "web.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return ssl.create_default_context(cadata=pem.decode())


def _lists(town: Town, browser: Browser, calls: int) -> dict[str, float]:
    """How long 95 of 100 calls of each list take at most, in ms."""
    chosen = random.Random(SEED)  # noqa: S311 (no secret)
    with service(town.operator, IdentityServiceStub) as identities:
        made = identities.CreateVisitCode(identities_pb2.CreateVisitCodeRequest(), timeout=SECONDS)
    browser.log_in("/ra/log-in", made.code)
    with service(town.operator, PeopleServiceStub) as people:
        request = pb.ListUsersRequest(page_size=PAGE_SIZE)
        first = next(iter(people.ListUsers(request, timeout=SECONDS)))
    ids = [each.id for each in first.users]

    def searched() -> str:
        text = chosen.choice((f"{chosen.randrange(100_000):05}", "o%27brien-0", "zoe", "byron"))
        return f"{PEOPLE}?q={text}"

    asked: dict[str, Callable[[], str]] = {
        **{f"/ra/{each}": partial(str, f"/ra/{each}") for each in LISTS},
        f"{PEOPLE}?after=": lambda: f"{PEOPLE}?after={chosen.choice(ids)}",
        f"{PEOPLE}/": lambda: f"{PEOPLE}/{chosen.choice(ids)}",
        f"{PEOPLE}?q=": searched,
    }
    return {
        name: _p95(timing.sample(lambda at=at: browser.page(at()), calls))  # type: ignore[misc]
        for name, at in asked.items()
    }


def _approvals(town: Town, device: PageDevice, count: int) -> tuple[list[float], list[float]]:
    """The seconds of rings, and of approvals."""
    serial = town.card(OWN_PROFILE)
    proof = town.passcode_proof(serial)
    with service(town.workstation, WorkstationServiceStub) as stub:
        desk = Desk(stub, device, serial, proof)
        with desk.listening():
            found = [desk.approve() for _ in range(count)]
    return [ring for ring, _ in found], [tap for _, tap in found]


def _memory(town: Town) -> dict[int, float]:
    """The memory of each process of the keystore, in MiB."""
    return {pid: resident_mib(pid) for pid in family(town.keystores[0].pid)}


def _p95(durations: list[int]) -> float:
    return round(sorted(durations)[ceil(0.95 * len(durations)) - 1] / 1e6, 2)
