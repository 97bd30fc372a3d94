"""System tests: real processes around a real pcscd, which they have to themselves."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from card_os.piv import new_card
from card_os.piv.names import Algorithm
from cloudcard_tools.shared import pcsc, pcscd
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.local import making
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.profiles import PROFILES
from support.authority import Authority
from support.postgres import Server, server
from support.system_cards import SLOT, LocalCard, in_slot, inserted

HERE = Path(__file__).parent
RESERVED = pytest.StashKey[ExitStack]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for other users of pcscd before the first test's time limit runs."""
    if item.get_closest_marker("system") and RESERVED not in item.session.stash:
        item.session.stash[RESERVED] = reserved = ExitStack()
        reserved.enter_context(
            pcscd.reserved(lambda: print("Another program uses pcscd: waiting for it to end."))
        )
    return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave pcscd to others."""
    if RESERVED in session.stash:
        session.stash[RESERVED].close()


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
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server."""
    with server() as running:
        yield running


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


@pytest.fixture
def keys(virtual_readers: pcsc.Client) -> Iterator[LocalKeys]:
    """An empty card for developers, in the reader."""
    made = making.new_card(PROFILES["developer"], Algorithm.ECC_P256, os.urandom, datetime.now(UTC))
    keys = LocalKeys(made, os.urandom)
    with in_slot(virtual_readers, new_card(keys.image, os.urandom), keys, SLOT):
        yield keys
