"""A program: runs another one as systemd confines a service, with its filter of system calls and
without memory that is both written and run. `confined.py FILTER... -- PROGRAM ARGUMENTS`

For the system's own Python, whose libseccomp Debian packages.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys

import seccomp

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1  # prctl(2); kernels before 6.3 know neither


def calls(named: str) -> set[str]:
    """The system calls of a set (`@name`), as this computer's systemd has it."""
    command = ["systemd-analyze", "syscall-filter", named]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: set[str] = set()
    for line in listed.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= calls(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def main(filters: list[str], command: list[str]) -> None:
    """Confine this process and become the program."""
    allowed = calls("@default") | {"execve"}  # systemd's own execve comes before its filter
    for each in filters:
        allowed = allowed - calls(each[1:]) if each.startswith("~") else allowed | calls(each)
    confined = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in sorted(allowed):
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0:
            confined.add_rule(seccomp.ALLOW, name)
    confined.load()
    ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
    os.execv(command[0], command)


if __name__ == "__main__":
    end = sys.argv.index("--")
    main(sys.argv[1:end], sys.argv[end + 1 :])
