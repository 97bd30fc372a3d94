from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_keystore.model.people import User
from support.checking import Checker
from support.keystore_world import DATABASE, Enrolled, World, new_world
from support.postgres import Server, server

ON_BOTH_DATABASES = {
    "test_bundling",
    "test_operations",
    "test_order",
    "test_sessions",
    "test_signing_in",
    "test_seats",
    "test_batches",
    "test_policies",
    "test_passcodes",
    "test_proofs",
    "test_data_objects",
    "test_guessing",
    "test_cards",
    "test_devices",
    "test_identities",
    "test_enrolment",
    "test_renewing",
    "test_management",
    "test_journal",
    "test_removing",
    "test_prepared",
    "test_people",
    "test_importing",
    "test_domains",
    "test_custom_roles",
    "test_custom_profiles",
    "test_memberships",
    "test_visits",
    "test_account_directories",
    "test_webhooks",
    "test_informing",
    "test_rings",
    "test_bells",
    "test_requests",
    "test_leaving",
    "test_posting",
    "test_prolonging",
    "test_replacing",
    "test_reports",
    "test_states",
    "test_phones",
    "test_portal_passwords",
    "test_portal_visits",
    "test_enrolling",
    "test_assents",
    "test_surveys",
    "test_giving_feedback",
    "test_unlock_codes",
    "test_differences",
    "test_giving",
    "test_card_log_ins",
    "test_oidc_log_ins",
    "test_forged_certificates",
}


@pytest.fixture(scope="session")
def new_keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keystore that has just been made; copied by each test, as its keys take a while."""
    folder = tmp_path_factory.mktemp("new-keystore")
    new_world(folder).database.close()
    return folder / DATABASE


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def new_keystore_in_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql: Server) -> str:
    """The address of the database of a keystore that has just been made."""
    url = postgresql.new_database()
    new_world(tmp_path_factory.mktemp("new-keystore"), url=url).database.close()
    return url


@pytest.fixture
def database_url(postgresql: Server, new_keystore_in_postgresql: str) -> Iterator[str]:
    """The address of a new keystore's database in PostgreSQL, a test's own."""
    url = postgresql.new_database(new_keystore_in_postgresql)
    yield url
    postgresql.drop(url)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of what both databases must do alike on both."""
    if (
        "world" in metafunc.fixturenames
        and metafunc.module.__name__.rpartition(".")[2] in ON_BOTH_DATABASES
    ):
        metafunc.parametrize("world", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, new_keystore: Path) -> Iterator[World]:
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("database_url")
        world = new_world(tmp_path, url=url)
    else:
        shutil.copy(new_keystore, tmp_path / DATABASE)
        world = new_world(tmp_path)
    yield world
    world.database.close()


@pytest.fixture
def ada(world: World) -> tuple[User, Enrolled]:
    """A holder with a phone."""
    return world.user("Ada Byron")


@pytest.fixture
def pc(world: World) -> Enrolled:
    """An enrolled workstation."""
    return world.workstation()


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """An active card of hers."""
    return world.card(ada[0])


@pytest.fixture
def checker(world: World) -> Checker:
    """Whoever checks cards."""
    return Checker(world)
