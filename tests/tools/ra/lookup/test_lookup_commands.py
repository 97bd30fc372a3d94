"""Windows accounts from a real directory, by commands of an operator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudcard_tools.ra.command import ra
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.slapd import BASE, BIND_DN, DISABLED, PASSWORD, Person, Slapd, running

ADA = Person("ada", "ada@corp.example")
TWINS = [Person(name, "twin@corp.example") for name in ("twin1", "twin2")]
LEFT = Person("left", "left@corp.example", control=DISABLED)
OTHER = Person("other", "other@corp.example")


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with running(tmp_path_factory.mktemp("slapd"), ADA, *TWINS, LEFT, OTHER) as server:
        yield server


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoreProcess]:
    folder = tmp_path_factory.mktemp("keystore")
    with Nursery(folder / "logs") as nursery:
        yield KeystoreProcess(folder, nursery)


def run(keystore: KeystoreProcess, *words: str | Path, typed: str = "") -> Result:
    operator = str(keystore.folder / "operator")
    return CliRunner().invoke(ra, [*map(str, words), "--identity", operator], input=typed)


def told(keystore: KeystoreProcess, *words: str) -> list[dict[str, object]]:
    done = run(keystore, *words, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def named(server: Slapd, url: str = "") -> tuple[str, ...]:
    anchors = ("--tls-ca", str(server.authority))
    place = ("--domain", "CORP", "--bind-dn", BIND_DN, "--base-dn", BASE)
    return ("account", "directory", "set", url or server.tls_url, *place, *anchors)


def test_an_account_is_taken_from_the_directory(keystore: KeystoreProcess, slapd: Slapd) -> None:
    """USER-09, USER-10: the operator's password stays with the operator."""
    assert run(keystore, "user", "add", "Ada Byron", "--upn", ADA.upn).exit_code == 0
    find, add = ("account", "find", "Ada"), ("account", "add", "Ada", "--from-directory")
    for words in (
        find,
        add,
        ("account", "directory", "show"),
        ("account", "directory", "password"),
    ):
        assert "nobody has named one" in run(keystore, *words).output
    assert run(keystore, *named(slapd)).exit_code == 0
    assert "It was so before." in run(keystore, *named(slapd)).output
    assert slapd.tls_url in run(keystore, "account", "directory", "show").stdout
    assert "`cloudcard ra account directory password` asks" in run(keystore, *find).output
    give = ("account", "directory", "password", "--password-stdin")
    wrong = run(keystore, *give, typed="Wrong1\n")
    assert "password is wrong" in wrong.output
    assert "Wrong1" not in wrong.output
    assert not (keystore.folder / "operator" / "directories").exists()
    done = run(keystore, *give, typed=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    (kept,) = (keystore.folder / "operator" / "directories").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    (found,) = told(keystore, *find)
    assert found == {
        "account": r"CORP\ada",
        "upn": ADA.upn,
        "email": "",
        "state": "in use",
        "entry": f"cn=ada,{BASE}",
    }
    assert told(keystore, "account", "list", "Ada") == []
    assert run(keystore, *add).exit_code == 0
    (account,) = told(keystore, "account", "list", "Ada")
    assert (account["account"], account["upn"]) == (r"CORP\ada", ADA.upn)
    kept.chmod(0o644)
    assert "chmod 600" in run(keystore, *find).output
    kept.chmod(0o600)
    secret = PASSWORD.encode()
    files = [each for each in keystore.folder.rglob("*") if each.is_file() and each != kept]
    assert [each for each in files if secret in each.read_bytes()] == []


def test_several_accounts_are_chosen_among(keystore: KeystoreProcess, slapd: Slapd) -> None:
    assert run(keystore, "user", "add", "Twin", "--upn", "twin@corp.example").exit_code == 0
    assert run(keystore, *named(slapd)).exit_code == 0
    chosen = run(keystore, "account", "add", "Twin", "--from-directory")
    assert chosen.exit_code == 1
    assert r"CORP\twin1" in chosen.output
    assert r"CORP\twin2" in chosen.output
    assert told(keystore, "account", "list", "Twin") == []


def test_a_person_without_anything_sure_is_not_looked_up(
    keystore: KeystoreProcess, slapd: Slapd
) -> None:
    """An address that nobody has confirmed may be somebody else's."""
    assert run(keystore, "user", "add", "Bob", "--email", "bob@example.org").exit_code == 0
    assert run(keystore, *named(slapd)).exit_code == 0
    assert "that they have confirmed" in run(keystore, "account", "find", "Bob").output


def test_accounts_that_the_directory_has_no_longer_are_listed(
    keystore: KeystoreProcess, slapd: Slapd
) -> None:
    """USER-10: as a report, which changes nothing."""
    assert run(keystore, *named(slapd)).exit_code == 0
    assert run(keystore, "user", "add", "Lea Left", "--upn", LEFT.upn).exit_code == 0
    never = run(keystore, "account", "add", "Lea", "--from-directory")
    assert (never.exit_code, "there is no account in use" in never.output) == (1, True)
    given = (r"CORP\LEFT", r"CORP\gone", r"LAB\lea")
    for account in given:
        assert run(keystore, "account", "add", "Lea", account).exit_code == 0
    other = run(keystore, "account", "add", "Lea", r"CORP\other", "--upn", "lea2@corp.example")
    assert other.exit_code == 0
    rows = {str(each["account"]): each for each in told(keystore, "account", "check")}
    assert {name: row["problem"] for name, row in rows.items()} == {
        r"CORP\LEFT": "disabled there",
        r"CORP\gone": "gone",
        r"LAB\lea": "not looked up",
        r"CORP\other": "another UPN there",
    }
    assert rows[r"CORP\other"]["directory_upn"] == OTHER.upn
    assert {each["state"] for each in told(keystore, "account", "list", "Lea")} == {"pending"}
    for account in (*given, r"CORP\other"):
        assert run(keystore, "account", "remove", "Lea", account, "--yes").exit_code == 0
    assert "Every account is in its directory" in run(keystore, "account", "check").stdout


def test_no_password_goes_where_the_directory_was_moved_to(
    keystore: KeystoreProcess, slapd: Slapd
) -> None:
    """An attack: who sets policies names a server of their own, or certificates of their own."""
    assert run(keystore, *named(slapd)).exit_code == 0
    give = ("account", "directory", "password", "--password-stdin")
    assert run(keystore, *give, typed=f"{PASSWORD}\n").exit_code == 0
    assert run(keystore, "account", "find", "Ada").exit_code == 0
    elsewhere = slapd.tls_url.replace("localhost", "thief.example")
    bare = named(slapd)[:-2]
    for moved in (named(slapd, elsewhere), bare, (*named(slapd), "--bind-dn", f"cn=x,{BASE}")):
        assert run(keystore, *moved).exit_code == 0
        assert "is not kept here" in run(keystore, "account", "find", "Ada").output
    assert run(keystore, "account", "directory", "remove", "--yes").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("account", "add", "Ada"),
        ("account", "add", "Ada", r"CORP\ada", "--from-directory"),
        ("account", "directory", "password"),
    ],
)
def test_wrong_usage_is_said(keystore: KeystoreProcess, slapd: Slapd, words: list[str]) -> None:
    assert run(keystore, *named(slapd)).exit_code == 0
    assert run(keystore, *words).exit_code == 2


def test_a_plain_directory_elsewhere_is_refused(keystore: KeystoreProcess, slapd: Slapd) -> None:
    done = run(keystore, *named(slapd, "ldap://dc1.corp.example"), "--plain")
    assert (done.exit_code, "plain is for ldap:// on this computer" in done.output) == (1, True)
