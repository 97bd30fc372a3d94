"""Two replicas on one PostgreSQL: asked at one, approved at the other, either killed at any time,
and the database gone for a while.
"""

from __future__ import annotations

import random
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from card_os.keys import Refusal
from cloud_keystore.model.journal import Kind
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.bench import families
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support.exports import audited
from support.keystore_process import Workstation, code
from support.polling import until
from support.postgres import Server
from support.replicas import Replicas, Ward

CUT_SECONDS = 10.0
OTHERS_GO_ON = 3.0
OTHERS = (6, 7)  # of eight who make changes; the rest are load at the replica that is stopped
STILL_SECONDS = 25.0  # far less than a minute


@pytest.fixture
def replicas(tmp_path: Path, postgresql: Server) -> Iterator[Replicas]:
    with Nursery(tmp_path / "logs") as nursery:
        yield Replicas(tmp_path, nursery, postgresql.new_database())


@pytest.fixture
def ward(replicas: Replicas) -> Ward:
    return replicas.meet()


def uses(replicas: Replicas) -> int:
    return len(replicas.journal(Kind.OPERATION_USED))


def test_asked_at_one_and_approved_at_the_other(replicas: Replicas, ward: Ward) -> None:
    decided = list[float]()

    def decide(number: str, operation_id: str) -> None:
        time.sleep(0.5)  # the reader waits at the first
        assert ward.approve(number, operation_id, replica=1) == "approved"
        decided.append(time.monotonic())

    def woken_after() -> float:
        assert isinstance(ward.sign(decide, replica=0), bytes)
        return time.monotonic() - decided[-1]

    # It is woken, and does not find out by looking; a busy computer is slow at times.
    assert any(woken_after() < 1.0 for _ in range(5))
    assert uses(replicas) == len(decided)


@pytest.mark.parametrize("after", [False, True], ids=["before the approval", "after it"])
def test_a_replica_is_killed_while_somebody_waits(
    replicas: Replicas, ward: Ward, after: bool
) -> None:
    """The reader goes on with the replica that is left, whichever it had been talking to."""
    for victim in (0, 1):

        def decide(number: str, operation_id: str, victim: int = victim) -> None:
            if not after:
                replicas.kill(victim)
            assert ward.approve(number, operation_id) == "approved"
            if after:
                replicas.kill(victim)

        signed = ward.sign(decide)
        assert isinstance(signed, bytes) or (after and signed is Refusal.UNAVAILABLE)
        replicas.start(victim)
        assert uses(replicas) <= victim + 1
    assert isinstance(ward.sign(lambda *asked: ignore(ward.approve(*asked))), bytes)


def test_the_database_is_away_for_ten_seconds(
    replicas: Replicas, ward: Ward, postgresql: Server
) -> None:
    def decide(number: str, operation_id: str) -> None:
        postgresql.stop("immediate")
        time.sleep(CUT_SECONDS)
        postgresql.start()
        assert repeatedly(lambda: ward.approve(number, operation_id)) == "approved"

    assert isinstance(ward.sign(decide), bytes)
    assert uses(replicas) == 1


def test_the_database_is_away_right_after_the_approval(
    replicas: Replicas, ward: Ward, postgresql: Server
) -> None:
    def decide(number: str, operation_id: str) -> None:
        assert ward.approve(number, operation_id) == "approved"
        postgresql.stop("immediate")
        time.sleep(1.0)
        postgresql.start()

    signed = ward.sign(decide)
    assert isinstance(signed, bytes) or signed is Refusal.UNAVAILABLE
    assert uses(replicas) == 1 or signed is Refusal.UNAVAILABLE
    assert isinstance(ward.sign(lambda *asked: ignore(ward.approve(*asked))), bytes)


def test_replicas_come_and_go_while_people_sign(replicas: Replicas, ward: Ward) -> None:
    """A rolling restart and a crash among signatures: each approval gives one signature."""
    chance = random.Random(4)
    signed = 0
    for turn in range(8):

        def decide(number: str, operation_id: str, turn: int = turn) -> None:
            victim = chance.randrange(2)
            if turn % 2:
                replicas.kill(victim)
            else:
                replicas.nursery[("first", "second")[victim]].stop()
            replicas.start(victim)
            repeatedly(lambda: ward.approve(number, operation_id))

        signed += isinstance(ward.sign(decide), bytes)
    assert signed == 8
    assert uses(replicas) == 8
    for name in ("first", "second"):  # all entries get their places
        replicas.nursery[name].kill(signal.SIGTERM)
        assert replicas.nursery[name].wait() == 0
    result = audited(replicas.url)
    assert result.findings == []
    assert (result.counts.uses, result.counts.failed) == (8, 0)


def test_a_stopped_replica_stops_no_other(replicas: Replicas, ward: Ward) -> None:
    """SIGSTOP of one of two replicas under load stopped the other one for a minute, twice of two
    tries: it held the lock of writers.
    """
    done, made = threading.Event(), Counter[int]()  # changes, by who makes them
    refused = Counter[tuple[int, grpc.StatusCode]]()

    def write(who: int) -> None:
        """Make changes until told to stop."""
        with identity.channel(replicas.at(ward.pc, int(who in OTHERS))) as channel:
            stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
            while not done.is_set():
                try:
                    Workstation(stub, ward.serial).proof()
                    made[who] += 1
                except grpc.RpcError as error:
                    refused[who, code(error)] += 1

    def others_go_on_after() -> float:
        """Seconds for which the others stand still while the first is stopped."""
        time.sleep(0.5)
        families.send(replicas.nursery["first"].pid, signal.SIGSTOP)
        try:
            stopped, before = time.monotonic(), made.copy()
            # The first change of each may have been made before.
            until(lambda: all(made[who] > before[who] + 1 for who in OTHERS), STILL_SECONDS)
            return time.monotonic() - stopped
        finally:
            families.send(replicas.nursery["first"].pid, signal.SIGCONT)

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write, who) for who in range(8)]
        try:
            took = [others_go_on_after() for _ in range(3)]
            assert statistics.median(took) < OTHERS_GO_ON  # a busy computer is slow at times
        finally:
            done.set()
            print(f"made: {made}, refused: {refused}")  # shown if it fails
        for each in writing:
            each.result()
    assert isinstance(ward.sign(lambda *asked: ignore(ward.approve(*asked)), replica=0), bytes)


def ignore(_: object) -> None:
    pass


def repeatedly(call: Callable[[], str], seconds: float = 60.0) -> str:
    """What a person does whose phone says that the keystore is out of reach: try again."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
