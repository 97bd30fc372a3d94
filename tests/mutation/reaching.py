"""Records which test reaches which lines, and how long each takes, as a plugin of one run."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Reach:
    """The record of a run of all tests."""

    seconds: dict[str, float] = field(default_factory=dict)  # of each test that passed
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)  # tests, by file and line

    def of(self, file: str, lines: range) -> list[str]:
        """The tests that reach any of these lines, the fast ones first."""
        reached = self.lines.get(file, {})
        return self._sorted({test for line in lines for test in reached.get(line, ())})

    def of_file(self, file: str) -> list[str]:
        """The tests that reach anything in a file, then the others of its package: these can use
        its tables and numbers through another module.
        """
        found = {test for tests in self.lines.get(file, {}).values() for test in tests}
        package = f"tests/{file.partition('/')[0]}/"
        others = {test for test in self.seconds if test.startswith(package)} - found
        return [*self._sorted(found), *self._sorted(others)]

    def _sorted(self, tests: set[str]) -> list[str]:
        return sorted(tests & self.seconds.keys(), key=lambda test: (self.seconds[test], test))

    def save(self, file: Path) -> None:
        """Write the record to a file."""
        file.write_text(json.dumps([self.seconds, self.lines]))

    @classmethod
    def load(cls, file: Path) -> Reach:
        """Read a record that `save` has written."""
        seconds, lines = json.loads(file.read_text())
        return cls(
            seconds, {name: {int(n): t for n, t in of.items()} for name, of in lines.items()}
        )


class Watching:
    """Watches which lines of some files the tests of this process reach."""

    def __init__(self, files: list[str], kept: Path) -> None:
        self.reach = Reach()
        self.kept = kept
        self.coverage = coverage.Coverage(
            data_file=None, include=[str(ROOT / file) for file in files], config_file=False
        )
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        begin = time.perf_counter()
        self.reach.seconds[item.nodeid] = 0.0
        try:
            return (yield)
        finally:
            if item.nodeid in self.reach.seconds:
                self.reach.seconds[item.nodeid] = time.perf_counter() - begin

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.reach.seconds.pop(report.nodeid, None)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        for file in data.measured_files():
            lines: defaultdict[int, list[str]] = defaultdict(list)
            for line, tests in data.contexts_by_lineno(file).items():
                lines[line] = [test for test in tests if test]
            self.reach.lines[str(Path(file).relative_to(ROOT))] = lines
        self.reach.save(self.kept)
