"""The pool of a token's processes, with processes that only play their part."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import TypeAlias

import pytest

from cloud_keystore.custody.backends import pkcs11, pkcs11_worker
from cloud_keystore.custody.backends.pkcs11 import Pool, _Worker, _WorkerDied
from cloud_keystore.custody.backends.pkcs11_worker import (
    DONE,
    GONE,
    NO_KEY,
    NO_LIBRARY,
    PIN,
    REFUSED,
    Request,
    TokenAddress,
)
from cloud_keystore.model.errors import KeyBackendUnavailable, KeyNotFound, MalformedKeyInput

ADDRESS = TokenAddress("/lib/token.so", "cards", "cloudcard 1", "648219")
READY = (DONE, b"")
DIED = _WorkerDied()
LATE = KeyBackendUnavailable("the token does not answer in time: try again")


Answer: TypeAlias = "tuple[str, object] | Exception | Callable[[], tuple[str, object]]"


@dataclass(eq=False)
class Player:
    """A process that answers from a list; an error in it is raised, a function called."""

    answers: list[Answer]
    pid: int
    asked: list[Request] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    stopped: int = 0

    def send(self, request: Request) -> None:
        self.asked.append(request)

    def receive(self, seconds: float) -> tuple[str, object]:
        self.waited.append(seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def stop(self) -> None:
        self.stopped += 1


@dataclass
class Cast:
    """Starts one player after another."""

    players: list[Player]
    started: int = 0

    def start(self, address: TokenAddress) -> Player:
        assert address == ADDRESS
        self.started += 1
        return self.players[self.started - 1]


Casting = Callable[..., Cast]


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> Casting:
    """Let processes be started that give these answers."""

    def choose(*answers: list[Answer]) -> Cast:
        made = Cast([Player(each, pid) for pid, each in enumerate(answers, start=101)])
        monkeypatch.setattr(pkcs11, "_Worker", made)
        return made

    return choose


def test_the_first_process_is_started_at_once_and_taken_first(cast: Casting) -> None:
    acting = cast([READY, (DONE, b"1"), (DONE, b"2")])
    pool = Pool.start(ADDRESS, 2)
    assert pool.process_ids == [101]
    assert pool.call("destroy", b"handle") == b"1"
    assert pool.call("handles") == b"2"
    assert acting.started == 1
    (player,) = acting.players
    assert player.asked == [("destroy", (b"handle",)), ("handles", ())]
    assert player.stopped == 0


def test_as_many_processes_as_the_pool_has(cast: Casting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11, "QUEUE_SECONDS", 0.001)

    def call_meanwhile() -> tuple[str, object]:
        return DONE, pool.call("handles")

    def call_once_too_often() -> tuple[str, object]:
        with pytest.raises(KeyBackendUnavailable, match="the token is busy") as refusal:
            pool.call("handles")
        assert refusal.value.__cause__ is None
        return DONE, b"2"

    acting = cast([READY, call_meanwhile, (DONE, b"1")], [READY, call_once_too_often])
    pool = Pool.start(ADDRESS, 2)
    assert pool.call("handles") == b"2"
    assert sorted(pool.process_ids) == [101, 102]
    assert acting.started == 2


def test_how_long_it_waits(cast: Casting) -> None:
    (player,) = cast([READY, (DONE, b""), (DONE, [])]).players
    pool = Pool.start(ADDRESS, 1)
    pool.call("make", b"", again=False)
    pool.call("use")
    assert player.waited == [pkcs11.START_SECONDS, pkcs11.MAKE_SECONDS, pkcs11.CALL_SECONDS]


def test_a_process_that_died_is_replaced_and_asked_again(cast: Casting) -> None:
    acting = cast([READY, DIED], [READY, (DONE, [b"signature"])])
    pool = Pool.start(ADDRESS, 1)
    assert pool.call("use", b"handle") == [b"signature"]
    assert pool.process_ids == [102]
    assert [player.asked for player in acting.players] == [[("use", (b"handle",))]] * 2
    assert [player.stopped for player in acting.players] == [1, 0]


def test_what_must_not_be_done_twice_is_not_asked_again(cast: Casting) -> None:
    acting = cast([READY, DIED], [READY, (DONE, b"der")])
    pool = Pool.start(ADDRESS, 1)
    with pytest.raises(KeyBackendUnavailable, match="process ended: try again") as refusal:
        pool.call("make", b"handle", again=False)
    assert refusal.value.__cause__ is None
    assert (acting.started, pool.process_ids) == (1, [])
    assert acting.players[0].stopped == 1
    assert pool.call("make", b"handle", again=False) == b"der"  # by a new one


def test_two_that_died_are_enough(cast: Casting) -> None:
    acting = cast([READY, DIED], [READY, DIED], [READY, (DONE, b"")])
    pool = Pool.start(ADDRESS, 1)
    with pytest.raises(KeyBackendUnavailable, match="ended twice"):
        pool.call("use")
    assert [player.stopped for player in acting.players] == [1, 1, 0]
    assert pool.process_ids == []
    assert pool.call("use") == b""


def test_one_that_is_late_is_stopped_and_not_asked_again(cast: Casting) -> None:
    acting = cast([READY, LATE], [READY, (DONE, b"")])
    pool = Pool.start(ADDRESS, 1)
    with pytest.raises(KeyBackendUnavailable, match="in time"):
        pool.call("use")
    assert (acting.started, acting.players[0].stopped, pool.process_ids) == (1, 1, [])
    assert pool.call("use") == b""


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((REFUSED, "DataInvalid"), MalformedKeyInput, r"refuses the input \(DataInvalid\)"),
        ((NO_KEY, ""), KeyNotFound, "does not have the key"),
    ],
)
def test_a_process_that_refuses_goes_on(
    cast: Casting, answer: tuple[str, str], error: type[Exception], said: str
) -> None:
    acting = cast([READY, answer, (DONE, b"")])
    pool = Pool.start(ADDRESS, 1)
    with pytest.raises(error, match=said):
        pool.call("use")
    assert pool.process_ids == [101]
    assert pool.call("use") == b""
    assert acting.players[0].stopped == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((GONE, "DeviceRemoved"), r"does not answer \(DeviceRemoved\): try again"),
        ((DONE, "a text"), "does not answer"),
        ((DONE, None), "something else"),
        ((REFUSED, b"bytes"), "something else"),
    ],
)
def test_a_process_that_cannot_go_on_is_stopped(
    cast: Casting, answer: tuple[str, object], said: str
) -> None:
    acting = cast([READY, answer])
    pool = Pool.start(ADDRESS, 1)
    with pytest.raises(KeyBackendUnavailable, match=said):
        pool.call("use")
    assert (acting.players[0].stopped, pool.process_ids) == (1, [])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (DIED, r"token 'cards' of /lib/token.so is not there \(its process ended at once\)"),
        ((GONE, "NoSuchToken"), r"is not there \(NoSuchToken\): connect it, or .*--hsm-token"),
        ((GONE, b"junk"), r"is not there \(\)"),
        ((NO_LIBRARY, "RuntimeError"), r"/lib/token.so cannot be loaded \(RuntimeError\)"),
        (LATE, "in time"),
    ],
)
def test_a_process_that_does_not_log_in_is_stopped(
    cast: Casting, answer: tuple[str, object] | Exception, said: str
) -> None:
    acting = cast([answer], [READY, (DONE, b"")])
    pool = Pool(ADDRESS, 1)
    with pytest.raises(KeyBackendUnavailable, match=said):
        pool.call("use")
    assert (acting.players[0].stopped, pool.process_ids) == (1, [])
    assert pool.call("use") == b""  # it is there again


def test_a_pin_that_was_refused_is_never_tried_again(cast: Casting) -> None:
    acting = cast([(PIN, "PinIncorrect")], [READY])
    pool = Pool(ADDRESS, 2)
    for _ in range(3):
        with pytest.raises(KeyBackendUnavailable, match=r"refuses the PIN \(PinIncorrect\)"):
            pool.call("use")
    assert (acting.started, acting.players[0].stopped) == (1, 1)


def test_a_pool_that_is_closed_stops_its_processes_and_starts_none(cast: Casting) -> None:
    def call_and_close() -> tuple[str, object]:
        assert pool.call("use") == b"2"
        pool.close()
        return DONE, b"1"

    acting = cast([READY, call_and_close, DIED], [READY, (DONE, b"2")], [READY])
    pool = Pool.start(ADDRESS, 3)
    assert pool.call("use") == b"1"  # it was busy, and is not interrupted
    assert [player.stopped for player in acting.players] == [0, 1, 0]
    with pytest.raises(KeyBackendUnavailable, match="the keystore is stopping"):
        pool.call("use")
    assert acting.started == 2


@dataclass
class Process:
    """What the pool knows of a process."""

    pid: int | None = 4711
    done: list[str] = field(default_factory=list)

    def kill(self) -> None:
        self.done.append("kill")

    def join(self) -> None:
        self.done.append("join")


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_request_and_its_answer(ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends
    worker = _Worker(ours, Process())  # type: ignore[arg-type]
    worker.send(("use", (b"handle",)))
    assert theirs.recv() == ("use", (b"handle",))
    theirs.send(READY)
    assert worker.receive(0.0) == READY
    assert worker.pid == 4711
    with pytest.raises(KeyBackendUnavailable, match="in time"):
        worker.receive(0.001)


def test_the_other_end_is_closed(ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends
    worker = _Worker(ours, Process(None))  # type: ignore[arg-type]
    theirs.close()
    with pytest.raises(_WorkerDied):
        worker.send(("use", ()))
    with pytest.raises(_WorkerDied):
        worker.receive(0.001)
    assert worker.pid == 0


def test_a_process_that_is_stopped_is_waited_for(ends: tuple[Connection, Connection]) -> None:
    process = Process()
    _Worker(ends[0], process).stop()  # type: ignore[arg-type]
    assert process.done == ["kill", "join"]
    assert ends[0].closed


def test_a_process_is_spawned_and_gets_the_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork would copy locks that another thread holds."""
    made: list[dict[str, object]] = []
    begun: list[bool] = []

    def spawn(**said: object) -> SimpleNamespace:
        made.append(said)
        return SimpleNamespace(start=lambda: begun.append(True), kill=list, join=list)

    monkeypatch.setattr(pkcs11, "SpawnProcess", spawn)
    worker = _Worker.start(ADDRESS)
    (said,) = made
    assert said["target"] is pkcs11_worker.work
    assert said["name"] == "token"
    assert said["daemon"] is True  # ends with the service
    assert begun == [True]
    theirs, address = said["args"]  # type: ignore[misc]
    assert address == ADDRESS
    assert theirs.closed  # here, so that its end is noticed
    worker.stop()
