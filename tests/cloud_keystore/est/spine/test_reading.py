"""What a broker's answer says of a ticket (SPINE-01)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.est.spine.reading import ClockOff, Unclear, identity
from cloud_keystore.model.spine.tickets import SpineIdentity
from cloudcard_tools.simulate.broker.assertions import response
from cloudcard_tools.simulate.directory import Directory
from support.simulators import NOW

PERSON = next(each for each in Directory(1).people() if len(each.roles) == 3)
ANSWER = response(PERSON, None, "0" * 32, "0", NOW)


def read(answer: bytes) -> SpineIdentity | None:
    """None if it is unclear."""
    try:
        return identity(answer, NOW)
    except Unclear:
        return None


def test_whose_a_ticket_is() -> None:
    """SPINE-01."""
    found = identity(ANSWER, NOW)
    assert (found.uid, found.name, found.is_training) == (PERSON.id, PERSON.name, False)
    assert [(each.id, each.organisation, each.code) for each in found.roles] == [
        (each.id, each.organisation, each.job.code) for each in PERSON.roles
    ]


def test_a_role_that_was_chosen_and_the_training_service() -> None:
    found = identity(response(PERSON, PERSON.roles[1], "0" * 32, "1", NOW), NOW)
    assert [each.id for each in found.roles] == [PERSON.roles[1].id]
    assert found.is_training


@pytest.mark.parametrize("away", [timedelta(minutes=-3, seconds=-1), timedelta(minutes=1)])
def test_an_answer_counts_for_four_minutes(away: timedelta) -> None:
    with pytest.raises(ClockOff, match="the clock here says"):
        identity(ANSWER, NOW + away)


@pytest.mark.parametrize("away", [timedelta(minutes=-3), timedelta(seconds=59)])
def test_the_ends_of_these_minutes(away: timedelta) -> None:
    assert identity(ANSWER, NOW + away).uid == PERSON.id


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (b"samlp:Success", b"samlp:Responder", "status"),
        (b"samlp:Response", b"samlp:Request", "no Response"),
        (PERSON.id.encode() + b"</saml:NameId", b"999999999999</saml:NameId", "for certain"),
        (PERSON.id.encode(), b"12345678901", "for certain"),
        (PERSON.name.encode(), b"", "for certain"),
        (PERSON.name.encode(), "LOVELACE\u202eAda".encode(), "cannot be shown"),
        (PERSON.name.encode(), b"A" * 257, "cannot be shown"),
        (PERSON.name.encode(), b"<b>Ada</b>", "cannot be shown"),
        (b'"ssbMode"', b'"mode"', "training"),
        (b'"cn"', b'"uid"', "twice"),
        (b'"uniqueJobRoleIdentifier"', b'"other"', "without an identifier"),
        (b"NotBefore=", b"NotBefor=", "when it counts"),
        (b"<saml:NameIdentifier>", b"<saml:NameIdentifier/><saml:NameIdentifier>", "it has 2 of"),
        (b"<samlp:Response ", b"<!DOCTYPE r [<!ENTITY a 'b'>]><samlp:Response ", "document type"),
        (b"</samlp:Response>", b"", "no XML"),
    ],
)
def test_an_answer_that_is_unclear(before: bytes, after: bytes, why: str) -> None:
    """SPINE-02: the text has nothing that the broker has written."""
    assert before in ANSWER
    with pytest.raises(Unclear, match=why) as unclear:
        identity(ANSWER.replace(before, after), NOW)
    assert PERSON.name not in str(unclear.value)


def test_an_answer_that_is_too_large() -> None:
    with pytest.raises(Unclear, match="bytes"):
        identity(ANSWER + b" " * (1 << 20), NOW)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_unclear(answer: bytes) -> None:
    assert read(answer) is None


@given(st.integers(0, len(ANSWER) - 1), st.integers(0, 255))
def test_an_answer_with_another_byte_is_read_or_unclear(place: int, byte: int) -> None:
    found = read(ANSWER[:place] + bytes([byte]) + ANSWER[place + 1 :])
    assert found is None or (found.uid == PERSON.id and found.name.isprintable())
