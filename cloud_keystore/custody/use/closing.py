"""Ends operations that wait for a holder, and open sessions, each with its journal entry."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.journal import Kind
from cloud_keystore.storage import management_keys, operations, passcodes, sessions
from cloud_keystore.storage.sessions import Which


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
        entry = entries.about_operation(Kind.OPERATION_CANCELLED, found, now, actor, {"why": why})
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


def close_card(
    connection: Connection, card_id: str, now: datetime, actor: Actor, why: str
) -> list[str]:
    """End a card's sessions and waiting operations, and drop its proofs of passcodes and management
    keys. Returns the operations that were withdrawn.
    """
    passcodes.drop_proofs(connection, card_id)
    management_keys.drop_proofs(connection, card_id)
    end_sessions(connection, now, actor, why, Which(card_id=card_id))
    waiting = operations.open_of(connection, card_id)
    return withdraw(connection, waiting, now, actor, why)


def close_workstation(
    connection: Connection, workstation_id: str, now: datetime, actor: Actor, why: str
) -> set[str]:
    """End a workstation's sessions and waiting operations, and drop the proofs that were given
    there. Returns the topics to wake: the operations that were withdrawn, and their holders.
    """
    passcodes.drop_proofs_at(connection, workstation_id)
    management_keys.drop_proofs_at(connection, workstation_id)
    end_sessions(connection, now, actor, why, Which(workstation_id=workstation_id))
    holders = operations.open_from(connection, workstation_id)
    withdrawn = withdraw(connection, holders, now, actor, why)
    return {*withdrawn, *(holders[each] for each in withdrawn)}


def close_device(
    connection: Connection, device_id: str, now: datetime, actor: Actor, why: str
) -> list[str]:
    """End what depends on a device: approvals that are not yet used, sessions that it approved,
    and requests that only it can see. Returns the operations that were withdrawn.
    """
    end_sessions(connection, now, actor, why, Which(device_id=device_id))
    held = operations.held_by(connection, device_id)
    return withdraw(connection, held, now, actor, why)
