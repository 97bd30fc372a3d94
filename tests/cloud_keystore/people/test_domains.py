"""Domains that e-mail addresses can have."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.sheets.candidates import Candidate, Outcome
from support.keystore_world import OPERATOR, World


def test_a_domain_is_allowed_at_once_and_others_are_refused(world: World) -> None:
    """USER-18."""
    operator = world.operator().identity
    ada, _ = world.people.add_user("Ada", "ada@old.example", actor=OPERATOR)
    assert world.domains.add("Bücher.example", actor=operator.actor)
    assert not world.domains.add("xn--bcher-kva.EXAMPLE", actor=operator.actor)
    assert [each.name for each in world.domains.list_all(actor=world.actor)] == [
        "xn--bcher-kva.example"
    ]
    with pytest.raises(InvalidInput, match=r"xn--bcher-kva\.example can be used"):
        world.people.add_user("Bo", "bo@example.org", actor=OPERATOR)
    with pytest.raises(InvalidInput, match="not allowed"):
        world.people.change_user(ada.id, None, "ada@example.org", actor=OPERATOR)
    candidates = [Candidate("Bo", "bo@example.org"), Candidate("Bo", "bo@bücher.example")]
    refused, added = world.importing.import_users(candidates, dry_run=True, actor=OPERATOR)
    assert (refused.outcome, refused.faults[0].column) == (Outcome.REFUSED, "email")
    assert added.outcome is Outcome.ADDED
    world.people.change_user(ada.id, "Ada King", None, actor=OPERATOR)  # the address stays
    world.people.add_user("Cy", "", actor=OPERATOR)


def test_without_any_domain_all_are_allowed_again(world: World) -> None:
    operator = world.operator().identity
    for _ in range(2):
        assert world.domains.add("example.org", actor=operator.actor)
        assert world.domains.remove("@example.org", actor=operator.actor)
    assert not world.domains.remove("example.org", actor=operator.actor)
    world.people.add_user("Bo", "bo@example.com", actor=OPERATOR)
    added, removed = (
        [each.details for each in world.journal(kind)]
        for kind in (Kind.EMAIL_DOMAIN_ADDED, Kind.EMAIL_DOMAIN_REMOVED)
    )
    assert added == removed == [{"domain": "example.org"}] * 2
