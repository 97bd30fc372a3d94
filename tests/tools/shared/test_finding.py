"""What a command makes of what its user has typed."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import finding_pb2 as pb
from cloudcard_tools import ending
from cloudcard_tools.shared.failures import NothingFound, SeveralFound
from cloudcard_tools.shared.finding import Answer, both, find

UUID = "01a21f58-3ec8-76d4-868a-0123456789ab"
SERIAL = "1500000000000017"
NEW = pb.Match(id="1", name="WARD7-PC3", about=["Ward 7"], state="active")
OLD = pb.Match(
    id="2", name="WARD7-PC3", state="removed", ended=True, create_time=Timestamp(seconds=86400)
)


def answer(*matches: pb.Match, more: int = 0) -> Answer:
    return Answer(matches, more)


@pytest.mark.parametrize(("sort", "text"), [(Sort.CARD, SERIAL), (Sort.WORKSTATION, UUID)])
def test_a_whole_identifier_is_not_looked_up(sort: Sort, text: str) -> None:
    def ask(_sort: Sort, _text: str) -> Answer:
        pytest.fail("it asks")

    assert find(ask, sort, text) == text


def test_a_serial_number_finds_its_holder() -> None:
    assert find(lambda *_: answer(NEW), Sort.USER, SERIAL) == "1"


def test_what_is_in_use_is_meant_where_only_that_makes_sense() -> None:
    def ask(_sort: Sort, _text: str) -> Answer:
        return answer(OLD, NEW)

    assert find(ask, Sort.WORKSTATION, "ward7", in_use=True) == "1"
    assert find(lambda *_: answer(OLD), Sort.WORKSTATION, "ward7", in_use=True) == "2"
    with pytest.raises(SeveralFound) as several:
        find(ask, Sort.WORKSTATION, "ward7")
    assert several.value.message.splitlines() == [
        '"ward7" can be each of these workstations:',
        "  2  WARD7-PC3, removed, since 1970-01-02T00:00:00Z",
        "  1  WARD7-PC3, Ward 7, active",
        "Give more of its name, or the identifier or serial number at the left.",
    ]
    assert [each["id"] for each in several.value.matches] == ["2", "1"]
    assert several.value.exit_code == 1


def test_the_rest_is_counted() -> None:
    with pytest.raises(SeveralFound, match="and 7 more"):
        find(lambda *_: answer(OLD, NEW, more=7), Sort.WORKSTATION, "ward7")


def test_nothing() -> None:
    with pytest.raises(NothingFound, match="no card"):
        find(lambda *_: answer(), Sort.CARD, "ada@example.org")


def test_several_things_are_told_to_programs_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    @click.option("--json", is_flag=True)
    def command(**_: bool) -> None:
        find(lambda *_: answer(OLD, NEW), Sort.WORKSTATION, "ward7")

    group = click.Group(commands=[command])
    assert ending.run(group, ["command", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)["error"]
    assert said["reason"] == "SEVERAL_FOUND"
    assert [each["id"] for each in said["matches"]] == ["2", "1"]


def test_a_question_names_what_was_typed_and_what_was_found() -> None:
    assert both("ada@example.org", SERIAL) == f"{SERIAL} (ada@example.org)"
    assert both(SERIAL, SERIAL) == SERIAL


@pytest.mark.parametrize(("typed", "chosen"), [("1", "2"), (" 2 ", "1"), ("", None), ("3", None)])
def test_a_person_chooses_among_several(typed: str, chosen: str | None) -> None:
    @click.command()
    def command() -> None:
        found = find(lambda *_: answer(OLD, NEW, more=7), Sort.WORKSTATION, "ward7", by_hand=True)
        click.echo(found)

    done = CliRunner().invoke(command, input=f"{typed}\n")
    assert "  1  2  WARD7-PC3, removed" in done.stderr
    assert "  2  1  WARD7-PC3, Ward 7, active" in done.stderr
    assert "and 7 more" in done.stderr
    assert done.stdout.strip() == (chosen or "")
    assert done.exit_code == (chosen is None)
