"""Checks of pcscd: whether it runs, what its sandbox lets through, and what it shows this user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from cloudcard_tools.doctor import asking, configuration
from cloudcard_tools.doctor.checks import Finding, failed, ok, warning
from cloudcard_tools.doctor.driver import AGAIN
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd
from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.output import counted
from cloudcard_tools.shared.processes import answered
from reader_bridge.carriers.handler_socket import LIBRARY

INSTALL = "apt-get install pcscd opensc (other systems: their package manager)"
MOST_READERS = 16  # of pcscd before 2.5, with those of all drivers
COMMAND_SECONDS = 2.0
OUR_FOLDER = "cloudcard"  # in RuntimeDirectory of the drop-in
DROP_IN = f"install our drop-in: {AGAIN}, after sudo systemctl daemon-reload"
RIGHTS = "PrivateUsers=no in our drop-in for pcscd.service lets it see who calls"


def installed() -> Finding:
    """Whether the daemon is installed."""
    path = pcscd.program()
    return ok(path) if path else failed("there is no pcscd", INSTALL)


def running(places: Places) -> Finding:
    """Whether the daemon's socket answers, and what starts and ends the daemon."""
    if not pcscd.answers(places.pcscd):
        path = pcscd.program()
        start = "systemctl enable --now pcscd.socket" if places.systemd.is_dir() else "sudo pcscd"
        if path is not None and not places.systemd.is_dir():
            start = pcscd.by_hand(path)
        return failed(f"nobody answers on {places.pcscd}", start)
    if "--auto-exit" in _arguments(places):
        return ok("started on demand; ends after 60 s without programs, but the reader keeps it")
    return ok("runs")


def sandbox(places: Places, user: int | None = None) -> Finding:
    """Whether pcscd's service has a folder for our driver's socket, and sees which user calls."""
    caller = os.getuid() if user is None else user
    if not configuration.of_library(places.readers, LIBRARY):
        return ok("not needed without our driver")
    if not _shows(places, caller):
        cause = f"pcscd's user namespace does not show user {caller}, who arrives as nobody"
        return failed(cause, f"{DROP_IN}; {RIGHTS}")
    unit = _unit(places)
    if unit is None:
        return ok("pcscd sees this user; without systemd it has no sandbox")
    closed = unit.get("ProtectSystem") == "strict" or unit.get("User", "") not in ("", "root")
    if closed and OUR_FOLDER not in unit.get("RuntimeDirectory", "").split():
        return failed("pcscd's service has no folder for our driver's socket", DROP_IN)
    if unit.get("PrivateUsers") == "yes":
        cause = "pcscd's service hides users from our driver (PrivateUsers)"
        return failed(cause, f"{DROP_IN}; {RIGHTS}")
    if unit.get("NeedDaemonReload") == "yes":
        return warning("pcscd's service was changed", "sudo systemctl daemon-reload")
    return ok("pcscd sees this user, and has a folder for our driver's socket")


def access(answer: asking.Answer) -> Finding:
    """Whether a complete PC/SC call works for this user, as an application needs it."""
    match answer:
        case {"missing": _}:
            return warning("pyscard is not installed, so this was not tried", install("pcsc"))
        case {"error": str(message), "remedy": str(remedy)}:
            return failed(f"PC/SC says: {message}", remedy)
        case {"readers": dict(names)} if names:
            return ok(f"this user is let in, and sees {counted(len(names), 'reader', 'readers')}")
        case {"readers": _}:
            return failed("pcscd has no readers", "install our driver or vpcd, and restart pcscd")
        case _:
            return failed("pcscd takes the call, and does not answer", "restart pcscd")


def readers(places: Places, answer: asking.Answer) -> Finding:
    """The readers that pcscd shows, which of them hold cards, and whether all of ours are shown."""
    match answer:
        case {"readers": dict(names)}:
            shown = list(names)
        case _:
            return warning("not tried, as PC/SC does not answer", "see the check before this one")
    own = configuration.of_library(places.readers, LIBRARY)
    lost = [each.name for each in own if all(not name.startswith(each.name) for name in shown)]
    if lost and len(shown) >= MOST_READERS:
        return failed(
            f"pcscd shows {len(shown)} readers and has no room for {', '.join(lost)}",
            f"pcscd before 2.5 holds {MOST_READERS} in all: take readers out of {places.readers}, "
            "or install a newer pcscd; then restart it",
        )
    if lost:
        cause = f"pcscd does not show {', '.join(lost)}"
        return failed(cause, "restart pcscd, which reads its readers when it starts; then its log")
    told = [f"{name}: {'card' if card else 'empty'}" for name, card in sorted(names.items())]
    if len(shown) >= MOST_READERS:
        return warning(
            f"{len(shown)} readers, which is all that pcscd before 2.5 holds",
            "a reader that is plugged in now is not seen: take some of ours out of "
            f"{places.readers}",
        )
    return ok("; ".join(told) or "none")


def _shows(places: Places, user: int) -> bool:
    """Whether pcscd's user namespace has this user; yes if that cannot be found out."""
    users = places.processes / str(_process(places)) / "uid_map"
    try:
        rows = users.read_text().splitlines()
    except OSError:
        return True
    spans = [[int(word) for word in row.split()] for row in rows]
    return not spans or any(outside <= user < outside + count for _, outside, count in spans)


def _unit(places: Places) -> Mapping[str, str] | None:
    """What systemd says about pcscd's service; None without systemd."""
    program = shutil.which("systemctl")
    if program is None or not places.systemd.is_dir():
        return None
    asked = "--property=ProtectSystem,PrivateUsers,RuntimeDirectory,User,NeedDaemonReload"
    said = answered([program, "show", "pcscd.service", asked], COMMAND_SECONDS)
    if said is None or said.returncode != 0:
        return None
    return dict(line.split("=", 1) for line in said.stdout.splitlines() if "=" in line)


def _process(places: Places) -> int | None:
    try:
        return int(places.pcscd.with_name(pcscd.PID_FILE.name).read_text())
    except (OSError, ValueError):
        return None


def _arguments(places: Places) -> list[str]:
    try:
        cmdline = places.processes / str(_process(places)) / "cmdline"
        return cmdline.read_text().split("\0")
    except OSError:
        return []
