"""Rows of what one operator asks for and another one has to approve, and of the operations for
which that is so.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Column, Connection, RowMapping, String, select

from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.requests import (
    Action,
    Deed,
    HighRisk,
    Request,
    RequestState,
    decode,
    encode,
    parsed,
    spelled,
)
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import organisations
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant

four_eyes = authentic(
    "four_eyes",
    Column("organisation_id", String, primary_key=True),
    Column("operations", String, nullable=False),
)

request = authentic(
    "request",
    Column("id", String, primary_key=True),
    Column("action", String, nullable=False),
    Column("right", String, nullable=False),
    Column("organisation_id", String, nullable=False),
    Column("about", String, nullable=False),
    Column("terms", String, nullable=False),
    Column("asked_by", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("decided_by", String),
    Column("decide_time", Instant),
)


def set_operations(
    connection: Connection, organisation_id: str, operations: frozenset[HighRisk]
) -> None:
    """Say which operations are of high risk in an organisation and below it."""
    own, values = (
        four_eyes.c.organisation_id == organisation_id,
        {"operations": spelled(operations)},
    )
    if not rows.change(connection, four_eyes, [own], values):
        rows.add(connection, four_eyes, {"organisation_id": organisation_id, **values})


def all_operations(connection: Connection) -> dict[str, frozenset[HighRisk]]:
    """The operations of high risk, by the organisation that has named them. Raises
    RowNotAuthentic: without a row that was changed, nobody would be asked.
    """
    found = rows.read(connection, four_eyes, select(four_eyes))
    return {row["organisation_id"]: parsed(row["operations"]) for row in found}


def operations_in(connection: Connection, organisation_id: str) -> frozenset[HighRisk]:
    """The operations of high risk in an organisation: what it has named, and those above it."""
    named = all_operations(connection)
    if not named:
        return frozenset()
    above = upwards(organisation_id, organisations.parents(connection))
    return frozenset[HighRisk]().union(*(named.get(each, frozenset()) for each in above))


def add(connection: Connection, made: Request) -> None:
    rows.add(
        connection,
        request,
        {
            "id": made.id,
            "action": made.wanted.action,
            "right": made.wanted.right,
            "organisation_id": made.wanted.organisation_id,
            "about": made.wanted.about,
            "terms": encode(made.wanted.terms),
            "asked_by": made.asked_by,
            "create_time": made.create_time,
            "expire_time": made.expire_time,
            "state": made.state,
        },
    )


def find(connection: Connection, request_id: str) -> Request | None:
    row = rows.one(connection, request, id=request_id)
    return None if row is None else _to_request(row)


def list_all(connection: Connection) -> list[Request]:
    """All requests, oldest first. Records that are not authentic are passed over."""
    found = rows.authentic(connection, request, select(request).order_by(request.c.id))
    return [_to_request(row) for row in found]


def open_of(connection: Connection, asked_by: str, now: datetime) -> list[Request]:
    """Open requests of an operator, oldest first."""
    query = select(request).where(request.c.expire_time > now, request.c.asked_by == asked_by)
    found = rows.authentic(connection, request, query.order_by(request.c.id))
    return [each for each in map(_to_request, found) if each.is_open(now)]


def decide(
    connection: Connection, made: Request, state: RequestState, decided_by: str, now: datetime
) -> Request:
    """End an open request."""
    values: Values = {"state": state, "decided_by": decided_by, "decide_time": now}
    rows.change(connection, request, [request.c.id == made.id], values)
    return replace(made, state=state, decided_by=decided_by, decide_time=now)


@record("request")
def _to_request(row: RowMapping) -> Request:
    return Request(
        id=row["id"],
        wanted=Deed(
            action=Action(row["action"]),
            right=Right(row["right"]),
            organisation_id=row["organisation_id"],
            about=row["about"],
            terms=decode(row["terms"]),
        ),
        asked_by=row["asked_by"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        state=RequestState(row["state"]),
        decided_by=row["decided_by"],
        decide_time=row["decide_time"],
    )
