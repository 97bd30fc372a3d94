"""Use cases asked for over a real socket: by processes that behave, and by one that was taken
over.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_keystore.border import answering, answers, frames
from cloud_keystore.border.answering import Answering
from cloud_keystore.border.calling import Line, remote
from cloud_keystore.border.encoding import pack, unpack
from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.border.table import ANY, NOBODY, Each, Proven, methods
from cloud_keystore.model.errors import (
    CardNotFound,
    Failed,
    IdentityRejected,
    Overloaded,
    ProofNeeded,
    StorageUnavailable,
)
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.tracing import TRACE_ID
from support.keystore_world import Enrolled, World

SECONDS = 60.0
SECRET = b"s" * 32
MOST = frames.MOST_ANSWERED


class Things:
    """Use cases that show what crosses."""

    def __init__(self) -> None:
        self.hung_up, self.over = threading.Event(), threading.Event()
        self.proven: list[bytes] = []
        self.is_proven = False

    def add(self, one: int, two: int = 2) -> int:
        return one + two

    def mine(self, caller: Identity) -> str:
        return caller.id

    def trace(self) -> str:
        return TRACE_ID.get()

    def refuse(self, text: str) -> None:
        raise CardNotFound(text)

    def overload(self) -> None:
        raise Overloaded("later", 7.5)

    def lose(self) -> None:
        raise StorageUnavailable("no room") from OSError("the disk's own words")

    def break_(self, secret: bytes) -> None:
        raise KeyError(secret)

    def each(self, texts: Sequence[str], done: Callable[[int, object], None]) -> None:
        for place, text in enumerate(texts):
            done(place, CardNotFound(text) if text == "none" else text)

    def late(self, texts: Sequence[str], done: Callable[[int, object], None]) -> None:
        assert self.hung_up.wait(SECONDS)
        for place, text in enumerate(texts):
            done(place, text)
        self.over.set()

    def risk(self) -> str:
        return "done"

    def hidden(self) -> str:
        return "not in the table"


@dataclass
class Cases:
    things: Things

    def prove(self, fingerprint: bytes) -> None:
        self.things.proven.append(fingerprint)
        if not self.things.is_proven:
            raise ProofNeeded("log in once more")


TABLE = {
    "things.add": NOBODY,
    "things.mine": ANY,
    "things.trace": NOBODY,
    "things.refuse": Role.WORKSTATION,
    "things.risk": Proven(Role.WORKSTATION),
    "things.overload": NOBODY,
    "things.lose": NOBODY,
    "things.break_": NOBODY,
    "things.each": Each(NOBODY, str),
    "things.late": Each(NOBODY, str),
}
METHODS = methods(Cases, TABLE)


@dataclass
class Border:
    """Custody at one end, and a process of the network at the other."""

    path: str
    answering: Answering
    line: Line
    things: Things  # those that ask
    own: Things  # those in custody

    def raw(self, secret: bytes = SECRET) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)
        try:
            connection.connect(self.path)
            frames.send(connection, secret)
        except OSError:
            connection.close()
            raise
        return connection


@pytest.fixture
def border(world: World, tmp_path: Path) -> Iterator[Border]:
    path = str(tmp_path / "b")
    things = Things()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        own = Answering(
            Cases(things), METHODS, world.callers.identify, SECRET, threading.BoundedSemaphore(8)
        )
        own.listen(listening)
        line = Line(path, SECRET)
        yield Border(path, own, line, remote(Cases, METHODS, line).things, things)
        line.close()
        own.close()
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def present(pc: Enrolled) -> Iterator[Enrolled]:
    token = PRESENTED.set(Presented(sha256(pc.certificate).digest(), Role.WORKSTATION))
    yield pc
    PRESENTED.reset(token)


def test_a_call_and_its_result(border: Border) -> None:
    assert border.things.add(1) == 3
    assert border.things.add(one=1, two=5) == 6
    token = TRACE_ID.set("ab" * 16)
    assert border.things.trace() == "ab" * 16
    TRACE_ID.reset(token)
    assert border.things.trace() == ""  # nothing of a call is left for the next


def test_custody_finds_the_caller_itself(border: Border, present: Enrolled) -> None:
    stand_in = replace(present.identity, id="somebody else")
    assert border.things.mine(stand_in) == present.identity.id
    fingerprint = sha256(present.certificate).digest()
    assert border.line.named(fingerprint) == ("workstation", present.identity.id)
    assert border.line.named(b"another") == ("", "")


def test_what_is_of_high_risk_needs_a_proof_in_custody(border: Border, present: Enrolled) -> None:
    """Step-up: whatever the process of the pages says, custody looks when the log-in was."""
    with pytest.raises(ProofNeeded):
        border.things.risk()
    border.own.is_proven = True
    assert border.things.risk() == "done"
    assert border.own.proven == [sha256(present.certificate).digest()] * 2


def test_refusals_are_what_they_were(border: Border, present: Enrolled) -> None:
    del present
    with pytest.raises(CardNotFound, match=r"^no card 7$"):
        border.things.refuse("no card 7")
    with pytest.raises(Overloaded) as later:
        border.things.overload()
    assert later.value.retry_seconds == 7.5
    with pytest.raises(StorageUnavailable) as lost:
        border.things.lose()
    assert str(lost.value.__cause__) == "the disk's own words"  # for the log


def test_a_fault_of_custody_tells_only_its_number(border: Border) -> None:
    with pytest.raises(Failed) as fault:
        border.things.break_(b"135790246813")  # fewer digits are found in a number by chance
    assert "135790246813" not in str(fault.value)
    assert len(str(fault.value)) == 32
    assert border.things.add(1) == 3


def test_outcomes_come_one_by_one(border: Border) -> None:
    met: dict[int, object] = {}
    border.things.each(["a", "none", "b"], met.__setitem__)
    assert met[0] == "a"
    assert isinstance(met[1], CardNotFound)
    assert met[2] == "b"


def test_who_hangs_up_ends_no_group(border: Border, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a group whose process was killed, the keys of the later requests were not used any more,
    although the uses were spent: who asked again got no result.
    """
    monkeypatch.setattr(answering, "HELD_SECONDS", 0.0)
    with border.raw() as connection:
        frames.send(connection, pack(["things.late", None, "", {"texts": ["a", "b", "c"]}]))
    border.own.hung_up.set()
    assert border.own.over.wait(SECONDS)
    assert border.things.add(1) == 3


