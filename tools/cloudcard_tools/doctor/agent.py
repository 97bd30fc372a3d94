"""Checks of the agent: its configuration, and what shows numbers and codes here."""

from __future__ import annotations

import os
from pathlib import Path

from cloudcard_tools.doctor.checks import Finding, failed, ok, warning
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.reader.service.settings import load, own_file
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.processes import answered
from reader_bridge.prompts import choosing

COMMAND_SECONDS = 2.0
# What a window needs of the system's Python; trying it opens none.
NEEDS = {
    "gtk": "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk",
    "tk": "import tkinter",
}


def configuration(places: Places, own: Path | None = None) -> Finding:
    """Whether the agent's configuration, and the policy above it, can be used."""
    file = own_file() if own is None else own
    try:
        _, overruled = load(file, places.policy)
    except Failure as failure:
        return failed(failure.message, "correct the file, or remove it (docs/reader.md)")
    if overruled:
        return warning("; ".join(overruled), "take that out of your own file")
    there = [str(each) for each in (places.policy, file) if each.exists()]
    return ok(", ".join(there) if there else "there is none, and none is needed")


def window(python: Path = choosing.SYSTEM_PYTHON) -> Finding:
    """Which window shows numbers and codes."""
    kinds = choosing.kinds(choosing.AUTO, os.environ, terminal=True)
    if not kinds:
        return ok("there is no desktop here: the terminal shows numbers and codes")
    for kind, needs in NEEDS.items():
        tried = answered([str(python), "-I", "-c", needs], COMMAND_SECONDS)
        if tried is not None and tried.returncode == 0:
            if kind == choosing.WINDOWS[0]:
                return ok("a window that screen readers can read")
            break
    else:
        return warning(
            "numbers and codes are shown as notifications only, without a QR code",
            "apt-get install python3-gi python3-gi-cairo gir1.2-gtk-3.0",
        )
    return warning(
        "numbers and codes are shown in a window that screen readers cannot read",
        "apt-get install python3-gi python3-gi-cairo gir1.2-gtk-3.0",
    )
