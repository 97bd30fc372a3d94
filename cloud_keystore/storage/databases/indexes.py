"""Indexes of the few rows that wait for something, and the conditions by which queries find them.

PostgreSQL can take an index of some rows for each query whose condition implies that of the index,
and does so if there were few when statistics were last taken. A query for one row by its key would
then read all that have left the index since the last vacuum. Therefore what has not ended has a
condition here that no other query has: others ask whether the end IS NULL.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Index, and_, func, literal_column, text

from cloud_keystore.model.people import Role

HAS_RESULT = "sealed_result IS NOT NULL"
OPEN = "coalesce(end_time, 0) = 0"
# The same in other words, one for each further index of a table: a query finds its own index alone.
# Nothing has ended in these microseconds of 1970.
OPEN_AT, OPEN_FOR = "coalesce(end_time, 1) = 1", "coalesce(end_time, 2) = 2"
# Of seats, by why they have ended.
SEATED = "coalesce(why, '') = ''"
# Of users. What people are called is looked for in an index, of which PostgreSQL bounds each entry
# to 2,700 bytes; whoever is called more has another one.
CLOSED = "state = 'closed'"
LONGEST_SEARCH = 512
SHORT, LONG = f"length(search) <= {LONGEST_SEARCH}", f"length(search) > {LONGEST_SEARCH}"
# Of identities: all but phones and seats, which are most. An index that had these too would be
# followed through all of them for the few of one person, because they are in a list's order in it.
MANY = (Role.DEVICE, Role.SEAT)
STANDING = f"role NOT IN ({', '.join(str(int(each)) for each in MANY)})"
_NUMBERS = {OPEN: 0, OPEN_AT: 1, OPEN_FOR: 2}


def of_users() -> tuple[Index, ...]:
    """Those of users. What lists show alone, or count, is found in them without the rows."""
    return (
        Index("user_by_email_key", "email_key"),
        Index("user_by_upn_key", "upn_key"),
        Index("user_by_name_key", "name_key", "id"),
        Index("user_by_uuid12", "uuid12", unique=True),
        Index("user_by_organisation", "organisation_id", "id"),
        Index("user_by_profile", "profile", "id"),
        partial("user_closed", "name_key", "id", where=CLOSED),
        partial("user_called", "search", "id", where=SHORT),
        partial("user_called_long", "id", where=LONG),
    )


def of_identities() -> tuple[Index, ...]:
    """Those by which phones are found, in which is all that says whether somebody has one; and
    those who are few beside them.
    """
    return (
        Index("identity_by_user", "user_id", "role", "state", "expire_time"),
        partial("identity_standing", "role", "id", where=STANDING),
    )


def of_cards() -> tuple[Index, ...]:
    """Those of cards, in which is what lists of people, and reports, say of them."""
    return (
        Index("card_by_end", "expire_time"),
        Index("card_by_user", "user_id", "state", "serial"),
        Index("card_by_organisation", "organisation_id", "profile", "state"),
    )


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that match alone."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def number(value: int) -> ColumnElement[int]:
    """A number within a statement: PostgreSQL plans for a limit that it knows."""
    return literal_column(str(value))


def is_open(end_time: Column[datetime], where: str = OPEN) -> ColumnElement[bool]:
    """One of the conditions OPEN, for queries that are to use its index."""
    # Within the statement too: of a parameter, no database knows that it is that of the index.
    never = number(_NUMBERS[where])
    return func.coalesce(end_time, never) == never


def is_seated(why: Column[str]) -> ColumnElement[bool]:
    """The condition SEATED."""
    nothing: ColumnElement[str] = literal_column("''")
    return func.coalesce(why, nothing) == nothing


def is_closed(state: Column[str]) -> ColumnElement[bool]:
    """The condition CLOSED."""
    return state == literal_column("'closed'")


def has_role(role: Column[int], *roles: Role) -> ColumnElement[bool]:
    """The condition that an identity has one of some roles, with STANDING where that follows."""
    own = role == roles[0] if len(roles) == 1 else role.in_(roles)
    return own if {*roles} & {*MANY} else and_(own, role.not_in([*map(number, MANY)]))


def is_short(search: Column[str]) -> ColumnElement[bool]:
    """The condition SHORT."""
    return func.length(search) <= number(LONGEST_SEARCH)


def is_long(search: Column[str]) -> ColumnElement[bool]:
    """The condition LONG."""
    return func.length(search) > number(LONGEST_SEARCH)
