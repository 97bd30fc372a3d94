"""Issuing cards: what is new on each, and orders that are refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from cryptography import x509

from cloud_keystore.model.errors import InvalidInput, UserNotFound
from cloud_keystore.model.people import User
from support.keystore_world import OPERATOR, Enrolled, World


def test_a_card_is_its_own(world: World, ada: tuple[User, Enrolled]) -> None:
    cards = [world.find(world.card(ada[0])).card for _ in range(2)]
    assert len({card.serial for card in cards}) == 2
    assert len({card.guid for card in cards}) == 2
    assert all(len(card.serial) == 16 and card.serial.startswith("100") for card in cards)


def test_issuing_is_idempotent(world: World, ada: tuple[User, Enrolled]) -> None:
    request_id = os.urandom(16)
    first = world.issuing.issue(request_id, ada[0].id, "p256", actor=OPERATOR)
    assert world.issuing.issue(request_id, ada[0].id, "p256", actor=OPERATOR) == first
    assert len(world.cards.list_all(actor=world.actor)) == 1


def test_wrong_orders(world: World, ada: tuple[User, Enrolled]) -> None:
    with pytest.raises(UserNotFound):
        world.issuing.issue(os.urandom(16), "nobody", "p256", actor=OPERATOR)
    with pytest.raises(InvalidInput, match="use one of v1, v2"):
        world.issuing.issue(os.urandom(16), ada[0].id, "rsa512", actor=OPERATOR)
    with pytest.raises(InvalidInput):
        world.issuing.issue(b"", ada[0].id, "p256", actor=OPERATOR)


def test_expiry_is_that_of_the_certificates(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0])
    expires = world.find(serial).card.expire_time
    for key in world.keys(serial):
        certificate = x509.load_der_x509_certificate(key.certificate)
        assert certificate.not_valid_after_utc == expires
    assert expires > datetime.now(UTC)
