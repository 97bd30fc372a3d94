"""The pages of policies: what holds, from where, and setting it."""

from __future__ import annotations

import re

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy, Term
from cloud_keystore.model.rights.requests import HighRisk
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.web.ra.administration.terms import WORDS
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor

ANSWERS = {
    Term.PASSWORDLESS: {"passwordless": "yes"},
    Term.BATCH: {"largest_batch": "20"},
    Term.COMMITMENT: {"largest_commitment_batch": "21"},
    Term.SESSION: {"uses": "500", "minutes": "480"},
    Term.CHANNELS: {"ways-QR": "yes"},
    Term.PASSKEYS: {
        "passkeys": "yes",
        "synced": "yes",
        "models": "2FC0579F-8113-47ea-b116-bb5a8db9202a",
    },
    Term.CODE_TIME: {"minutes": "30"},
    Term.SURVEY: {"survey_after": "10"},
    Term.PASSWORDS: {
        "portal_passwords": "yes",
        "security_answers": "2",
        "portal_changes": "yes",
        "portal_factors-phone": "yes",
        "portal_factors-passkey": "yes",
    },
    Term.REFUSES_PUK: {"refuses_puk": "yes"},
    Term.SHARED_DEVICES: {"shared_device_minutes": "480"},
}
SEEN = re.compile(r'name="seen" value="([^"]+)"')


def policy(world: World, place: str = ROOT, profile: str = "") -> Policy:
    return world.explaining.of_organisation(place, profile, actor=OPERATOR).version.policy


def seen(visitor: Visitor, path: str) -> str:
    found = SEEN.search(visitor.page(path))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("term", Term)
def test_each_term_is_set_and_inherited_again(world: World, visitor: Visitor, term: Term) -> None:
    path = f"/ra/policies/{term.value}?organisation={ROOT}&profile="
    before = policy(world)
    sent = {"holds": "own", "seen": seen(visitor, path), **ANSWERS[term]}
    shown = visitor.done(path, **sent)
    assert "It is changed." in shown
    now = policy(world)
    assert now != before
    assert f">{WORDS[term].shown(now)}<" in shown
    assert WORDS[term].shown(now) != WORDS[term].shown(before)
    assert shown.count(">Set here<") == 1
    visitor.done(path, holds="inherited", seen=seen(visitor, path))
    assert policy(world) == before
    assert ">Set here<" not in visitor.page(f"/ra/policies?organisation={ROOT}")


@pytest.mark.parametrize(
    ("term", "said"),
    [
        (Term.BATCH, {"largest_batch": "0"}),
        (Term.BATCH, {"largest_batch": "²"}),
        (Term.BATCH, {"largest_batch": "9" * 40}),
        (Term.PASSWORDLESS, {"passwordless": "perhaps"}),
        (Term.SESSION, {"uses": "5", "minutes": ""}),
        (Term.SESSION, {"uses": "5", "minutes": "721"}),
        (Term.CHANNELS, {}),
        (Term.PASSKEYS, {"passkeys": "yes", "synced": "no", "models": "YubiKey"}),
        (Term.CODE_TIME, {"minutes": "4"}),
        (Term.SHARED_DEVICES, {"shared_device_minutes": "4"}),
        (
            Term.PASSWORDS,
            {"portal_passwords": "no", "security_answers": "1", "portal_changes": "no"},
        ),
        (
            Term.PASSWORDS,
            {
                "portal_passwords": "no",
                "security_answers": "0",
                "portal_changes": "no",
                "portal_factors-sms": "yes",
            },
        ),
    ],
)
def test_what_no_policy_can_say_is_refused(
    world: World, visitor: Visitor, term: Term, said: dict[str, str]
) -> None:
    path = f"/ra/policies/{term.value}?organisation={ROOT}&profile="
    sent = {"holds": "own", "seen": seen(visitor, path), **said}
    told = visitor.post(path, **sent)
    assert told.status == 422
    assert "Error: " in told.body.decode()
    assert visitor.post(path, **{**sent, "holds": "x"}).status == 422
    assert policy(world) == Policy()


def test_a_policy_comes_from_above_and_says_so(
    world: World, visitor: Visitor, olga: Identity
) -> None:
    ward = world.organisations.add("Ward", olga).id
    path = f"/ra/policies/largest_batch?organisation={ROOT}&profile="
    visitor.done(path, holds="own", seen=seen(visitor, path), largest_batch="20")
    shown = visitor.page(f"/ra/policies?organisation={ward}&profile=v2")
    assert "Policies of Ward, v2" in shown
    assert "Inherited from Default" in shown
    own = f"/ra/policies/session?organisation={ward}&profile=v2"
    visitor.done(own, holds="own", seen=seen(visitor, own), uses="5", minutes="5")
    now = policy(world, ward, "v2")
    assert now.session is not None
    assert now.largest_batch == 20
    assert policy(world, ward).session is None


def test_what_was_changed_meanwhile_is_not_overwritten(world: World, visitor: Visitor) -> None:
    path = f"/ra/policies/largest_batch?organisation={ROOT}&profile="
    old = seen(visitor, path)
    visitor.done(path, holds="own", seen=old, largest_batch="20")
    told = visitor.post(path, holds="own", seen=old, largest_batch="30")
    assert told.status == 412
    assert "changed meanwhile" in told.body.decode()
    assert policy(world).largest_batch == 20


def test_a_policy_that_needs_another_operator_waits(
    world: World, visitor: Visitor, olga: Identity
) -> None:
    world.operator()
    world.four_eyes.require([HighRisk.POLICY], ROOT, actor=olga.actor)
    path = f"/ra/policies/largest_batch?organisation={ROOT}&profile="
    told = visitor.post(path, holds="own", seen=seen(visitor, path), largest_batch="20")
    assert told.status == 409
    assert policy(world).largest_batch == 1


def test_policies_of_others_are_neither_seen_nor_set(
    world: World, application: ASGIApp, olga: Identity
) -> None:
    ours, theirs = (world.organisations.add(name, olga).id for name in ("Ours", "Theirs"))
    token = world.people.add_operator("Ida", BuiltIn.RA_MANAGER, ours, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    assert "Theirs" not in ida.page("/ra/policies")
    assert ida.get(f"/ra/policies?organisation={theirs}").status == 422
    path = f"/ra/policies/largest_batch?organisation={theirs}&profile="
    assert ida.get(path).status == 404
    assert ida.post(path, holds="own", seen="x", largest_batch="20").status == 404
    assert ida.get(f"/ra/policies/nonsense?organisation={ours}").status == 422
    assert ida.get(f"/ra/policies/session?organisation={ours}&profile=none").status == 422
    token = world.people.add_operator("Ada", BuiltIn.RA_AGENT, actor=OPERATOR)
    agent = Visitor.of(world, application, world.enrol(token.text).identity)
    assert "/ra/policies/" not in agent.page("/ra/policies")
    path = f"/ra/policies/largest_batch?organisation={ROOT}&profile="
    given = {"holds": "own", "seen": seen(agent, path), "largest_batch": "20"}
    assert agent.post(path, **given).status == 403


def test_every_term_has_words() -> None:
    assert set(WORDS) == set(Term) == set(ANSWERS)
