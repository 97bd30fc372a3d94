"""Settings of every test: in CI, hypothesis tries the same examples each time; how several
processes share the tests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import execnet
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from cloud_keystore.storage.databases import postgresql, sqlite
from cloud_keystore.storage.databases.modes import Mode
from cloudcard_tools.demo import programs
from cloudcard_tools.shared import processes
from support import examples, namespaces, warm_starts
from support.compiled_statements import Statements

MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # bytes
TESTS = Path(__file__).parent
BEGUN: Mapping[str, int] = {"system": -1, "architecture": 1, "card_os": 2}  # among other folders

# A busy computer is no fault of the code.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", unhurried)
settings.register_profile("ci", unhurried, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure() -> None:
    """Keep the tests' files in memory if it has room: a commit waits for a disk. Start our programs
    from a process that has imported them. Compile the statements of SQL once.

    A computer that is busy, or stands still for seconds, may keep a test from going on within a
    transaction; programs, which the tests of leases start, have leases as they are.
    """
    if roomy(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    processes.launch, programs.run = warm_starts.launch, warm_starts.run_program
    postgresql.LEASES = dict.fromkeys(postgresql.LEASES, postgresql.LEASES[Mode.LONG])
    for module in (sqlite, postgresql):
        module.new_engine = Statements().shared(module.new_engine)


def pytest_collection_finish() -> None:
    """All modules of tests are imported now. What the tests import besides depends on their order,
    and in CI no example does.
    """
    if os.environ.get("CI"):
        examples.settle(pytest.MonkeyPatch())


def roomy(place: Path) -> bool:
    """Whether a place takes the files of a whole run, and lets programs run from it."""
    if not place.is_dir():
        return False
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors (`-n auto`), as many tests wait for programs."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[execnet.XSpec]) -> None:
    """Give each process (`-n`) namespaces of its own where the system allows it."""
    interpreter = namespaces.interpreter()
    for spec in specs:
        spec.python = interpreter
    if interpreter is None:
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line("No namespaces allowed here: one process runs all the system tests.")


class TogetherByFile(LoadFileScheduling):
    """The tests of a file stay in one process, as they share services; so do all system tests where
    the processes share a pcscd.
    """

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        # The long ones have been put first; xdist would put those first that have most tests.
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._share_pcscd = namespaces.interpreter() is None

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        shares = self._share_pcscd and file.startswith("tests/system/")
        return "tests/system" if shares else file


# Groups (`--dist loadgroup`) are lost: xdist 3.8 notes them where pytest 9.2 does not look.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TogetherByFile:
    """Share the tests out by file, whatever the command line says."""
    return TogetherByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest are begun first, lest one process works on alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: BEGUN.get(folder(item), 0))


def folder(item: pytest.Item) -> str:
    """The folder of `tests` in which a test is."""
    return item.path.relative_to(TESTS).parts[0]