def test_the_role_is_looked_at_in_custody(border: Border, world: World) -> None:
    operator = world.operator()
    token = PRESENTED.set(Presented(sha256(operator.certificate).digest(), Role.WORKSTATION))
    try:
        with pytest.raises(IdentityRejected, match="for a workstation, not a operator"):
            border.things.refuse("")
        world.identities.remove(
            Role.OPERATOR, operator.identity.id, "gone", world.operator().identity
        )
        with pytest.raises(IdentityRejected, match="removed"):
            border.things.mine(operator.identity)
    finally:
        PRESENTED.reset(token)


class TestAttacks:
    """A process that faces the network was taken over."""

    @pytest.mark.parametrize(
        "call",
        [
            ["things.hidden", None, "", {}],
            ["things.__class__", None, "", {}],
            ["nothing", None, "", {}],
            ["things.mine", None, "", {}],  # without a certificate
            ["things.add", None, "", {"one": 1, "self": 2}],
            ["things.add", None, "", {"one": "1"}],
            ["things.add", None, "", [1, 2]],
            ["things.mine", b"x", "", {"caller": {"id": "somebody"}}],
            ["things.add"],
            "things.add",
            7,
        ],
    )
    def test_what_is_not_in_the_table_ends_the_connection(
        self, border: Border, call: object
    ) -> None:
        with border.raw() as connection:
            frames.send(connection, pack(call))
            answer = frames.Incoming(MOST).receive(connection)
        assert answer is None or unpack(answer)[0] == answers.REFUSED  # type: ignore[index]
        assert border.things.add(1) == 3

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(raw=st.binary(min_size=1, max_size=64))
    def test_no_bytes_harm_a_neighbour(self, border: Border, raw: bytes) -> None:
        with border.raw() as connection:
            connection.sendall(raw)
            with suppress(ConnectionResetError):
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass
        assert border.things.add(1) == 3

    @pytest.mark.parametrize("secret", [b"", b"t" * 32, b"s" * 31, b"s" * 33])
    def test_the_process_of_another_port_is_not_answered(
        self, border: Border, secret: bytes
    ) -> None:
        """It is of the same user, and finds the socket."""
        with suppress(OSError), border.raw(secret) as connection:
            frames.send(connection, pack(["things.add", None, "", {"one": 1}]))
            assert frames.Incoming(MOST).receive(connection) is None

    @pytest.mark.parametrize("trace_id", ["x" * 32, "ab" * 17, "AB" * 16, "ab\n" * 8])
    def test_no_text_of_its_own_gets_into_the_log(self, border: Border, trace_id: str) -> None:
        with border.raw() as connection:
            frames.send(connection, pack(["things.add", None, trace_id, {"one": 1}]))
            assert frames.Incoming(MOST).receive(connection) is None

    def test_no_length_takes_memory(self, border: Border) -> None:
        with border.raw() as connection:
            connection.sendall((frames.MOST_ASKED + 1).to_bytes(4))
            assert frames.Incoming(MOST).receive(connection) is None

    def test_one_process_cannot_take_all_connections(
        self, border: Border, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answering, "MOST_CONNECTIONS", 3)
        many = [border.raw() for _ in range(3)]
        time.sleep(0.2)
        with suppress(OSError), border.raw() as one_more:
            assert one_more.recv(1) == b""
        for each in many:
            each.close()
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                assert border.things.add(1) == 3
                break
            except StorageUnavailable:
                assert time.monotonic() < deadline

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
    def test_another_user_is_refused(self, border: Border) -> None:
        os.chmod(border.path, 0o777)
        for folder in Path(border.path).parents:
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)
        connects = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        program = f"{connects} sys.exit(len(s.recv(1)))"
        done = subprocess.run(
            [
                "/usr/bin/python3",
                "-I",
                "-S",
                "-c",
                program,
                border.path,
            ],
            user=65534,
            group=65534,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[tuple[str, threading.Semaphore]]:
    """A custody that ends after each call: the first time before it answers, then after that. It
    tells each end.
    """
    path, closed = str(tmp_path / "e"), threading.Semaphore(0)

    def serve(listening: socket.socket) -> None:
        for does in (False, True, True):
            connection, _ = listening.accept()
            with connection:
                incoming = frames.Incoming(MOST)
                assert incoming.receive(connection) == SECRET
                incoming.receive(connection)
                if does:
                    frames.send(connection, pack([answers.RESULT, "", "", 3]))
            closed.release()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        serving = threading.Thread(target=serve, args=(listening,))
        serving.start()
        yield path, closed
        serving.join(SECONDS)
        assert not serving.is_alive()


def test_a_custody_that_ends(ending: tuple[str, threading.Semaphore]) -> None:
    """What it did not answer is not called done, and nothing is asked over what it has closed."""
    path, closed = ending
    line = Line(path, SECRET)
    things = remote(Cases, METHODS, line).things
    with pytest.raises(StorageUnavailable, match="is not known whether"):
        things.add(1)
    assert closed.acquire(timeout=SECONDS)
    assert things.add(1) == 3
    assert closed.acquire(timeout=SECONDS)
    assert things.add(1) == 3
    line.close()


def test_nobody_waits_long_for_what_is_brief(border: Border, tmp_path: Path) -> None:
    """Whether an idle connection is quiet was asked for as long as an answer may take."""
    long = {name: replace(each, seconds=SECONDS) for name, each in METHODS.items()}
    things = remote(Cases, long, border.line).things
    began = time.monotonic()
    assert [things.add(1) for _ in range(3)] == [3] * 3
    assert time.monotonic() - began < SECONDS
    with socket.socket(socket.AF_UNIX) as silent:  # as a custody that hangs
        silent.bind(path := str(tmp_path / "silent"))
        silent.listen()
        line = Line(path, SECRET)
        with pytest.raises(StorageUnavailable):
            remote(Cases, methods(Cases, TABLE, ["things"]), line).things.add(1)


def test_without_custody_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="is not reached"):
        remote(Cases, METHODS, Line(str(tmp_path / "none"), SECRET)).things.add(1)


def test_a_table_names_what_there_is() -> None:
    for name in ("things.nothing", "nothing.add"):
        with pytest.raises((ValueError, AttributeError)):
            methods(Cases, {name: NOBODY})
