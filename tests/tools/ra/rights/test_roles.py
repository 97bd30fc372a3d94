"""Roles of an organisation's own by command, at a real keystore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("roles")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


def run(keystore: KeystoreProcess, *words: str) -> Result:
    operator: Path = keystore.folder / "operator"
    return CliRunner().invoke(ra, [*words, "--identity", str(operator)])


def test_a_role_comes_is_granted_and_goes(keystore: KeystoreProcess) -> None:
    """USER-24: what refuses says what to do."""
    assert run(keystore, "organisation", "add", "St Elsewhere").exit_code == 0
    at = ("--organisation", "St Elsewhere")
    rights = ("--right", "view", "--right", "people")
    made = run(keystore, "role", "create", "ward-clerk", *rights, *at)
    assert made.stdout.split() == [
        *("Role", "ward-clerk", "Rights", "view", "people"),
        *("Defined", "by", "St", "Elsewhere"),
    ]
    assert run(keystore, "role", "create", "ward-clerk", *rights).exit_code == 1
    assert run(keystore, "operator", "invite", "Ida", "--role", "ward-clerk", *at).exit_code == 0
    kept = run(keystore, "role", "delete", "ward-clerk", "--yes")
    assert kept.exit_code == 1
    assert "ward-clerk is granted to Ida: withdraw it first" in " ".join(kept.output.split())
    changed = run(keystore, "role", "edit", "ward-clerk", "--name", "clerk", "--json", *at)
    role = json.loads(changed.stdout)
    assert (role["role"], role["rights"], role["built_in"]) == ("clerk", "view people", False)
    assert run(keystore, "role", "withdraw", "Ida", "clerk").exit_code == 0
    assert run(keystore, "role", "delete", "clerk", "--yes").exit_code == 0
    listed = json.loads(run(keystore, "role", "list", "--json").stdout)
    assert all(each["built_in"] for each in listed)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("delete", "ra-agent", "--yes"), "ra-agent is built in"),
        (("edit", "ra-agent", "--right", "view"), "ra-agent is built in"),
        (("edit", "ward-clerk"), "say what changes"),
        (("delete", "boss", "--yes"), "there is no role boss"),
        (("create", "Boss", "--right", "view"), "words of a to z"),
        (("create", "boss"), "lacks 'view'"),
    ],
)
def test_what_is_refused(keystore: KeystoreProcess, words: tuple[str, ...], told: str) -> None:
    done = run(keystore, "role", *words)
    assert done.exit_code in (1, 2)
    assert told in " ".join(done.output.split())


def test_one_name_in_two_organisations_asks_for_one(keystore: KeystoreProcess) -> None:
    for name in ("East", "West"):
        assert run(keystore, "organisation", "add", name).exit_code == 0
        at = ("--organisation", name)
        assert run(keystore, "role", "create", "porter", "--right", "view", *at).exit_code == 0
    several = run(keystore, "role", "edit", "porter", "--name", "carrier")
    assert several.exit_code == 1
    assert "name the organisation" in several.output
    for name in ("East", "West"):
        at = ("--organisation", name)
        assert run(keystore, "role", "delete", "porter", "--yes", *at).exit_code == 0
