"""Rows of policies: one for each version; a row never changes."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    ScalarSelect,
    String,
    bindparam,
    cast,
    exists,
    or_,
    select,
)

from cloud_keystore.model.policies import EVERY_TERM, Policy, PolicyVersion, Term, decode, encode
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.databases.failures import record

p = t.policy.c
T = TypeVar("T")
_MOST_SPECIFIC = (p.organisation_id == "", p.profile == "", p.version.desc())
NAME = cast(p.version, String) + "/" + p.organisation_id + "/" + p.profile  # of a record
UNSET = PolicyVersion("", "", 0, Policy(), own=frozenset())
HERE_ALONE = "*"  # all terms, which organisations below do not inherit
LOCKED = "!"  # behind a term that they do not set otherwise


def add(connection: Connection, version: PolicyVersion, operator_id: str) -> None:
    """Put a version in force."""
    policy: Values = {
        "organisation_id": version.organisation_id,
        "profile": version.profile,
        "version": version.version,
        "document": encode(version.policy),
        "terms": HERE_ALONE if version.here_alone else _terms(version),
        "operator_id": operator_id,
        "create_time": version.create_time,
    }
    rows.add(connection, t.policy, policy)


def in_force(connection: Connection, organisation_id: str, profile: str) -> PolicyVersion:
    """The policy that holds for an organisation's cards of a profile: the most specific one that
    was set, where the organisation counts for more than the profile; otherwise the default,
    version 0.
    """
    given = {"organisation": organisation_id, "profile": profile}
    found = rows.read(connection, t.policy, _IN_FORCE, given)
    return _to_version(found[0]) if found else UNSET


def part_in_force(part: ColumnElement[T], of: tuple[Column[str], Column[str]]) -> ScalarSelect[T]:
    """A part of the record of the policy in force, as part of a query about cards, `of` whose
    organisation and profile it is; NULL means the default.
    """
    query = select(part).where(_holds(*of))
    return query.order_by(*_MOST_SPECIFIC).limit(1).scalar_subquery()


def key_of(name: str) -> Values:
    """The primary key of the record with a `NAME`."""
    version, _, rest = name.partition("/")
    organisation_id, _, profile = rest.partition("/")
    number = int(version) if version.isdecimal() else None  # None: there is no such record
    return {"version": number, "organisation_id": organisation_id, "profile": profile}


def _holds(organisation_id: ColumnElement[str], profile: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(p.organisation_id == organisation_id, p.organisation_id == "") & or_(
        p.profile == profile, p.profile == ""
    )


# Made once, because it is asked for with each operation
_IN_FORCE = (
    select(t.policy)
    .where(_holds(bindparam("organisation"), bindparam("profile")))
    .order_by(*_MOST_SPECIFIC)
    .limit(1)
)


def list_all(connection: Connection, *, earlier: bool) -> list[PolicyVersion]:
    """The last version of each policy, or all of them, by organisation, profile and version."""
    query = select(t.policy).order_by(p.organisation_id, p.profile, p.version)
    if not earlier:
        newer = t.policy.alias()
        same = (newer.c.organisation_id == p.organisation_id) & (newer.c.profile == p.profile)
        query = query.where(~exists().where(same, newer.c.version > p.version))
    return [_to_version(row) for row in rows.read(connection, t.policy, query)]


def to_policy(row: RowMapping) -> Policy:
    """A row as the policy that it says."""
    return _decoded(row["document"])


_decoded = lru_cache(maxsize=256)(decode)


def _terms(version: PolicyVersion) -> str:
    return " ".join(
        f"{term}{LOCKED}" if term in version.locked else term for term in sorted(version.own)
    )


@record("policy")
def _to_version(row: RowMapping) -> PolicyVersion:
    own = [] if row["terms"] == HERE_ALONE else row["terms"].split()
    return PolicyVersion(
        organisation_id=row["organisation_id"],
        profile=row["profile"],
        version=row["version"],
        policy=decode(row["document"]),
        create_time=row["create_time"],
        own=EVERY_TERM
        if row["terms"] == HERE_ALONE
        else frozenset(Term(each.removesuffix(LOCKED)) for each in own),
        here_alone=row["terms"] == HERE_ALONE,
        locked=frozenset(Term(each[:-1]) for each in own if each.endswith(LOCKED)),
    )
