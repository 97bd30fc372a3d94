"""The PC/SC daemon with vpcd's virtual readers: its state, and how to start it if it does not
run.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import answered

PORTS = (35963, 35964)  # of vpcd's slots, as Debian builds it
SOCKET = Path("/run/pcscd/pcscd.comm")
SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"  # libpcsclite reads it once in a process
PID_FILE = Path("/run/pcscd/pcscd.pid")
TCP_TABLE = Path("/proc/net/tcp")
START_SECONDS = 10.0
ADMISSION_SECONDS = 5.0
LOCK = Path("cloudcard-pcscd.lock")  # in the folder of temporary files
HELD = "CLOUDCARD_PCSCD_LOCK"  # tells the processes started meanwhile that the lock is theirs too

# Runs pcscd ($1) until our end of the pipe closes, however this process ends. That works under
# sudo too, where neither signals nor the kernel's parent-death signal arrive. The watcher is a
# child of the process that becomes pcscd. Before it kills, it checks that pcscd still is its
# parent: the process id could belong to another process by then.
TIED_TO_PIPE = """
rm -f "$2" "$3"
exec 3<&0
( read -r _ <&3; read -r _ _ _ parent _ </proc/self/stat; [ "$parent" != $$ ] || kill $$ ) &
exec "$1" --foreground $4 </dev/null 3<&-
"""

# Since 2.0, pcscd asks polkit who may use it, and refuses everybody if polkit does not run, as in
# containers. One that runs for the time of one of our commands serves that command.
WITHOUT_POLKIT = "--disable-polkit"
HELP_SECONDS = 5.0

TCP_ESTABLISHED, TCP_LISTEN = "01", "0A"  # net/tcp_states.h


class PcscdFailed(click.ClickException):
    """There is no usable pcscd and none could be started; the text says what to do."""


@contextmanager
def available(log: Path, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Provide a pcscd with listening virtual readers for the block; yields whether it is ours.

    A running pcscd is used and left alone; one started here is stopped at the end. Other programs
    of ours wait meanwhile; `waiting` is called if this one has to wait. Raises PcscdFailed if
    there is no usable pcscd.
    """
    with reserved(waiting):
        if answers():
            _require_ports(_runs_on, "the pcscd that runs already")
            _require_admission()
            yield False
            return
        process = _start(log)
        try:
            _require_ports(process.poll, f"pcscd (its output is in {log})")
            _require_admission()
            yield True
        finally:
            _stop(process)


@contextmanager
def reserved(waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Reserve pcscd and its two slots for this process and its children."""
    if HELD in os.environ:
        yield
        return
    # Missing on Windows, where only the doctor uses this module.
    import fcntl

    descriptor = _open_lock()
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.environ[HELD] = str(os.getpid())
        try:
            yield
        finally:
            del os.environ[HELD]
    finally:
        os.close(descriptor)


def _runs_on() -> int | None:
    """None, as the exit status of a pcscd that was not started here: it counts as running."""
    return None


def program() -> str | None:
    """The path of pcscd. /usr/sbin is searched too, because it is not on every user's PATH."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
    return shutil.which("pcscd", path=places)


def options(path: str) -> str:
    """The options with which a pcscd of ours runs, as far as this one knows them."""
    said = answered([path, "--help"], HELP_SECONDS)
    knows = said is not None and WITHOUT_POLKIT in said.stdout + said.stderr
    return WITHOUT_POLKIT if knows else ""


def by_hand(path: str) -> str:
    """What a person without systemd types to start it: no polkit runs there either."""
    return f"sudo pcscd {options(path)}".rstrip()


def answers(path: Path | None = None) -> bool:
    """Whether pcscd's socket, by default at its usual path, accepts connections. With socket
    activation, systemd then starts pcscd.
    """
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path or SOCKET))
        except OSError:
            return False
        return True


def listening() -> dict[int, str]:
    """The ports of vpcd with a listener, and its address. They are read from the kernel's table,
    because a connection would take a slot.
    """
    return {port: address for state, port, address in _tcp_sockets() if state == TCP_LISTEN}


