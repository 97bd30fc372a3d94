"""Groups of requests, for which an event loop asks over a real socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cloud_keystore.border import answers, frames
from cloud_keystore.border.answering import Answering
from cloud_keystore.border.awaiting import Groups
from cloud_keystore.border.encoding import pack
from cloud_keystore.border.table import NOBODY, Each, methods
from cloud_keystore.model.errors import CardNotFound, Failed, KeystoreError, StorageUnavailable

SECONDS = 60.0
SECRET = b"s" * 32
MOST = frames.MOST_ASKED


@dataclass(frozen=True)
class Request:
    """What a group is made of."""

    text: str
    inputs: tuple[bytes, ...]


@dataclass(frozen=True)
class Response:
    """What each request gets."""

    inputs: tuple[bytes, ...]
    thread: int


class Things:
    """A use case that takes groups."""

    def each(self, requests: Sequence[Request], done: Callable[[int, object], None]) -> None:
        for place, request in enumerate(requests):
            if request.text == "storage":
                raise StorageUnavailable("the disk is full")
            refused = CardNotFound("no card") if request.text == "none" else None
            done(place, refused or Response(request.inputs, threading.get_ident()))


@dataclass
class Cases:
    things: Things


METHOD = methods(Cases, {"things.each": Each(NOBODY, Response)})["things.each"]
Outcomes = dict[int, object]


def asked(groups: Groups[Request, Response], *texts: str) -> tuple[Outcomes, Exception | None]:
    """The outcomes of a group, and what it has ended with."""

    async def ask() -> tuple[Outcomes, Exception | None]:
        async with hanging_up(groups):
            return await outcomes(groups, *texts)

    return asyncio.run(ask())


@asynccontextmanager
async def hanging_up(groups: Groups[Request, Response]) -> AsyncIterator[None]:
    yield
    groups.close()
    await asyncio.sleep(0)
    assert not groups.is_open


async def outcomes(
    groups: Groups[Request, Response], *texts: str
) -> tuple[Outcomes, Exception | None]:
    met: Outcomes = {}
    group = [Request(text, (text.encode(), b"")) for text in texts]
    try:
        async with asyncio.timeout(SECONDS):
            await groups.ask(group, met.__setitem__)
    except KeystoreError as error:
        return met, error
    return met, None


@contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(path)
        own.listen()
        yield own


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups[Request, Response]]:
    path = str(tmp_path / "b")
    with listening(path) as own:
        places = threading.BoundedSemaphore(8)
        answering = Answering(Cases(Things()), {METHOD.name: METHOD}, None, SECRET, places)
        answering.listen(own)
        yield Groups(path, SECRET, METHOD)
        answering.close()
        own.shutdown(socket.SHUT_RDWR)


def test_each_request_gets_its_outcome(groups: Groups[Request, Response]) -> None:
    met, error = asked(groups, "a", "none", "b")
    assert error is None
    assert isinstance(met[1], CardNotFound)
    assert [each.inputs for each in (met[0], met[2]) if isinstance(each, Response)] == [
        (b"a", b""),
        (b"b", b""),
    ]


def test_what_ends_a_group_is_told_after_its_outcomes(groups: Groups[Request, Response]) -> None:
    _, error = asked(groups, "a", "storage")
    assert isinstance(error, StorageUnavailable)
    assert str(error) == "the disk is full"


def test_one_connection_for_one_group_after_the_other(groups: Groups[Request, Response]) -> None:
    """Custody answers each connection on a thread of its own."""

    async def ask() -> tuple[set[int], set[int]]:
        async with hanging_up(groups):
            after = [(await outcomes(groups, "a"))[0] for _ in range(3)]
            both = await asyncio.gather(*(outcomes(groups, "a") for _ in "12"))
            return threads(after), threads([met for met, _ in both])

    after, beside = asyncio.run(ask())
    assert (len(after), len(beside)) == (1, 2)


def threads(met: Sequence[Outcomes]) -> set[int]:
    return {each[0].thread for each in met if isinstance(each[0], Response)}


def test_the_secret_is_said(groups: Groups[Request, Response]) -> None:
    met, error = asked(Groups[Request, Response](groups.path, b"t" * 32, METHOD), "a")
    assert isinstance(error, StorageUnavailable)
    assert not met


def test_without_custody_the_reason_is_told(tmp_path: Path) -> None:
    _, error = asked(Groups[Request, Response](str(tmp_path / "none"), SECRET, METHOD), "a")
    assert isinstance(error, StorageUnavailable)
    assert "is not reached" in str(error)


def test_a_stranger_is_told_nothing(
    groups: Groups[Request, Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the secret is only for a process of the same user."""
    monkeypatch.setattr("cloud_keystore.border.calling.is_own", lambda _: False)
    _, error = asked(groups, "a")
    assert isinstance(error, StorageUnavailable)
    assert "is not reached" in str(error)


ONE = [0, answers.RESULT, [[b"x"], 7]]
ENDED = pack([answers.RESULT, "", "", []])


@pytest.mark.parametrize(
    ("answered", "kind", "count"),
    [
        ((), StorageUnavailable, 0),  # it ends before it answers
        ((pack([answers.OUTCOMES, "", "", [ONE]]),), StorageUnavailable, 1),
        ((pack([answers.OUTCOMES, "", "", [ONE]]), ENDED), None, 1),
        ((pack([answers.RESULT, "", "", [ONE]]),), None, 1),
        ((b"no msgpack",), Failed, 0),
        ((pack([answers.RESULT, "", "", None]),), Failed, 0),
        ((pack([answers.OUTCOMES, "", "", [[0, answers.RESULT]]]),), Failed, 0),
        ((pack([answers.OUTCOMES, "", "", 7]),), Failed, 0),
        ((pack(["other", "", "", []]),), Failed, 0),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_custody_that_ends_or_answers_something_else(
    tmp_path: Path, answered: Sequence[bytes], kind: type[Exception] | None, count: int
) -> None:
    """What it has not answered is not called done. Whoever asks next gets another connection."""
    path = str(tmp_path / "e")

    def serve(own: socket.socket) -> None:
        for frames_ in (answered, [ENDED]):
            connection, _ = own.accept()
            with connection:
                incoming = frames.Incoming(MOST)
                assert incoming.receive(connection) == SECRET
                assert incoming.receive(connection) is not None
                connection.sendall(b"".join(map(frames.framed, frames_)))

    with listening(path) as own:
        serving = threading.Thread(target=serve, args=(own,))
        serving.start()
        groups = Groups[Request, Response](path, SECRET, METHOD)

        async def ask() -> tuple[Outcomes, Exception | None]:
            async with hanging_up(groups):
                first = await outcomes(groups, "a")
                while groups.is_open:
                    await asyncio.sleep(0.01)
                assert await outcomes(groups, "a") == ({}, None)
                return first

        with capture_logs() as logged:
            met, error = asyncio.run(ask())
        serving.join(SECONDS)
    assert not serving.is_alive()
    assert len(met) == count
    assert (error is None) if kind is None else isinstance(error, kind)
    # Callers are told a number, under which the log has the reason.
    # What ends in the background meanwhile logs something else.
    incidents = [each["incident"] for each in logged if "incident" in each]
    assert incidents == ([str(error)] if kind is Failed else [])
