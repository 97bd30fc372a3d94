"""Tries a mutant of what a module does when it is imported: in a new process, whose import of that
module is the changed one.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from mutation.killing import FEWEST_SECONDS, SLOWER, Fate, Trial, end_group
from mutation.operators import mutants
from mutation.reaching import ROOT

STARTING_SECONDS = 60.0  # of a process: imports and collection, on a busy computer


class Changed(MetaPathFinder, Loader):
    """Finds one module, and runs the code of a mutant in it."""

    def __init__(self, file: str, number: int) -> None:
        self.file, self.number = file, number
        self.name = ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        return spec_from_file_location(name, ROOT / self.file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse((ROOT / self.file).read_text())
        code = mutants(tree)[self.number].compiled(tree, str(ROOT / self.file))
        exec(code, module.__dict__)


class Chosen:
    """Runs these tests only, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.tests = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.tests),
            key=lambda item: self.tests[item.nodeid],
        )


def attempt(trial: Trial, folder: Path) -> Fate:
    """Run the trial's tests in a new process."""
    if not trial.tests:
        return Fate.UNREACHED
    process = subprocess.Popen(
        [sys.executable, "-m", "mutation.importing", trial.file, str(trial.number), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": "tests"},
    )
    limit = STARTING_SECONDS + max(FEWEST_SECONDS, SLOWER * trial.seconds)
    try:
        process.communicate(json.dumps(list(trial.tests)), timeout=limit)
    except subprocess.TimeoutExpired:
        return Fate.ENDLESS
    finally:
        end_group(process.pid)
        process.wait()
    return Fate.SURVIVED if process.returncode == 0 else Fate.KILLED


def main(file: str, number: str, folder: str) -> int:
    """Import the mutant and run the tests that standard input names; 0 if none fails."""
    tests = json.load(sys.stdin)
    sys.meta_path.insert(0, Changed(file, int(number)))
    files = sorted({test.partition("::")[0] for test in tests})
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/{os.getpid()}"]
    return int(pytest.main([*options, *files], plugins=[Chosen(tests)]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
