"""Windows accounts of people: pending until their holder has finished enrolling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import KEYSTORE, Actor
from cloud_keystore.model.cards import IN_USE
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, UserExists
from cloud_keystore.model.fields.accounts import (
    MOST_ACCOUNTS,
    Account,
    AccountState,
    Source,
    account_name,
    name_key,
)
from cloud_keystore.model.finding import folded
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import User, principal_name
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.likeness import ELSEWHERE, called
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.contacts import accounts
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Accounts:
    """Adds, disables, removes and lists the Windows accounts of people."""

    database: Database
    clock: Clock
    random: Random

    def add(self, user_id: str, name: str, upn: str, *, actor: Actor) -> tuple[Account, bool]:
        r"""Add an account that is written as CORP\ada; False if it was this user's before. Raises
        InvalidInput, UserNotFound, UserClosed, UserExists, NotAllowed.
        """
        now = self.clock()
        account = wanted(user_id, name, upn, now, self.random)
        with acting.changing(self.database, actor, now) as by:
            by.user(user_id, Right.PEOPLE)
            return give(by, people.present(by.connection, user_id), account)

    def disable(self, user_id: str, name: str, *, disabled: bool, actor: Actor) -> Account:
        """Disable an account, or put it back in use. Raises InvalidInput, UserNotFound, UserClosed,
        UserExists, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection = by.connection
            by.user(user_id, Right.PEOPLE)
            user = people.present(connection, user_id)
            account = _own(connection, user, name_key(*account_name(name)))
            if account is None:
                raise InvalidInput(f"account {name} is none of {called(user)}: list them first")
            if disabled == (account.state is AccountState.DISABLED):
                return account
            state = AccountState.DISABLED
            if not disabled:
                _check_free(by, account, user)
                state = _first_state(connection, user, now)
            accounts.move(connection, account, state)
            moved: dict[str, Detail] = {"old_state": account.state, "state": state}
            _tell(connection, Kind.WINDOWS_ACCOUNT_CHANGED, user, account, now, actor, moved)
            return replace(account, state=state)

    def remove(self, user_id: str, name: str, *, actor: Actor) -> bool:
        """Take an account from a user; False if the user has none of this name. Raises
        InvalidInput, UserNotFound, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            user = by.user(user_id, Right.PEOPLE)
            account = _own(by.connection, user, name_key(*account_name(name)))
            if account is None:
                return False
            drop(by.connection, user, [account], now, actor)
        return True

    def list_of(self, user_id: str, *, actor: Actor) -> list[Account]:
        """A user's accounts, oldest first; raises UserNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            return accounts.of(by.connection, by.user(user_id, Right.VIEW).id)


def wanted(user_id: str, name: str, upn: str, now: datetime, random: Random) -> Account:
    """An account that an operator gives to a user. Raises InvalidInput."""
    domain, sam = account_name(name)
    return Account(
        id=new_id(now, random),
        user_id=user_id,
        domain=domain,
        sam=sam,
        upn=principal_name(upn),
        state=AccountState.PENDING,
        source=Source.OPERATOR,
        create_time=now,
    )


def give(by: Acting, user: User, account: Account) -> tuple[Account, bool]:
    """Give an account to a user for whom the actor may do so, in the state that fits; False if it
    was this user's before. Raises InvalidInput, UserExists.
    """
    connection, now = by.connection, account.create_time
    before = _own(connection, user, name_key(account.domain, account.sam))
    if before is not None and folded(before.upn) == folded(account.upn):
        return before, False
    if before is not None:
        raise UserExists(
            f"account {before.name} has the user principal name {before.upn or '(none)'}: "
            "remove it first"
        )
    if len(accounts.of(connection, user.id)) >= MOST_ACCOUNTS:
        raise InvalidInput(
            f"account is one too many: {called(user)} has {MOST_ACCOUNTS}, so remove another first"
        )
    _check_free(by, account, user)
    account = replace(account, state=_first_state(connection, user, now))
    accounts.add(connection, account)
    said: dict[str, Detail] = {"state": account.state, "source": account.source}
    _tell(connection, Kind.WINDOWS_ACCOUNT_ADDED, user, account, now, by.actor, said)
    return account, True


