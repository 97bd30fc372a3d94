"""Which tests reach which lines, and how long each takes: a plugin of one whole run."""

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
    """What a run of all tests told."""

    seconds: dict[str, float] = field(default_factory=dict)  # of each test that passed
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)  # tests, by file and line

    def of(self, file: str, lines: range) -> list[str]:
        """The tests that reach any of these lines, the quick ones first."""
        reached = self.lines.get(file, {})
        return self._sorted({test for line in lines for test in reached.get(line, ())})

    def of_file(self, file: str) -> list[str]:
        """The tests that reach anything in a file, or all of its package if none does."""
        found = {test for tests in self.lines.get(file, {}).values() for test in tests}
        package = f"tests/{file.partition('/')[0]}/"
        return self._sorted(found or {test for test in self.seconds if test.startswith(package)})

    def _sorted(self, tests: set[str]) -> list[str]:
        return sorted(tests & self.seconds.keys(), key=lambda test: (self.seconds[test], test))

    def save(self, file: Path) -> None:
        """Keep it for a run of mutants."""
        file.write_text(json.dumps([self.seconds, self.lines]))

    @classmethod
    def load(cls, file: Path) -> Reach:
        """What `save` kept."""
        seconds, lines = json.loads(file.read_text())
        return cls(
            seconds, {name: {int(n): t for n, t in of.items()} for name, of in lines.items()}
        )


class Watching:
    """Watches which lines of some files the tests reach, in this process."""

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
