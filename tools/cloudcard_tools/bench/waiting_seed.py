"""Thousands of operations written into a stopped keystore's database at once, as asking for them
would, one by one, take longer than a holder has for a decision.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from cloud_keystore.approval import payload
from cloud_keystore.approval.payload import Asked
from cloud_keystore.audit import journal
from cloud_keystore.model.algorithms import KeyUse
from cloud_keystore.model.clock import new_id, utc_now
from cloud_keystore.model.journal import Event, Kind
from cloud_keystore.model.operations import DECISION_TIME, QR_TIME, Channel, Operation, State
from cloud_keystore.model.people import Identity
from cloud_keystore.storage import cards, operations, organisations, people, policies
from cloud_keystore.storage.engine import Database

AUTHENTICATION_KEY = 0x9A
INPUT = b"\x11" * 32
NUMBER = "42"
NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Seeded:
    """An operation that waits, and the workstation that has asked for it, by its place."""

    workstation: int
    operation_id: str


def seed(
    database: Path, workstation_ids: Sequence[str], serials: Sequence[str], count: int
) -> list[Seeded]:
    """Have workstations ask for the key of each card in turn, until there are so many operations.
    They wait from now on.
    """
    opened = Database(f"sqlite:///{database}")
    seeded: list[Seeded] = []
    try:
        with opened.write() as connection:
            found = [people.find_identity(connection, each) for each in workstation_ids]
            workstations = [each for each in found if each is not None]
            now = utc_now()
            for serial in serials:
                left = workstations[: count - len(seeded)]
                made = _of_card(connection, serial, left, now)
                seeded += [Seeded(place, each) for place, each in enumerate(made)]
    finally:
        opened.close()
    return seeded


def _of_card(
    connection: Connection, serial: str, workstations: Sequence[Identity], now: datetime
) -> list[str]:
    """One operation of a card for each workstation; returns their ids."""
    card = cards.find_by_serial(connection, serial)
    user = None if card is None else people.find_user(connection, card.user_id)
    if card is None or user is None:
        raise ValueError(f"there is no card {serial} with a holder")
    (key,) = (
        each for each in cards.keys(connection, card.id) if each.key_ref == AUTHENTICATION_KEY
    )
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    organisation = organisations.name(connection, card.organisation_id)
    made = []
    for workstation in workstations:
        asked = Asked(
            operation_id=new_id(now, os.urandom),
            key_use=KeyUse.SIGN,
            key=key,
            card=card,
            user=user,
            workstation=workstation,
            application="",
            inputs=(INPUT,),
            session=None,
            organisation=organisation,
            policy=in_force.name,
            factors=("passcode",),
            create_time=now,
            expire_time=now + DECISION_TIME,
            nonce=os.urandom(NONCE_BYTES),
        )
        operation = _operation(asked)
        operations.add(connection, operation)
        journal.append(connection, _asked(operation))
        made.append(operation.id)
    return made


def _operation(asked: Asked) -> Operation:
    return Operation(
        id=asked.operation_id,
        request_id=os.urandom(16),
        workstation_id=asked.workstation.id,
        card_id=asked.card.id,
        key_id=asked.key.id,
        user_id=asked.user.id,
        key_use=asked.key_use,
        state=State.PENDING,
        payload=payload.encode(asked),
        number=NUMBER,
        channels=frozenset({Channel.PUSH}),
        create_time=asked.create_time,
        expire_time=asked.expire_time,
        qr_expire_time=asked.create_time + QR_TIME,
        policy=asked.policy,
    )


def _asked(operation: Operation) -> Event:
    return Event(
        kind=Kind.OPERATION_ASKED,
        time=operation.create_time,
        actor=f"workstation {operation.workstation_id}",
        card_id=operation.card_id,
        user_id=operation.user_id,
        workstation_id=operation.workstation_id,
        operation_id=operation.id,
        key_id=operation.key_id,
        details={"kind": operation.kind.name, "policy": operation.policy, "inputs": 1},
        evidence={"payload": operation.payload},
    )
