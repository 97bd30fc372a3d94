"""What workstations say is wrong with them: kept, bounded, and read by who looks after them."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import IdentityNotFound, InvalidInput, TooManyCalls
from cloud_keystore.model.fields.problems import (
    LONGEST_CAUSE,
    MOST_PROBLEMS,
    Counted,
    Problem,
    Report,
)
from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.storage.enrolment import problems
from support.keystore_world import OPERATOR, World

FAILED = Problem("pcscd.running", "pcscd running", True, "nobody answers", "start pcscd")
LOOK = Problem("agent.window", "Window", False, "no window", "apt-get install python3-gi")


def said(world: World, pc: Identity) -> Report | None:
    return world.problems.of(pc.id, actor=OPERATOR)[1]


def test_what_is_said_last_is_kept(world: World) -> None:
    """CARD-09: cause and fix of each failed check, word for word, until another report."""
    pc = world.workstation().identity
    assert said(world, pc) is None
    assert not world.problems.counted([pc.id], actor=OPERATOR)
    world.problems.report([FAILED, LOOK], pc)
    first = world.clock()
    assert said(world, pc) == Report((FAILED, LOOK), first)
    assert world.problems.counted([pc.id], actor=OPERATOR) == {pc.id: Counted(1, 1, first)}
    world.clock.forward(minutes=59)
    world.problems.report([FAILED, LOOK], pc)
    assert said(world, pc) == Report((FAILED, LOOK), first)
    world.clock.forward(minutes=1)
    world.problems.report([FAILED, LOOK], pc)
    assert said(world, pc) == Report((FAILED, LOOK), world.clock())
    world.clock.forward(seconds=5)
    world.problems.report([], pc)
    assert world.problems.counted([pc.id], actor=OPERATOR) == {pc.id: Counted(0, 0, world.clock())}


def test_nobody_writes_with_each_call(world: World) -> None:
    pc = world.workstation().identity
    world.problems.report([FAILED], pc)
    world.clock.forward(seconds=4)
    with pytest.raises(TooManyCalls) as refused:
        world.problems.report([LOOK], pc)
    assert refused.value.retry_seconds == 1
    world.clock.forward(seconds=1)
    world.problems.report([LOOK], pc)
    found = said(world, pc)
    assert found is not None
    assert found.problems == (LOOK,)


def test_a_report_has_a_bound(world: World) -> None:
    pc = world.workstation().identity
    world.problems.report([LOOK] * MOST_PROBLEMS, pc)
    with pytest.raises(InvalidInput, match="65 problems"):
        world.problems.report([LOOK] * (MOST_PROBLEMS + 1), pc)


@pytest.mark.parametrize(
    ("check", "name", "cause", "fix"),
    [
        ("", "Name", "cause", ""),
        ("Rm -rf", "Name", "cause", ""),
        ("a" * 65, "Name", "cause", ""),
        ("a.b", "", "cause", ""),
        ("a.b", "n" * 65, "cause", ""),
        ("a.b", "Name", "", ""),
        ("a.b", "Name", "c" * (LONGEST_CAUSE + 1), ""),
        ("a.b", "Name", "cause", "f" * (LONGEST_CAUSE + 1)),
        ("a.b", "Name", "a\x1b[2Jb", ""),
        ("a.b", "Name", "cause", "a\u202eb"),
    ],
)
def test_texts_that_cannot_be_shown_are_refused(
    check: str, name: str, cause: str, fix: str
) -> None:
    with pytest.raises(InvalidInput):
        Problem.of(check, name, True, cause, fix)


@given(st.text(), st.text(), st.booleans(), st.text(), st.text())
def test_any_texts_are_a_problem_or_refused(
    check: str, name: str, failed: bool, cause: str, fix: str
) -> None:
    try:
        made = Problem.of(check, name, failed, cause, fix)
    except InvalidInput:
        return
    assert Problem.of(made.check, made.name, failed, made.cause, made.fix) == made


def test_problems_are_of_those_whom_an_operator_sees(world: World) -> None:
    pc = world.workstation().identity
    world.problems.report([FAILED], pc)
    organisations = Organisations(world.database, world.clock, os.urandom)
    other = organisations.add("St Elsewhere", world.operator().identity)
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER.value, other.id, actor=OPERATOR)
    ida = world.enrol(token.text).identity.actor
    assert not world.problems.counted([pc.id], actor=ida)
    with pytest.raises(IdentityNotFound, match="no such workstation"):
        world.problems.of(pc.id, actor=ida)
    _, phone = world.user()
    with pytest.raises(IdentityNotFound, match="no such workstation"):
        world.problems.of(phone.identity.id, actor=OPERATOR)


def test_rows_read_back_as_they_were_written(world: World) -> None:
    one, two = world.workstation("PC1").identity, world.workstation("PC2").identity
    report = Report((FAILED, replace(LOOK, cause="ünï “codé”", fix="")), world.clock())
    with world.database.write() as connection:
        problems.put(connection, one.id, report)
    with world.database.read() as connection:
        assert problems.find(connection, one.id) == report
        assert problems.of(connection, [one.id, two.id]) == {one.id: report}
        assert problems.find(connection, two.id) is None
