"""System tests: real processes around a real pcscd, which they have to themselves."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from authority import Authority
from cloudcard_tools import pcsc, pcscd
from cloudcard_tools.processes import Nursery
from system_cards import LocalCard, inserted

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Wait for other users of pcscd before any test's time limit runs."""
    if session.config.option.collectonly or not any(
        item.get_closest_marker("system") for item in session.items
    ):
        return (yield)
    with pcscd.reserved(lambda: print("Another program uses pcscd: waiting for it to end.")):
        return (yield)


@pytest.fixture(scope="session")
def virtual_readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pcsc.Client]:
    """A client of a pcscd with two empty virtual readers; pcscd is started if none runs."""
    with pcscd.available(tmp_path_factory.mktemp("pcscd") / "pcscd.log"):
        pcscd.require_free(0, 1)
        with pcsc.client() as client:
            yield client


@pytest.fixture
def nursery(virtual_readers: pcsc.Client, tmp_path: Path) -> Iterator[Nursery]:
    """Keeps a test's processes; at its end they stop and the readers are empty again."""
    with Nursery(tmp_path / "logs") as nursery:
        yield nursery
    for slot in (0, 1):
        virtual_readers.wait_for_absence(slot)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Nursery]:
    """Keeps a test's processes beside a card that stays for the next test."""
    with Nursery(tmp_path / "logs") as nursery:
        yield nursery


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Certifies the keys of cards, and servers."""
    return Authority()


@pytest.fixture(scope="module")
def card(
    request: pytest.FixtureRequest, virtual_readers: pcsc.Client, authority: Authority
) -> Iterator[LocalCard]:
    """A card for the tests of one module; they name its algorithm (`on_cards`)."""
    with inserted(virtual_readers, request.param, authority) as card:
        yield card
