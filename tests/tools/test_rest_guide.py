"""docs/rest.md, played literally at a real keystore with curl."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_keystore.rest.application import rows
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.guides import DOCS, run_by
from support.keystore_process import KeystoreProcess

GUIDE = (DOCS / "rest.md").read_text()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What all commands of the guide say, one after the other in one shell."""
    folder = tmp_path_factory.mktemp("rest")
    (port,) = free_ports(1)
    with Nursery(folder / "logs") as nursery:
        KeystoreProcess(folder, nursery, ("--rest", f"127.0.0.1:{port}"))
        typed = "\n".join(
            f"python3 - <<'END'\n{block.text}END\n" if block.language == "python" else block.text
            for block in run_by("rest.md", __file__)
        )
        typed = typed.replace("127.0.0.1:7447", f"127.0.0.1:{port}")
        typed = typed.replace("~/.local/share/cloudcard", str(folder))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", typed],
            cwd=folder,
            env={**os.environ, "CLOUDCARD_HOME": str(folder), "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield done.stdout


def test_each_command_says_what_is_promised(told: str) -> None:
    said = iter(told.splitlines())
    wanted = (
        *(r'"id":.*cc1\.', "no phone|invited", r"\+447700900123", r"\d{4}-", "invited"),
        *("(Ada|Grace) ", r"\w+", r"\w+", "-----BEGIN CERTIFICATE", "active", "suspended"),
        *("active", r"\d{4}-", r"\w+"),
        *("revoked", "removed", r"\d", "closed", r"^ *2 "),
        *("active", r"\+31201234567", "card-not-found"),
        *("^enrolment$", "^wrong-user$", "^malformed$"),
        *("^whsec_$", r"^webhook\.tested$", r"^[0-9a-f-]{36}$", r"^\d{4}-", "^0$", "^active$"),
    )
    for each in wanted:
        assert any(re.search(each, line) for line in said), f"{each} is not said\n{told}"


def test_the_guide_has_every_call() -> None:
    class Anything:
        def __getattr__(self, name: str) -> object:
            return name

    named = re.sub(r"\{\w+\}", "{}", GUIDE)
    for row in rows(*[Anything()] * 8):  # type: ignore[arg-type]
        path, _, verb = re.sub(r"\{\w+\}", "{}", row.path).partition(":")
        assert path in named
        assert not verb or f":{verb}`" in named


def test_each_problem_is_in_the_guide() -> None:
    from cloud_keystore.rest.application import SAID

    (table,) = re.findall(r"\| status \| when \|\n.*?\n\n", GUIDE, re.DOTALL)
    statuses = {int(each) for each in re.findall(r"\b[45]\d\d\b", table)}
    assert {int(each) for each in SAID} <= statuses
