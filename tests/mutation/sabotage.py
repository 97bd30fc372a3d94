"""Guards of the program taken out by hand, each with the test that must notice."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from mutation.killing import Trial
from mutation.reaching import ROOT

LIST = Path(__file__).with_name("sabotages.toml")


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A change of one place of a file."""

    file: str
    before: str
    after: str
    test: str  # its file and name, without the class around it

    def source(self) -> str:
        """The changed file; raises ValueError where the place is not there, or not alone."""
        text = (ROOT / self.file).read_text()
        if text.count(self.before) != 1:
            raise ValueError(f"{self.file} has {self.before!r} {text.count(self.before)} times")
        return text.replace(self.before, self.after)

    def code(self) -> CodeType:
        """The changed module."""
        return compile(self.source(), str(ROOT / self.file), "exec", dont_inherit=True)

    def trial(self, tests: Iterable[str]) -> Trial:
        """Of those of these tests that are meant."""
        file, _, name = self.test.partition("::")
        meant = [
            each
            for each in tests
            if each.startswith(f"{file}::") and each.rpartition("::")[2].partition("[")[0] == name
        ]
        return Trial(self.file, "", self.before, self.after, 0, self.code, meant)


def sabotages() -> list[Sabotage]:
    """All that are listed."""
    return [Sabotage(**each) for each in tomllib.loads(LIST.read_text())["sabotage"]]
