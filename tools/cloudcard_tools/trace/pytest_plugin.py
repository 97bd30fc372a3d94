"""Traces as tests: `pytest --apdu-traces DIR` replays every trace there against the card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

SUFFIX = ".trace"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("cloudcard")
    group.addoption(
        "--apdu-traces",
        action="append",
        default=[],
        metavar="DIR",
        help="Replay the traces of this folder (*.trace) as tests; repeatable.",
    )
    group.addoption(
        "--apdu-cards",
        metavar="DIR",
        help="Folder of the traces' card images. Default: the folder `cards` beside each trace.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the folders of traces, in addition to other tests."""
    for folder in config.getoption("--apdu-traces"):
        if not Path(folder).is_dir():
            raise pytest.UsageError(f"--apdu-traces: {folder} is no folder")
        config.args.append(str(folder))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a trace in one of the folders."""
    folders = [Path(each).resolve() for each in parent.config.getoption("--apdu-traces")]
    inside = any(file_path.resolve().is_relative_to(each) for each in folders)
    if file_path.suffix != SUFFIX or not inside:
        return None
    collected: pytest.Collector = TraceFile.from_parent(parent, path=file_path)
    return collected


class TraceFile(pytest.File):
    """A file with one trace."""

    def collect(self) -> Iterator[pytest.Item]:
        """The trace, as one test."""
        yield TraceItem.from_parent(self, name="replay")


class TraceItem(pytest.Item):
    """A replay as a test. It fails with the first difference, in words."""

    def runtest(self) -> None:
        """Replay the trace."""
        # Imported late, because pytest loads this module wherever cloudcard is installed.
        from cloudcard_tools.trace.replay.replaying import replay
        from cloudcard_tools.trace.replay.report import report

        cards = self.config.getoption("--apdu-cards")
        outcome = replay(self.path, Path(cards) if cards else None)
        if not outcome.passed:
            raise TraceDiffers("\n".join(report(outcome)))

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: object = None,  # noqa: ARG002 (pytest's signature)
    ) -> str:
        """The difference only, without a traceback into this plugin."""
        if isinstance(excinfo.value, TraceDiffers):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """The name of the test in the summary."""
        return self.path, 0, f"trace {self.path.name}"


class TraceDiffers(AssertionError):
    """The card does not answer as the trace says."""
