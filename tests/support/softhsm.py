"""A PKCS#11 token of SoftHSM, new and a test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
LABEL, PIN = "cards", "648219"
CONFIGURATION = "SOFTHSM2_CONF"  # variable that names the file


def new_token(folder: Path) -> Path:
    """Make a token in a new folder; returns the configuration under which it is found."""
    folder.mkdir()
    conf = folder.with_suffix(".conf")
    conf.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\n")
    command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN]
    subprocess.run(
        [*command, "--so-pin", "12345678"],
        check=True,
        capture_output=True,
        env={CONFIGURATION: str(conf), "PATH": "/usr/bin"},
    )
    return conf
