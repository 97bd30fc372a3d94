"""Log-ins at the portal by a code to the holder's verified number."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloud_keystore.mail.letters import Letter
from cloud_keystore.model.errors import TooManyCalls
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.rights.visits import OWN_PREFIX, text_sha256
from cloud_keystore.storage.outbox.notifications import Terms
from support.keystore_world import World
from support.outbox import MAIL, Told
from support.portal import EMAIL, PASSWORD, Portal, other_than

NUMBER = "+447700900123"


def texts(portal: Portal) -> list[Letter]:
    """What goes to a number now."""
    return [each for each in portal.told.send() if each.medium is Medium.SMS]


def code_in(letter: Letter) -> str:
    return letter.text.split()[0]


def visitor(world: World, secret: str) -> Identity:
    found = text_sha256(OWN_PREFIX, secret)
    assert found is not None
    return world.portal_visits.find(found)


def step_of(world: World) -> str:
    """What a browser keeps after the right password."""
    found = world.portal_visits.ask(EMAIL, PASSWORD)
    assert found is not None
    return found.text


@pytest.fixture
def portal(world: World) -> Portal:
    """Ada, who has a verified number, and has chosen it for her log-ins."""
    opened = Portal.open(Told(world))
    media = frozenset({Medium.EMAIL, Medium.SMS})
    world.database.tell_people(Terms(MAIL.remind_days, media=media))
    world.people.change_user(opened.user.id, None, None, NUMBER, actor=world.actor)
    phone = opened.phone.identity
    world.phones.send_own(phone)
    (sent,) = texts(opened)
    assert world.phones.confirm_own(code_in(sent), phone).is_verified
    holder = visitor(world, world.portal_visits.begin(step_of(world), opened.code()).secret)
    world.log_in_factors.ask(Factor.SMS, holder)
    assert world.log_in_factors.change(Factor.SMS, opened.code(), holder).is_set
    world.clock.now += timedelta(hours=1)
    return opened


def test_a_code_to_the_number_lets_in(world: World, portal: Portal) -> None:
    """AUTH-07, COM-04: the number gets a code, the address does not, and a wrong one spends a
    try.
    """
    step = step_of(world)
    assert world.portal_visits.needed(step).factor is Factor.SMS
    sent = portal.told.send()
    assert [(each.medium, each.address) for each in sent] == [(Medium.SMS, NUMBER)]
    code = code_in(sent[0])
    assert len(code) == 8
    wrong = world.portal_visits.begin(step, other_than(code))
    assert (wrong.secret, wrong.tries_left) == ("", 4)
    assert visitor(world, world.portal_visits.begin(step, code).secret).user_id == portal.user.id


def test_a_number_gets_few_codes(world: World, portal: Portal) -> None:
    """COM-04: the attack: messages cost, and wear people down."""
    step = step_of(world)
    for _ in range(2):
        world.portal_visits.again(step)
    with pytest.raises(TooManyCalls):
        world.portal_visits.again(step)
    assert len(texts(portal)) <= 3


def test_another_number_has_to_be_verified_first(world: World, portal: Portal) -> None:
    """The attack: an operator enters a number of their own. It gets no code: the address does."""
    world.people.change_user(portal.user.id, None, None, "+447700900999", actor=world.actor)
    step = step_of(world)
    assert world.portal_visits.needed(step).factor is Factor.EMAIL
    assert texts(portal) == []