def give_named(by: Acting, user: User, name: str, now: datetime, random: Random) -> None:
    """Give a user the account of a name, which has the user's principal name; none if it is empty.
    Raises InvalidInput, UserExists.
    """
    if name:
        give(by, user, wanted(user.id, name, user.upn, now, random))


def complete(connection: Connection, user_id: str, now: datetime) -> None:
    """Put a user's pending accounts in use if the user has finished enrolling: in the transaction
    of whatever was missing.
    """
    if all(each.state is not AccountState.PENDING for each in accounts.of(connection, user_id)):
        return
    user = people.user(connection, user_id)
    if _first_state(connection, user, now) is AccountState.PENDING:
        return
    for each in accounts.activate(connection, user_id):
        _tell(connection, Kind.WINDOWS_ACCOUNT_ACTIVATED, user, each, now, KEYSTORE, {})


def drop(
    connection: Connection, user: User, gone: Sequence[Account], now: datetime, actor: Actor
) -> None:
    """Take accounts from a user."""
    for each in gone:
        accounts.remove(connection, each)
        said: dict[str, Detail] = {"state": each.state}
        _tell(connection, Kind.WINDOWS_ACCOUNT_REMOVED, user, each, now, actor, said)


def check_upn(by: Acting, user: User) -> None:
    """Raise UserExists if a user's principal name is that of somebody else's account."""
    if user.upn:
        holder = accounts.holders(by.connection, [folded(user.upn)]).get(folded(user.upn))
        if holder not in (None, user.id):
            raise UserExists(
                f"upn {user.upn} is that of {_whose(by, holder)}: an account belongs to one person"
            )


def _first_state(connection: Connection, user: User, now: datetime) -> AccountState:
    """The state of an account that is not disabled."""
    devices = people.list_devices(connection, user.id)
    held = cards.list_all(connection, user.id)
    enrolled = any(each.is_active(now) for each in devices) and any(
        each.state in IN_USE for each in held
    )
    return AccountState.ACTIVE if enrolled else AccountState.PENDING


def _own(connection: Connection, user: User, name: str) -> Account | None:
    """A user's account by its name, in the form in which names are compared."""
    found = accounts.of(connection, user.id)
    return next((each for each in found if name_key(each.domain, each.sam) == name), None)


def _check_free(by: Acting, account: Account, user: User) -> None:
    """Raise UserExists if an account is somebody else's, or its user principal name."""
    connection, upn = by.connection, folded(account.upn)
    for other in accounts.like(connection, name_key(account.domain, account.sam), upn):
        if other.id != account.id:
            raise _taken(account, _whose(by, other.user_id))
    if upn:
        holder = people.with_account(connection, account.upn)
        if holder is not None and holder.id != user.id:
            raise _taken(account, _whose(by, holder.id))


def _whose(by: Acting, user_id: str | None) -> str:
    user = people.find_user(by.connection, user_id or "")
    return called(user) if user and by.held.sees(user.organisation_id) else ELSEWHERE


def _taken(account: Account, whose: str) -> UserExists:
    upn = f", or its user principal name {account.upn}," if account.upn else ""
    return UserExists(
        f"account {account.name}{upn} is that of {whose}: an account belongs to one person"
    )


def _tell(
    connection: Connection,
    kind: Kind,
    user: User,
    account: Account,
    now: datetime,
    actor: Actor,
    more: dict[str, Detail],
) -> None:
    said: dict[str, Detail] = {"account": account.name, "upn": account.upn, **more}
    journal.append(connection, entries.about_user(kind, user, now, actor, said))
