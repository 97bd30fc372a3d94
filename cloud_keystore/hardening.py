"""Takes from a process what a keystore does not need and an attacker would use."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterable

PR_SET_DUMPABLE = 4  # prctl(2)
PR_SET_NO_NEW_PRIVS = 38
PR_SET_PDEATHSIG = 1
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # landlock(7); alike on all architectures
RULESET_VERSION = 1
RULE_PATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
ACCESS_BITS = (13, 14, 15, 15, 16)  # how many kinds of access each version knows, from the first
SCOPED_SINCE, SCOPE_SIGNAL = 6, 1 << 1
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
OF_ETC = ("resolv.conf", "hosts", "nsswitch.conf", "host.conf", "gai.conf", "localtime", "ssl")
SYSTEM = (  # not all of /etc: people keep keys there
    *("/usr", "/lib", "/lib64", "/proc", "/sys", "/run/systemd/resolve", *DEVICES),
    *(f"/etc/{each}" for each in (*OF_ETC, "ld.so.cache", "pki")),
)


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent, which has this number, has ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it had ended before
        os.kill(os.getpid(), signal.SIGKILL)


def harden() -> None:
    """End core dumps, of this process and those that it starts. On Linux also keep other processes
    of the same user from its memory, and programs that it starts from gaining rights. On Windows
    nothing changes.
    """
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def confine(readable: Iterable[str]) -> bool:
    """Keep this process, which must have one thread yet, from all files but to read those under
    some folders, and from other processes: it neither looks into them nor sends signals to them.
    Returns False where the system cannot do that (Linux: Landlock, landlock(7)).
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), RULESET_VERSION)
    if version < 1:
        return False
    handled = sum(1 << bit for bit in range(ACCESS_BITS[min(version, len(ACCESS_BITS)) - 1]))
    scoped = SCOPE_SIGNAL if version >= SCOPED_SINCE else 0
    attributes = struct.pack("=QQQ", handled, 0, scoped)
    size = len(attributes) if scoped else struct.calcsize("=Q")
    rules = library.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    try:
        for each in readable:
            _allow(library, rules, each)
        harden()  # without new privileges, anybody may confine itself
        return bool(library.syscall(RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(library: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be read
    try:
        access = READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE
        library.syscall(ADD_RULE, rules, RULE_PATH, struct.pack("=Qi", access, place), 0)
    finally:
        os.close(place)


def program_files() -> list[str]:
    """The folders from which this program has been loaded, and what its libraries read."""
    files = [str(getattr(each, "__file__", None) or "") for each in [*sys.modules.values()]]
    used = [each for each in sys.path if each and any(file.startswith(each) for file in files)]
    return [*used, sys.prefix, sys.base_prefix, *SYSTEM]
