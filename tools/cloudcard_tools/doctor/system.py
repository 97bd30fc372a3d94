"""Checks of Python, the clock, the programs' versions and the desktop's session."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata

from cloudcard_tools.doctor.asking import Answer
from cloudcard_tools.doctor.checks import Finding, failed, ok, warning
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd
from cloudcard_tools.shared.processes import answered

OLDEST_PYTHON = (3, 11)
RELEASED = datetime(2025, 1, 1, tzinfo=UTC)  # this program is newer
# Those of Debian 12, the oldest with which Cloudcard is tested.
OLDEST: Mapping[str, tuple[int, int]] = {"pcscd": (1, 9), "OpenSC": (0, 23)}
COMMAND_SECONDS = 2.0
ROOT = 0


def python() -> Finding:
    """The interpreter's version."""
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return failed(f"Python {version}", "install Python 3.11 or later and create .venv again")
    return ok(f"Python {version}")


def clock() -> Finding:
    """Whether the clock is plausible, so that certificates and expiry times can be checked."""
    now = datetime.now(UTC)
    shown = now.strftime("%Y-%m-%d %H:%M UTC")
    if now < RELEASED:
        return failed(f"the clock says {shown}", "set the clock: timedatectl set-ntp true")
    return ok(shown)


def versions(module: Answer) -> Mapping[str, str]:
    """The versions of everything that takes part; unknown ones are left out."""
    found = {
        "cloudcard": metadata.version("cloudcard"),
        "Python": platform.python_version(),
        "pcscd": _of_pcscd(),
        "OpenSC": str(module.get("version") or ""),
        "system": _of_system(),
    }
    return {name: version for name, version in found.items() if version}


def judged(found: Mapping[str, str]) -> Finding:
    """Whether any of these versions is too old."""
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    old = [
        name
        for name, oldest in OLDEST.items()
        if (known := re.match(r"(\d+)\.(\d+)", found.get(name, "")))
        and tuple(map(int, known.groups())) < oldest
    ]
    if old:
        tested = ", ".join(f"{name} {'.'.join(map(str, OLDEST[name]))}" for name in old)
        return warning(f"{told}; Cloudcard is tested from {tested} on", "install a newer version")
    return ok(told)


def session(places: Places, user: int | None = None) -> Finding:
    """Whether this user sits at this computer's screen, as our driver asks systemd-logind."""
    caller = os.getuid() if user is None else user
    if caller == ROOT:
        return ok("root needs no session")
    if not places.seats.is_dir():
        return ok("there is no systemd-logind here: only root and the group cloudcard count")
    try:
        said = (places.seats / str(caller)).read_text("utf-8", "replace")
    except OSError:
        said = ""
    facts = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if facts.get("STATE") == "active" and facts.get("ACTIVE_SEATS"):
        return ok("this user has the active session at this computer's screen")
    state = facts.get("STATE") or "none"
    return warning(
        f"this user has no active session at this computer's screen (state: {state})",
        "our driver takes cards, and pcscd 2 lets in, only who sits there; by ssh or remote "
        "desktop become a member of the group cloudcard, and see docs/reader.md about polkit",
    )


def bus(places: Places) -> Finding:
    """Whether the system's bus can be reached, by which locking and sleep are told."""
    if sys.platform == "win32":
        return ok("not needed on Windows")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(COMMAND_SECONDS)
        try:
            probe.connect(str(places.bus))
        except OSError as error:
            return warning(
                f"{places.bus} cannot be reached ({error.strerror or error})",
                "no program is told when the screen is locked or the computer sleeps; "
                "start dbus if this computer has a desktop",
            )
    return ok("the system bus answers")


def _of_pcscd() -> str:
    path = pcscd.program()
    said = None if path is None else answered([path, "--version"], COMMAND_SECONDS)
    if said is None:
        return ""
    found = re.search(r"version (\d[\d.]*\d)", said.stdout + said.stderr)
    return found[1] if found else ""


def _of_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()
