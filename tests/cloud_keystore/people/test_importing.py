"""Many people at once: all are checked before anybody is added, and nobody is added twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, event

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.sheets.candidates import Candidate, Outcome
from cloud_keystore.people.importing import MOST_CANDIDATES, Imported
from support.keystore_world import OPERATOR, World

SID = "S-1-5-21-1004336348-1177238915-682003330-512"
ADA = Candidate("Ada Byron", "ada@example.org")
WHOLE = Candidate(
    "Seán O'Brien",
    " o'brien+ward@example.org ",
    organisation="st elsewhere",
    phone="0044\u00a07700 (900) 123",
    upn="sean@corp.example",
    sid=SID,
    profile="V1",
)


def told(world: World, *candidates: Candidate, dry_run: bool = False) -> list[Imported]:
    return world.importing.import_users(candidates, dry_run=dry_run, actor=OPERATOR)


def outcomes(world: World, *candidates: Candidate) -> list[Outcome]:
    return [each.outcome for each in told(world, *candidates)]


def fault(world: World, candidate: Candidate) -> tuple[str, str, str]:
    """Column, reason and fix of the only fault of a candidate."""
    (imported,) = told(world, candidate, dry_run=True)
    assert imported.outcome is Outcome.REFUSED
    (found,) = imported.faults
    return found.column, found.reason, found.fix


def test_people_are_added_with_all_that_is_said(world: World) -> None:
    """USER-02, USER-20, BUG-02 and BUG-04: each has a token, and a card is issued as was said."""
    operator = world.operator().identity
    organisation = world.organisations.add("St Elsewhere", operator)
    ada, sean = told(world, ADA, WHOLE)
    assert [ada.outcome, sean.outcome] == [Outcome.ADDED] * 2
    (listed,) = [each.user for each in world.people.search("o'brien", 5, actor=world.actor)]
    assert (listed.display_name, listed.email) == ("Seán O'Brien", "o'brien+ward@example.org")
    assert (listed.phone, listed.upn, listed.sid) == ("+447700900123", "sean@corp.example", SID)
    assert (listed.organisation_id, listed.profile) == (organisation.id, "v1")
    assert listed.uuid12 == sean.uuid12
    assert sean.token is not None
    assert world.enrol(sean.token.text).identity.user_id == listed.id
    card = world.issuing.issue(b"\x01" * 16, listed.id, "", actor=OPERATOR).card
    assert (card.profile, card.organisation_id) == ("v1", organisation.id)
    assert [each.actor for each in world.journal(Kind.USER_ADDED)] == [OPERATOR] * 2


def test_the_same_people_again_are_there(world: World) -> None:
    world.organisations.add("St Elsewhere", world.operator().identity)
    first = told(world, ADA, WHOLE)
    again = told(world, replace(ADA, email="ADA@Example.org"), WHOLE)
    assert [each.outcome for each in again] == [Outcome.THERE] * 2
    assert [each.uuid12 for each in again] == [each.uuid12 for each in first]
    assert [each.token for each in again] == [None, None]
    # An empty cell says nothing.
    assert outcomes(world, Candidate("Seán O'Brien", "o'brien+ward@example.org")) == [Outcome.THERE]
    assert len(world.people.list_users(actor=world.actor)) == 2


def test_nobody_is_added_if_one_is_refused(world: World) -> None:
    """USER-20."""
    assert outcomes(world, ADA, Candidate("", "bo@example.org")) == [
        Outcome.ADDED,
        Outcome.REFUSED,
    ]
    assert world.people.list_users(actor=world.actor) == []
    assert told(world, ADA, dry_run=True)[0].outcome is Outcome.ADDED
    assert world.people.list_users(actor=world.actor) == []


@pytest.mark.parametrize(
    ("candidate", "column", "reason", "fix"),
    [
        (replace(ADA, name=""), "name", "is empty", "1 to 256"),
        (replace(ADA, name="A" * 257), "name", "257 characters", "1 to 256"),
        (replace(ADA, email=""), "email", "is empty", "name@example"),
        (replace(ADA, email="ada@test"), "email", "no domain", "name@example"),
        (replace(ADA, phone="12"), "phone", "no phone number", "leave the cell empty"),
        (replace(ADA, organisation="Nowhere"), "organisation", "none that is", "list"),
        (replace(ADA, upn="ada"), "upn", "no", "ada@corp"),
        (replace(ADA, sid=SID), "upn", "sid needs it", "ada@corp"),
        (replace(ADA, sid="S-2", upn="a@b.c"), "sid", "no", "objectSid"),
        (replace(ADA, profile="v9"), "profile", "no profile", "v1"),
    ],
)
def test_a_fault_says_what_to_do(
    world: World, candidate: Candidate, column: str, reason: str, fix: str
) -> None:
    """USER-19 and USER-20."""
    found = fault(world, candidate)
    assert found[0] == column
    assert reason in found[1]
    assert fix in found[2]


def test_all_faults_of_a_row_are_told(world: World) -> None:
    (imported,) = told(world, Candidate("", "ada", phone="x"), dry_run=True)
    assert [each.column for each in imported.faults] == ["name", "email", "phone"]


def test_what_differs_is_told(world: World) -> None:
    told(world, ADA)
    column, reason, fix = fault(world, replace(ADA, name="Ada King"))
    assert column == "name"
    assert "Ada Byron, UUID " in reason
    assert "cloudcard ra user edit ada@example.org" in fix
    assert fault(world, replace(ADA, phone="07700900123"))[0] == "phone"
    (user,) = [each.user for each in world.people.list_users(actor=world.actor)]
    world.people.change_user(user.id, None, None, "07700 900123", profile="v1", actor=OPERATOR)
    assert outcomes(world, replace(ADA, phone="+447700900123", profile="V1")) == [Outcome.THERE]
    (changed,) = world.journal(Kind.USER_CHANGED)
    assert changed.details == {
        "old_phone": "",
        "phone": "+447700900123",
        "old_profile": "",
        "profile": "v1",
    }


def test_addresses_and_accounts_belong_to_one_person(world: World) -> None:
    """The case of letters beyond ASCII does not matter either, nor how a domain is written."""
    told(world, Candidate("Élise", "É@bücher.example", upn="É@corp.example"))
    assert outcomes(world, Candidate("élise", "é@XN--BCHER-KVA.example")) == [Outcome.THERE]
    column, reason, _ = fault(world, Candidate("Bo", "bo@example.org", upn="é@CORP.example"))
    assert (column, "Élise" in reason) == ("upn", True)
    # Within one portion too
    assert outcomes(world, ADA, replace(ADA, name="ADA BYRON")) == [Outcome.ADDED, Outcome.THERE]
    refused = told(world, Candidate("Bo", "bo@example.org"), Candidate("Bob", "BO@example.org"))
    assert refused[1].outcome is Outcome.REFUSED
    assert len(world.people.list_users(actor=world.actor)) == 2


def test_a_portion_is_bounded(world: World) -> None:
    with pytest.raises(InvalidInput, match="at most 100"):
        told(world, *[ADA] * (MOST_CANDIDATES + 1))
    assert told(world) == []


def test_a_portion_costs_no_statement_for_each_person(world: World) -> None:
    """10,000 rows in 30 s."""
    counts = []
    for number in (1, MOST_CANDIDATES):
        people = [Candidate(f"N{each}", f"{number}.{each}@example.org") for each in range(number)]
        asked: list[str] = []

        def note(*said: object, asked: list[str] = asked) -> None:
            asked.append(str(said[2]))

        event.listen(Engine, "before_cursor_execute", note)
        assert outcomes(world, *people) == [Outcome.ADDED] * number
        event.remove(Engine, "before_cursor_execute", note)
        counts.append(len(asked))
    assert counts[0] == counts[1]
