"""Takes from a process what a keystore does not need and an attacker would use."""

from __future__ import annotations

import sys

PR_SET_DUMPABLE = 4  # prctl(2)
PR_SET_NO_NEW_PRIVS = 38


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
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
