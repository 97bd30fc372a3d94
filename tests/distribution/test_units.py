"""The service units in the guides are units that systemd accepts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.guides import DOCS, blocks

NAMED = re.compile(r"^# /etc/systemd/\w+/(\S+\.service)", re.MULTILINE)
UNITS = {
    found[1]: block.text
    for page in sorted(DOCS.glob("*.md"))
    for block in blocks(page.read_text())
    if (found := NAMED.match(block.text))
}
SECONDS = 60


def complaints(name: str, text: str, folder: Path) -> str:
    """What systemd says about a unit, with a program that exists here."""
    path = folder / name
    path.write_text(text.replace("/opt/cloudcard/bin/cloudcard", "/bin/true"))
    kind = ["--user"] if "@" in name else []
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *kind, path],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        timeout=SECONDS,
        check=False,
    )
    return ended.stderr if ended.returncode == 0 else f"{ended.returncode}: {ended.stderr}"


def test_both_guides_have_one() -> None:
    assert set(UNITS) == {"cloudcard.service", "cloudcard-reader@.service"}


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_it(name: str, tmp_path: Path) -> None:
    assert complaints(name, UNITS[name], tmp_path) == ""


def test_a_mistake_is_found(tmp_path: Path) -> None:
    [unit] = [text for name, text in UNITS.items() if "@" not in name]
    said = complaints("own.service", unit.replace("LimitCORE", "LimitCOER"), tmp_path)
    assert "Unknown key" in said
