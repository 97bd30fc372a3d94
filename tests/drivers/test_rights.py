"""Who may put a card into this computer's readers: agents of real users at the handler's socket."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from warnings import catch_warnings, simplefilter

import pytest

from reader_bridge import records
from reader_bridge.records import Eject, EjectReason, Hello, Welcome
from support.ifd_handler import ATR, SECONDS, Handler, build, opened

if os.geteuid() != 0:
    pytest.skip("only root can be other users", allow_module_level=True)

ADA, BOB, OF_A_DOMAIN, NOBODY = 1000, 1001, 1234500017, 65534
GROUP = 4711


@dataclass(frozen=True, slots=True)
class Computer:
    """A handler, and what it believes of this computer's users."""

    handler: Handler
    folder: Path

    def sits(self, user: int, state: str) -> None:
        """What systemd-logind says of a user."""
        (self.folder / "users" / str(user)).write_text(state)

    def greet(self, user: int, group: int = 100, further: Sequence[int] = ()) -> records.Record:
        """What a user's agent is told."""
        reading, writing = os.pipe()
        with catch_warnings():
            simplefilter(
                "ignore", DeprecationWarning
            )  # threads of other tests: the child uses none
            child = os.fork()
        if child == 0:
            with suppress(BaseException):
                os.setgroups(list(further))
                os.setgid(group)
                os.setuid(user)
                os.write(writing, _greeting(self.handler.path))
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            return records.decode(pipe.read())


def _greeting(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(SECONDS)
        sock.connect(str(path))
        with suppress(BrokenPipeError):
            sock.send(Hello(ATR).encode())
        try:
            return sock.recv(100)
        except ConnectionResetError:
            return sock.recv(100)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that other users can enter."""
    folder = Path(tempfile.mkdtemp(prefix="cloudcard-rights-"))
    folder.chmod(0o755)
    (folder / "users").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def library(place: Path) -> Path:
    group_file = f'GROUP_FILE=\\"{place}/group\\"'
    return build(place / "build", group_file, f'SESSIONS=\\"{place}/users\\"')


@pytest.fixture
def computer(library: Path, place: Path) -> Iterator[Computer]:
    """A computer with three slots, where nobody sits and nobody is a member."""
    for each in (place / "users").iterdir():
        each.unlink()
    (place / "group").write_text("root:x:0:\nstaff:x:4710:\n")
    with opened(Handler(library, place), 0, 1, 2) as handler:
        yield Computer(handler, place)


ACTIVE = (
    "# This is private data\nNAME=ada\nSTATE=active\nSESSIONS=c1\nACTIVE_SEATS=seat0\nSEATS=seat0\n"
)
FORBIDDEN = Eject(EjectReason.FORBIDDEN)


def test_root_may(computer: Computer) -> None:
    assert isinstance(computer.greet(0, 0), Welcome)


@pytest.mark.parametrize("user", [ADA, OF_A_DOMAIN])
def test_who_sits_at_the_screen_may(computer: Computer, user: int) -> None:
    assert computer.greet(user) == FORBIDDEN
    computer.sits(user, ACTIVE)
    assert isinstance(computer.greet(user), Welcome)
    assert computer.greet(BOB) == FORBIDDEN


@pytest.mark.parametrize(
    "state",
    [
        "STATE=online\nACTIVE_SEATS=\nSEATS=seat0\n",  # somebody else's session is in front
        "STATE=active\nACTIVE_SEATS=\nSEATS=\n",  # came by ssh
        "STATE=active\n",
        "STATE=lingering\nACTIVE_SEATS=seat0\n",
        "STATE=activex\nACTIVE_SEATS=seat0\n",
        "XSTATE=active\nACTIVE_SEATS=seat0\n",
        "",
        "x" * 10_000 + "\nSTATE=active\nACTIVE_SEATS=seat0\n",
    ],
)
def test_who_does_not_sit_there_may_not(computer: Computer, state: str) -> None:
    computer.sits(ADA, state)
    assert computer.greet(ADA) == FORBIDDEN


def test_members_of_the_group_may(computer: Computer) -> None:
    assert computer.greet(BOB, further=[GROUP]) == FORBIDDEN  # there is no such group
    with (computer.folder / "group").open("a") as file:
        file.write(f"cloudcard:x:{GROUP}:bob\ncloudcards:x:4712:\n")
    assert isinstance(computer.greet(BOB, further=[7, GROUP, 8]), Welcome)
    assert isinstance(computer.greet(BOB, group=GROUP), Welcome)
    assert computer.greet(BOB, further=[4712, 4710]) == FORBIDDEN
    assert computer.greet(ADA) == FORBIDDEN


def test_a_user_whom_a_namespace_does_not_show_is_nobody_in_particular(
    computer: Computer,
) -> None:
    """Users of a domain would all arrive as 65534, and one could take another's slot."""
    computer.sits(NOBODY, ACTIVE)
    with (computer.folder / "group").open("a") as file:
        file.write(f"cloudcard:x:{GROUP}:\n")
    assert computer.greet(NOBODY, group=GROUP) == FORBIDDEN


def test_a_user_comes_back_to_the_same_reader(computer: Computer) -> None:
    computer.sits(ADA, ACTIVE)
    computer.sits(BOB, ACTIVE)
    assert computer.greet(ADA) == Welcome(0, 1)
    assert computer.greet(BOB) == Welcome(1, 1)
    assert computer.greet(ADA) == Welcome(0, 1)
    assert computer.greet(BOB) == Welcome(1, 1)


def test_nobody_takes_anothers_slot(computer: Computer) -> None:
    computer.sits(ADA, ACTIVE)
    first, second, third = (computer.handler.agent() for _ in range(3))
    assert computer.greet(ADA) == Eject(EjectReason.TAKEN)
    assert sorted(each.slot for each in (first, second, third)) == [0, 1, 2]
