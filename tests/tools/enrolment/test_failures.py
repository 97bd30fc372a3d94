"""How an enrolment fails, as a program and as a person are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from click.testing import CliRunner

from cloudcard.registry.v1 import people_pb2
from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared.failures import Failure, FileExists
from support.keystore_process import KeystoreProcess


def invited(keystore: KeystoreProcess) -> str:
    asked = people_pb2.CreateUserRequest(display_name="Ada", namesake=True)
    return str(keystore.registry.people.CreateUser(asked).device_token.text)


def used(keystore: KeystoreProcess) -> str:
    token = invited(keystore)
    spending.enrol(token, keystore.folder / f"used-{uuid4()}", "authenticator")
    return token


def removed(keystore: KeystoreProcess) -> str:
    asked = people_pb2.CreateUserRequest(display_name="Ada", namesake=True)
    made = keystore.registry.people.CreateUser(asked)
    keystore.registry.people.CloseUser(
        people_pb2.CloseUserRequest(user_id=made.user.id, reason="left")
    )
    return str(made.device_token.text)


def of_a_workstation(keystore: KeystoreProcess) -> str:
    return keystore.workstation_token("PC")


def nowhere(keystore: KeystoreProcess) -> str:
    (port,) = free_ports(1)
    return f"{invited(keystore).partition('@')[0]}@127.0.0.1:{port}"


def at_the_services(keystore: KeystoreProcess) -> str:
    return f"{invited(keystore).partition('@')[0]}@{keystore.address}"


def without_its_end(keystore: KeystoreProcess) -> str:
    return invited(keystore)[:-40]


class Row(NamedTuple):
    """The code, the cause, and the next step."""

    token: Callable[[KeystoreProcess], str]
    code: str
    cause: str
    next_step: str


FAILURES: Mapping[str, Row] = {
    "used": Row(used, "TOKEN_REJECTED", "unknown, used or expired", "ask for a new one"),
    "of another role": Row(
        of_a_workstation, "INVALID_INPUT", "for the role workstation", "it was not used"
    ),
    "not whole": Row(without_its_end, "NO_TOKEN", "not an enrolment token", "copy the whole"),
    "withdrawn": Row(removed, "TOKEN_REJECTED", "unknown, used or expired", "ask for a new one"),
    "nobody there": Row(
        nowhere, "CONNECTION_REFUSED", "nobody listens", "is `cloudcard serve` running"
    ),
    "somebody else there": Row(
        at_the_services, "WRONG_KEYSTORE", "not the keystore that issued", "ask for help"
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_has_a_code_a_cause_and_a_next_step(
    name: str, keystore: KeystoreProcess, tmp_path: Path
) -> None:
    """USER-07: in one line, without where in the program it came from."""
    row = FAILURES[name]
    token = row.token(keystore)
    with pytest.raises(Failure) as failed:
        spending.enrol(token, tmp_path / "phone", "authenticator")
    assert failed.value.reason == row.code
    words = ["authenticator", "enrol", token, "--identity", str(tmp_path / "phone")]
    done = CliRunner().invoke(cloudcard, words)
    assert done.exit_code == 1
    told = " ".join(done.output.split())
    assert told.startswith("Error: ")
    assert row.cause in told
    assert row.next_step in told
    assert "Traceback" not in told
    assert not (tmp_path / "phone").exists()


def test_a_folder_that_is_taken_costs_no_token(keystore: KeystoreProcess, tmp_path: Path) -> None:
    """USER-07."""
    spending.enrol(invited(keystore), tmp_path / "phone", "authenticator")
    token = invited(keystore)
    with pytest.raises(FileExists, match=r"already holds an identity: .*remove it") as failed:
        spending.enrol(token, tmp_path / "phone", "authenticator")
    assert failed.value.reason == "EXISTS"
    assert spending.enrol(token, tmp_path / "other", "authenticator")
