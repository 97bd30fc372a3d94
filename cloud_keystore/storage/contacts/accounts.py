"""Rows of people's Windows accounts."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    Select,
    String,
    or_,
    select,
)

from cloud_keystore.model.fields.accounts import Account, AccountState, Source, name_key
from cloud_keystore.model.finding import folded
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant

NOT_DISABLED = "state <> 'disabled'"

windows_account = authentic(
    "windows_account",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("domain", String, nullable=False),
    Column("sam", String, nullable=False),
    Column("upn", String, nullable=False),
    Column("state", String, nullable=False),
    Column("source", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("name_key", String, nullable=False),  # as names are compared
    Column("upn_key", String, nullable=False),
    Index("account_by_user", "user_id"),
    Index("account_by_upn", "upn_key"),
    partial("account_by_name", "name_key", where=NOT_DISABLED, unique=True),
)
a = windows_account.c


def add(connection: Connection, account: Account) -> None:
    """Add an account, whose name nobody else's has that is not disabled."""
    known = {name: getattr(account, name) for name in Account.__dataclass_fields__}
    keys = {"name_key": name_key(account.domain, account.sam), "upn_key": folded(account.upn)}
    rows.add(connection, windows_account, {**known, **keys})


def of(connection: Connection, user_id: str) -> list[Account]:
    """The accounts of a user, oldest first."""
    query = select(windows_account).where(a.user_id == user_id).order_by(a.id)
    return [_to_account(row) for row in rows.read(connection, windows_account, query)]


def like(connection: Connection, name: str, upn: str) -> list[Account]:
    """Accounts that are not disabled and have a name, or a user principal name unless it is empty,
    both in the form in which they are compared.
    """
    same = or_(a.name_key == name, a.upn_key == upn) if upn else a.name_key == name
    query = select(windows_account).where(same, a.state != AccountState.DISABLED).order_by(a.id)
    return [_to_account(row) for row in rows.read(connection, windows_account, query)]


def in_use(connection: Connection, organisations: Collection[str] | None) -> list[Account]:
    """Accounts that are not disabled, oldest first: all, or of people of some organisations."""
    query = select(windows_account).where(a.state != AccountState.DISABLED).order_by(a.id)
    if organisations is not None:
        theirs = select(t.user.c.id).where(t.user.c.organisation_id.in_(organisations))
        query = query.where(a.user_id.in_(theirs))
    return [_to_account(row) for row in rows.read(connection, windows_account, query)]


def holders(connection: Connection, upns: Collection[str]) -> dict[str, str]:
    """The holders of accounts that are not disabled, by those of some user principal names, in the
    form in which they are compared, that the accounts have.
    """
    query = select(windows_account).where(a.upn_key.in_(upns), a.state != AccountState.DISABLED)
    found = rows.read(connection, windows_account, query)
    return {row["upn_key"]: row["user_id"] for row in found}


def holders_of(text: str) -> Select[str]:
    r"""The query for the identifiers of those who have an account that is called so, such as
    CORP\ada, or has this user principal name; disabled ones too.
    """
    called = folded(text)
    return select(a.user_id).where((a.name_key == called) | (a.upn_key == called))


def move(connection: Connection, account: Account, state: AccountState) -> None:
    """Give an account another state."""
    rows.change(connection, windows_account, [a.id == account.id], _moved(state))


def activate(connection: Connection, user_id: str) -> list[Account]:
    """Put a user's pending accounts in use; returns them."""
    pending = [a.user_id == user_id, a.state == AccountState.PENDING]
    found = rows.change(connection, windows_account, pending, _moved(AccountState.ACTIVE))
    return [_to_account(row) for row in found]


def remove(connection: Connection, account: Account) -> None:
    rows.drop(connection, windows_account, a.id == account.id)


def _moved(state: AccountState) -> Values:
    return {"state": state}


@record("windows account")
def _to_account(row: RowMapping) -> Account:
    known = {name: row[name] for name in Account.__dataclass_fields__}
    known |= {"state": AccountState(row["state"]), "source": Source(row["source"])}
    return Account(**known)