def wait_for_ports(seconds: float, ended: Callable[[], int | None] = _runs_on) -> bool:
    """Wait until all of vpcd's ports have a listener; False after the timeout or if pcscd has
    `ended`.
    """
    deadline = time.monotonic() + seconds
    while not listening().keys() >= set(PORTS):
        if ended() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def occupied() -> set[int]:
    """The ports of vpcd to which a card is connected."""
    return {port for state, port, _ in _tcp_sockets() if state == TCP_ESTABLISHED}


def require_free(*slots: int) -> None:
    """Raise PcscdFailed if a card is in one of these slots: a second card would wait there
    unnoticed.
    """
    taken = [slot for slot in slots if PORTS[slot] in occupied()]
    if taken:
        raise PcscdFailed(
            f"slot {taken[0]} (port {PORTS[taken[0]]}) holds a card already: "
            "stop the program that serves it, perhaps `cloudcard reader`"
        )


def _tcp_sockets() -> Iterator[tuple[str, int, str]]:
    """State, local port and address of the sockets on vpcd's ports (vpcd speaks IPv4 only)."""
    try:
        rows = TCP_TABLE.read_text().splitlines()[1:]
    except OSError:
        return  # not Linux
    for row in rows:
        _, local, _, state, *_ = row.split()
        address, port = local.split(":")
        if int(port, 16) in PORTS:
            yield state, int(port, 16), _ipv4(address)


def _ipv4(text: str) -> str:
    return socket.inet_ntoa(int(text, 16).to_bytes(4, sys.byteorder))


def _start(log: Path) -> subprocess.Popen[bytes]:
    path = program()
    if path is None:
        raise PcscdFailed("pcscd is not installed: apt-get install pcscd vsmartcard-vpcd")
    as_is = os.geteuid() == 0 or os.access(SOCKET.parent, os.W_OK)  # pcscd needs no more than that
    prefix = [] if as_is else ["sudo", "-n", "--"]
    if prefix and not _may_use_sudo():
        raise PcscdFailed(
            f"pcscd is not running and starting it needs root: run `{by_hand(path)}` first"
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 (fixed text; the paths are pcscd's own)
            [
                *(*prefix, "/bin/sh", "-c", TIED_TO_PIPE, "sh"),
                *(path, str(SOCKET), str(PID_FILE), options(path)),
            ],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            # Ctrl-C is for us only. A session of its own would lose sudo's ticket.
            process_group=0,
        )


def _may_use_sudo() -> bool:
    """Whether sudo is permitted. It asks for the password if there is a terminal."""
    sudo = shutil.which("sudo")
    if sudo is None:
        return False
    asking = (
        ["-v", "-p", "Password of %u, to start pcscd: "] if sys.stdin.isatty() else ["-n", "-v"]
    )
    return subprocess.run([sudo, *asking], check=False).returncode == 0  # noqa: S603 (fixed text)


def _require_ports(ended: Callable[[], int | None], who: str) -> None:
    if wait_for_ports(START_SECONDS, ended):
        return
    if ended() is not None:
        raise PcscdFailed(f"{who} ended at once")
    raise PcscdFailed(
        f"{who} does not listen on the ports {', '.join(map(str, PORTS))}: "
        "is vsmartcard-vpcd installed, and was pcscd started after it was installed?"
    )


def _require_admission() -> None:
    """Raise PcscdFailed if pcscd refuses this user, or serves nobody after some seconds."""
    deadline = time.monotonic() + ADMISSION_SECONDS
    while True:
        try:
            pcsc.require_admission()
        except pcsc.PcscError as error:
            if isinstance(error, pcsc.PcscRefused) or time.monotonic() > deadline:
                raise PcscdFailed(f"{error.message}: {error.remedy}") from None
            time.sleep(0.05)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 (a pipe since _start)
    process.stdin.close()
    process.wait(START_SECONDS)


def _open_lock() -> int:
    """The lock file, shared by all users.

    It is opened first and made only if it is missing: in a sticky folder the kernel refuses O_CREAT
    for another user's file (fs.protected_regular).
    """
    lock = Path(tempfile.gettempdir(), LOCK)
    try:
        return os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o666)  # whatever the umask
        return descriptor
