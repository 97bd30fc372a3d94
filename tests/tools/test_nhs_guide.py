"""docs/nhs.md, played literally with curl at the real process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.cis2.levels import LEVELS
from cloudcard_tools.simulate.cis2.places import SCOPES
from cloudcard_tools.simulate.faults import Fault
from support.guides import DOCS, run_by, shows

GUIDE = (DOCS / "nhs.md").read_text()
SAMPLES = Path(__file__).parents[1] / "samples"
NEXT = "---- next ----"


def test_what_the_guide_shows(tmp_path: Path) -> None:
    made, *others = run_by("nhs.md", __file__)
    main, cards = free_ports(2)
    shutil.copy(SAMPLES / "prescription.xml", tmp_path)
    subprocess.run(["bash", "-e", "-c", made.text], cwd=tmp_path, check=True, timeout=60)
    with Nursery(tmp_path / "logs") as nursery:
        nursery.start_python(
            "simulators",
            *("-m", "cloudcard_tools", "simulate", "nhs"),
            *("--clients", str(tmp_path / "clients.json"), "--data", str(tmp_path / "simulator")),
            *("--listen", f"127.0.0.1:{main}", "--card-listen", f"127.0.0.1:{cards}"),
        ).wait_for("Trust this", timeout=60)
        typed = f"\necho '{NEXT}'\n".join(
            f"python3 - <<'END'\n{block.text}END\n" if block.language == "python" else block.text
            for block in others
        )
        typed = typed.replace("localhost:8443", f"localhost:{main}")
        typed = typed.replace("~/.local/share/cloudcard", str(tmp_path))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", typed],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.replace(f"localhost:{main}", "localhost:8443").split(f"{NEXT}\n")
    for block, each in zip(others, said, strict=True):
        assert block.shown
        assert shows(block.shown, each), each


def test_the_guide_names_all_there_is() -> None:
    for each in (*LEVELS, *SCOPES):
        assert re.search(rf"\b{each}\b", GUIDE), each
    for fault in Fault:
        assert re.search(rf"`{fault}(=SECONDS)?`", GUIDE), fault
