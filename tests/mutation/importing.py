"""Tries a mutant of code that runs when a module is imported: in a new process that imports the
changed module.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from mutation.killing import FEWEST_SECONDS, SLOWER, Fate, Trial, end_group
from mutation.local import OPTIONS, Local
from mutation.operators import mutants
from mutation.reaching import ROOT

STARTING_SECONDS = 60.0  # for imports and collection, on a busy computer
UNCHANGED = -1  # in place of a mutant's number


class Changed(MetaPathFinder, Loader):
    """Finds one module, and runs the code of a mutant in it instead of the module's own."""

    def __init__(self, file: str, number: int) -> None:
        self.file, self.number = file, number
        self.name = ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        file = ROOT / self.file
        inside = [str(file.parent)] if file.name == "__init__.py" else None
        return spec_from_file_location(name, file, loader=self, submodule_search_locations=inside)

    def exec_module(self, module: ModuleType) -> None:
        file = str(ROOT / self.file)
        tree = ast.parse((ROOT / self.file).read_text())
        if self.number == UNCHANGED:
            code = compile(tree, file, "exec", dont_inherit=True)
        else:
            code = mutants(tree)[self.number].compiled(tree, file)
        exec(code, module.__dict__)


class Chosen:
    """Runs only these tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.tests = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.tests),
            key=lambda item: self.tests[item.nodeid],
        )


def attempt(trial: Trial, folder: Path) -> Fate:
    """Run the trial's tests in a new process, with the mutant that has the trial's number."""
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


def check(trials: Sequence[Trial], folder: Path) -> None:
    """Raise SystemExit if tests of these trials fail without a change: no result would count."""
    tests = list(dict.fromkeys(test for trial in trials for test in trial.tests))
    if not tests:
        return
    seconds = sum(trial.seconds for trial in trials)
    unchanged = replace(trials[0], tests=tests, seconds=seconds, number=UNCHANGED)
    if attempt(unchanged, folder) is not Fate.SURVIVED:
        raise SystemExit("in a new process, tests fail without a change")


def main(file: str, number: str, folder: str) -> int:
    """Import the mutant, and run the tests whose names standard input gives as JSON; 0 if none
    fails.
    """
    tests = json.load(sys.stdin)
    sys.meta_path.insert(0, Changed(file, int(number)))
    files = sorted({test.partition("::")[0] for test in tests})
    options = [*OPTIONS, "-x", f"--basetemp={folder}/{os.getpid()}"]
    return int(pytest.main([*options, *files], plugins=[Local(), Chosen(tests)]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
