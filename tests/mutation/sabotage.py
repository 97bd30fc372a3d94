"""Guards of the program that are taken out one by one, each with the test that must notice it."""

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
    """A change of one place in a file."""

    file: str
    before: str
    after: str
    test: str  # file and name, without the class

    def source(self) -> str:
        """The text of the changed file; raises ValueError unless the place is there once."""
        text = (ROOT / self.file).read_text()
        if text.count(self.before) != 1:
            raise ValueError(f"{self.file} has {self.before!r} {text.count(self.before)} times")
        return text.replace(self.before, self.after)

    def code(self) -> CodeType:
        """The code of the changed module."""
        return compile(self.source(), str(ROOT / self.file), "exec", dont_inherit=True)

    def trial(self, tests: Iterable[str]) -> Trial:
        """A trial with those of the given tests that must notice the change."""
        file, _, name = self.test.partition("::")
        meant = [
            each
            for each in tests
            if each.startswith(f"{file}::") and each.rpartition("::")[2].partition("[")[0] == name
        ]
        return Trial(self.file, "", self.before, self.after, 0, self.code, meant)


def sabotages() -> list[Sabotage]:
    """All guards of the list."""
    return [Sabotage(**each) for each in tomllib.loads(LIST.read_text())["sabotage"]]
