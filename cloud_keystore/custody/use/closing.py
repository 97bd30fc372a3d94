"""Ends operations that wait for a holder, open sessions, sign-ins and seats, each with its journal
entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity
from cloud_keystore.model.sharing.seats import Seat
from cloud_keystore.model.sharing.seats import Why as WhySeat
from cloud_keystore.model.sign_ins import State, Why
from cloud_keystore.storage import (
    management_keys,
    operations,
    passcodes,
    people,
    sessions,
    sign_ins,
)
from cloud_keystore.storage.credentials import unlock_codes
from cloud_keystore.storage.outbox import bells
from cloud_keystore.storage.sessions import Which
from cloud_keystore.storage.sharing import seats
from cloud_keystore.storage.sharing.seats import Which as WhichSeats
from cloud_keystore.storage.sign_ins import Which as WhichSignIns


def withdraw(
    connection: Connection, operation_ids: Iterable[str], now: datetime, actor: Actor, why: str
) -> list[str]:
    """Cancel operations, and return the identifiers of those that were cancelled. An operation that
    has ended, or whose key is in use, stays as it is.
    """
    cancelled = []
    for operation_id in operation_ids:
        found = operations.find(connection, operation_id)
        if found is None or not operations.cancel(connection, operation_id, now):
            continue
        cancelled.append(operation_id)
        entry = entries.about_asked(Kind.OPERATION_CANCELLED, found, now, actor, {"why": why})
        journal.append(connection, entry)
    return cancelled


def end_sessions(
    connection: Connection,
    now: datetime,
    actor: Actor,
    why: str,
    which: Which,
) -> list[str]:
    """End open sessions; returns their identifiers."""
    ended = sessions.end(connection, now, which)
    for session in ended:
        journal.append(connection, entries.session_ended(session, now, actor, why))
    return [session.id for session in ended]


def end_sign_ins(
    connection: Connection, now: datetime, actor: Actor, why: Why, which: WhichSignIns
) -> list[str]:
    """End sign-ins. A card that was in a reader leaves nothing open there: its sessions at that
    workstation end, and passcodes that were given there no longer count. Returns the topics to
    wake: the sign-ins, and operations that were withdrawn.
    """
    topics: list[str] = []
    for ended in sign_ins.end(connection, which, now, why):
        topics.append(ended.id)
        journal.append(connection, entries.sign_in_ended(ended, now, actor, why))
        if ended.state is State.OPEN and ended.card_id is not None:
            at = (ended.card_id, ended.workstation_id)
            passcodes.drop_proofs_at(connection, ended.workstation_id, ended.card_id)
            which_sessions = Which(card_id=at[0], workstation_id=at[1])
            end_sessions(connection, now, actor, why.value, which_sessions)
            waiting = operations.open_at(connection, *at, now)
            topics += withdraw(connection, waiting, now, actor, why.value)
    return topics


def close_card(
    connection: Connection, card_id: str, now: datetime, actor: Actor, why: str
) -> list[str]:
    """End a card's sign-ins, sessions, waiting operations and unlock code, and drop its proofs of
    passcodes and management keys. Returns the topics to wake: the operations that were withdrawn,
    and the sign-ins.
    """
    passcodes.drop_proofs(connection, card_id)
    unlock_codes.end_all(connection, card_id, now)
    management_keys.drop_proofs(connection, card_id)
    end_sessions(connection, now, actor, why, Which(card_id=card_id))
    waiting = operations.open_of(connection, card_id)
    withdrawn = withdraw(connection, waiting, now, actor, why)
    which = WhichSignIns(card_id=card_id)
    return [*withdrawn, *end_sign_ins(connection, now, actor, Why.CARD, which)]


def close_workstation(
    connection: Connection, workstation_id: str, now: datetime, actor: Actor, why: str
) -> set[str]:
    """End a workstation's sign-ins, sessions and waiting operations, and drop the proofs that were
    given there. Returns the topics to wake: the operations that were withdrawn, their holders, and
    the sign-ins.
    """
    passcodes.drop_proofs_at(connection, workstation_id)
    management_keys.drop_proofs_at(connection, workstation_id)
    end_sessions(connection, now, actor, why, Which(workstation_id=workstation_id))
    holders = operations.open_from(connection, workstation_id)
    withdrawn = withdraw(connection, holders, now, actor, why)
    which = WhichSignIns(workstation_id=workstation_id)
    ended = end_sign_ins(connection, now, actor, Why.REMOVED, which)
    return {*withdrawn, *(holders[each] for each in withdrawn), *ended}


def close_device(
    connection: Connection, device: Identity, now: datetime, actor: Actor, why: str
) -> list[str]:
    """End what depends on a device: approvals that are not yet used, sessions, sign-ins and seats
    that it approved, requests that only it can see, and its bell. Returns the topics to wake: the
    operations that were withdrawn, and the sign-ins.
    """
    # All of that is the holder's, by whom it is found.
    user_id = device.user_id or ""
    end_sessions(connection, now, actor, why, Which(user_id=user_id, device_id=device.id))
    held = operations.held_by(connection, user_id, device.id)
    withdrawn = withdraw(connection, held, now, actor, why)
    which = WhichSignIns(user_id=user_id, device_id=device.id)
    bells.end(connection, device.id, now)
    ended = end_sign_ins(connection, now, actor, Why.REMOVED, which)
    taken = WhichSeats(user_id=user_id, phone_id=device.id)
    return [*withdrawn, *ended, *end_seats(connection, now, actor, WhySeat.REMOVED, taken)]


def end_seats(
    connection: Connection, now: datetime, actor: Actor, why: WhySeat, which: WhichSeats
) -> list[str]:
    """End seats at shared devices, and all that was approved there and is not over. Returns the
    topics to wake: holders, shared devices and what was withdrawn.
    """
    return close_seats(connection, seats.end(connection, which, why), now, actor, why)


def close_seats(
    connection: Connection, ended: Iterable[Seat], now: datetime, actor: Actor, why: str
) -> list[str]:
    """Take the keys of seats that have ended out of use for ever. Returns the topics to wake."""
    topics: list[str] = []
    for seat in ended:
        journal.append(
            connection,
            entries.about_seat(Kind.SEAT_ENDED, seat, now, actor, {"why": str(why)}),
        )
        topics += [seat.device_id, *([seat.user_id] if seat.user_id else [])]
        own = people.find_identity(connection, seat.identity_id or "")
        if own is None or not people.remove_identity(connection, own.id):
            continue
        said = {"reason": str(why), "name": own.display_name}
        removed = entries.about_identity(Kind.IDENTITY_REMOVED, own, now, actor, said)
        journal.append(connection, removed)
        topics += [own.id, *close_device(connection, own, now, actor, str(why))]
    return topics
