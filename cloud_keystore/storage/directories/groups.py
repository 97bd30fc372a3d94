"""Rows of groups that directories keep, and of their members."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    String,
    func,
    select,
)

from cloud_keystore.model.directories.groups import Group, SoughtGroup
from cloud_keystore.model.fields.texts import comparable
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions
from cloud_keystore.storage.directories import entries

directory_group = authentic(
    "directory_group",
    Column("id", String, primary_key=True),
    Column("client_id", ForeignKey("identity.id"), nullable=False),
    Column("display_name", String, nullable=False),
    Column("display_name_key", String, nullable=False),  # as names are compared
    Column("external_id", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("change_time", Instant, nullable=False),
    Index("directory_group_by_name", "client_id", "display_name_key", unique=True),
    Index("directory_group_by_external_id", "client_id", "external_id"),
)
group_member = authentic(
    "group_member",
    Column("id", String, primary_key=True),
    Column("group_id", String, nullable=False),
    Column("member_id", String, nullable=False),  # as the directory knows the person
    Index("group_member_of_group", "group_id", "member_id", unique=True),
    Index("group_member_by_member", "member_id"),
)
g, m = directory_group.c, group_member.c


def add(connection: Connection, group: Group) -> None:
    """Add a group, whose name no other group of the directory has."""
    rows.add(connection, directory_group, _values(group))


def change(connection: Connection, group: Group) -> None:
    """Give a group other values."""
    rows.change(connection, directory_group, [g.id == group.id], _values(group))


def drop(connection: Connection, group_id: str) -> None:
    """Forget a group, and who is in it."""
    rows.drop(connection, group_member, m.group_id == group_id)
    rows.drop(connection, directory_group, g.id == group_id)


def find(connection: Connection, client_id: str, group_id: str) -> Group | None:
    """A directory's group."""
    row = rows.one(connection, directory_group, id=group_id, client_id=client_id)
    return None if row is None else _to_group(row)


def list_all(connection: Connection, client_id: str, sought: SoughtGroup) -> list[Group]:
    """A directory's groups that are sought, oldest first."""
    query = select(directory_group).where(g.client_id == client_id, *_are(sought)).order_by(g.id)
    return [_to_group(row) for row in rows.read(connection, directory_group, query)]


def named(connection: Connection, client_id: str, display_name: str) -> Group | None:
    """A directory's group with a name, in whatever case."""
    return next(iter(list_all(connection, client_id, SoughtGroup(display_name=display_name))), None)


def count(connection: Connection, client_id: str) -> int:
    """How many groups a directory has."""
    query = select(func.count()).where(g.client_id == client_id)
    return connection.execute(query).scalar_one()


def members(connection: Connection, group_id: str) -> list[str]:
    """Who is in a group, as its directory knows them."""
    query = select(group_member).where(m.group_id == group_id).order_by(m.member_id)
    return [row["member_id"] for row in rows.read(connection, group_member, query)]


def join(connection: Connection, group_id: str, joining: Mapping[str, str]) -> None:
    """Add people to a group, each with an identifier for its row."""
    if joining:
        new = [
            {"id": own, "group_id": group_id, "member_id": member}
            for member, own in joining.items()
        ]
        rows.add(connection, group_member, *new)


def leave(connection: Connection, group_id: str, leaving: Collection[str]) -> None:
    """Take people out of a group."""
    for some in portions(leaving):
        rows.drop(connection, group_member, m.group_id == group_id, m.member_id.in_(some))


def leave_all(connection: Connection, client_id: str, member_id: str) -> None:
    """Take somebody out of all groups of a directory."""
    own = select(g.id).where(g.client_id == client_id)
    rows.drop(connection, group_member, m.member_id == member_id, m.group_id.in_(own))


def of_members(
    connection: Connection, client_id: str, ids: Collection[str]
) -> dict[str, list[Group]]:
    """The groups of a directory in which people are whom it knows by some identifiers, by these."""
    there = [
        row
        for some in portions(ids)
        for row in rows.read(
            connection, group_member, select(group_member).where(m.member_id.in_(some))
        )
    ]
    of = select(directory_group).where(g.client_id == client_id).order_by(g.id)
    known = {
        row["id"]: _to_group(row)
        for some in portions({row["group_id"] for row in there})
        for row in rows.read(connection, directory_group, of.where(g.id.in_(some)))
    }
    found: dict[str, list[Group]] = {}
    for row in there:
        if row["group_id"] in known:
            found.setdefault(row["member_id"], []).append(known[row["group_id"]])
    return found


def of_user(connection: Connection, user_id: str, clients: Collection[str]) -> list[Group]:
    """The groups of some directories in which a user is, as far as these say that the user is
    there.
    """
    known = {each.client_id: each for each in entries.of_user(connection, user_id)}
    found: list[Group] = []
    for client in sorted(clients):
        entry = known.get(client)
        if entry is None or entry.active:
            member = user_id if entry is None else entry.id
            found += of_members(connection, client, [member]).get(member, [])
    return found


def _are(sought: SoughtGroup) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if sought.display_name:
        wanted.append(g.display_name_key == comparable(sought.display_name))
    if sought.external_id:
        wanted.append(g.external_id == sought.external_id)
    if sought.member:
        wanted.append(g.id.in_(select(m.group_id).where(m.member_id == sought.member)))
    if sought.id:
        wanted.append(g.id == sought.id)
    return wanted


def _values(group: Group) -> Values:
    return {**asdict(group), "display_name_key": comparable(group.display_name)}


@record("group")
def _to_group(row: RowMapping) -> Group:
    return Group(**{name: row[name] for name in Group.__dataclass_fields__})
