"""Adds many people at once, who have all been checked before any is added."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import MappingProxyType

from sqlalchemy import Connection

from cloud_keystore.audit import acting
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import emails, phones
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, comparable, text_field
from cloud_keystore.model.finding import folded
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import User, principal_name, security_identifier
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.model.sheets.candidates import Candidate, Fault, Outcome
from cloud_keystore.people.likeness import ELSEWHERE, called
from cloud_keystore.people.people import People, Token
from cloud_keystore.people.policies import card_profiles
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.contacts import accounts, domains

# In one call, which is one transaction: nobody else writes meanwhile, and uses of keys wait.
MOST_CANDIDATES = 100
FIXES: Mapping[str, str] = MappingProxyType(
    {
        "name": f"give 1 to {LONGEST_DISPLAY_NAME} characters that can be shown",
        "email": "give an address as name@example.org",
        "organisation": "name one of cloudcard ra organisation list, or leave the cell empty",
        "phone": "write it with its country, as +44 7700 900123, or leave the cell empty",
        "upn": "give the account's name as ada@corp.example, or leave the cell empty",
        "sid": "copy the account's objectSid, S-1-5-21-…, or leave the cell empty",
        "profile": f"name one of {', '.join(PROFILES)}, or one of the organisation's, or leave the "
        "cell empty",
    }
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What has become of a candidate. The UUID is of who was added or there before, and who was
    added has a token for the first device.
    """

    outcome: Outcome
    uuid12: str = ""
    token: Token | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Known:
    """Who is there, by address and by account, those among the candidates included. `sees` tells
    the organisations of those about whom something may be said.
    """

    sees: Callable[[str], bool]
    place: str  # of who is said to be of no organisation
    by_email: dict[str, User] = field(default_factory=dict)
    by_upn: dict[str, User] = field(default_factory=dict)

    def learn(self, user: User) -> None:
        self.by_email[emails.key(user.email)] = user
        if user.upn:
            self.by_upn[comparable(user.upn)] = user


@dataclass(frozen=True, slots=True)
class Importing:
    """Checks and adds people by portions."""

    people: People

    def import_users(
        self, candidates: Sequence[Candidate], *, dry_run: bool, actor: Actor
    ) -> list[Imported]:
        """Add those of some candidates who are not there yet, as `People.add_user` does, or none if
        one of them is refused. With `dry_run`, say only what would become of each.

        A person is known by the e-mail address, and is there if whatever the candidate says is so.
        Raises NotAllowed, and InvalidInput for too many candidates.
        """
        if len(candidates) > MOST_CANDIDATES:
            raise InvalidInput(f"candidates are {len(candidates)}: give at most {MOST_CANDIDATES}")
        database, now = self.people.database, self.people.clock()
        if dry_run:
            with acting.looking(database, actor, now) as by:
                return [outcome for _, outcome in self._checked(by, candidates)]
        with acting.changing(database, actor, now) as by:
            checked = self._checked(by, candidates)
            if any(each.outcome is Outcome.REFUSED for _, each in checked):
                return [each for _, each in checked]
            wanted = [user for user, each in checked if user and each.outcome is Outcome.ADDED]
            made = iter(self.people.add_all(by.connection, wanted, actor) if wanted else ())
            return [
                _added(*next(made)) if each.outcome is Outcome.ADDED else each
                for _, each in checked
            ]

    def _checked(
        self, by: Acting, candidates: Sequence[Candidate]
    ) -> list[tuple[User | None, Imported]]:
        by.need_somewhere(Right.PEOPLE)
        connection, now = by.connection, self.people.clock()
        read = _Reader(domains.names(connection), _organisations(by), _place(by))
        users = [read.user(new_id(now, self.people.random), each, now) for each in candidates]
        for user, faults in users:
            faults += _profile_faults(connection, user)
        known = _Known(by.held.sees, read.place)
        for each in people.like(connection, *(user for user, faults in users if not faults)):
            known.learn(each)
        by_account = _by_account(connection, [user for user, _ in users])
        known.by_upn = by_account | known.by_upn
        return [(user, _judged(user, faults, known)) for user, faults in users]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes users of what candidates say."""

    allowed: Collection[str]  # domains
    organisations: Mapping[str, str]  # identifiers, by what can be said
    place: str  # that of who is said to be of none; empty if one has to be named

    def user(self, user_id: str, said: Candidate, now: datetime) -> tuple[User, list[Fault]]:
        """The user, and what is wrong with it."""
        found: dict[str, str] = {}
        faults: list[Fault] = []
        for column, read in self._columns().items():
            value: str = getattr(said, column)
            try:
                found[column] = read(value)
            except InvalidInput as error:
                faults.append(Fault(column, str(error), FIXES[column]))
                found[column] = ""
        if found["sid"] and not found["upn"]:
            faults.append(Fault("upn", "upn is empty, and sid needs it", FIXES["upn"]))
        user = User(
            id=user_id,
            display_name=found["name"],
            email=found["email"],
            create_time=now,
            upn=found["upn"],
            sid=found["sid"],
            phone=found["phone"],
            organisation_id=found["organisation"],
            profile=found["profile"],
        )
        return user, faults

    def _columns(self) -> Mapping[str, Callable[[str], str]]:
        return {
            "name": partial(text_field, "name", longest=LONGEST_DISPLAY_NAME),
            "email": self._email,
            "organisation": self._organisation,
            "phone": phones.phone,
            "upn": principal_name,
            "sid": security_identifier,
            "profile": lambda text: text.strip().lower(),
        }

    def _email(self, text: str) -> str:
        address = emails.email(text)
        if not address:
            raise InvalidInput("email is empty: by it a person is known")
        emails.check_domain(address, self.allowed)
        return address

    def _organisation(self, text: str) -> str:
        if not text.strip() and self.place:
            return self.place
        if not text.strip():
            raise InvalidInput("organisation is empty, and you act for several")
        found = self.organisations.get(comparable(text.strip()))
        if found is None:
            raise InvalidInput("organisation is none that is there")
        return found


def _profile_faults(connection: Connection, user: User) -> list[Fault]:
    """What is wrong with the profile of which somebody's cards are to be."""
    if user.profile in PROFILES:
        return []
    try:
        card_profiles.own_name(connection, user.profile, user.organisation_id)
    except InvalidInput as error:
        return [Fault("profile", str(error), FIXES["profile"])]
    return []


def _judged(user: User, faults: list[Fault], known: _Known) -> Imported:
    """What becomes of a user who is like nobody but those who are known; `known` learns of a new
    one.
    """
    if faults:
        return Imported(Outcome.REFUSED, faults=tuple(faults))
    before = known.by_email.get(emails.key(user.email))
    holder = known.by_upn.get(comparable(user.upn)) if user.upn else None
    if holder is not None and holder is not before:
        whose = called(holder) if known.sees(holder.organisation_id) else ELSEWHERE
        reason = f"the account is that of {whose}"
        return Imported(Outcome.REFUSED, faults=(Fault("upn", reason, FIXES["upn"]),))
    if before is None:
        known.learn(user)
        return Imported(Outcome.ADDED)
    if not known.sees(before.organisation_id):
        fault = Fault("email", f"the address is that of {ELSEWHERE}", FIXES["email"])
        return Imported(Outcome.REFUSED, faults=(fault,))
    different = tuple(_differing(user, before, known.place))
    if different:
        return Imported(Outcome.REFUSED, before.uuid12 or "", faults=different)
    return Imported(Outcome.THERE, before.uuid12 or "")


def _differing(user: User, before: User, place: str) -> list[Fault]:
    """What a row says that is otherwise of the person who has the address."""
    pairs = (
        ("name", user.display_name, before.display_name),
        ("phone", user.phone, before.phone),
        ("upn", user.upn, before.upn),
        ("sid", user.sid, before.sid),
        ("profile", user.profile, before.profile),
    )
    told = [
        (column, f"{called(before)} has this address, and the {column} {is_ or 'is empty'}")
        for column, said, is_ in pairs
        if said and comparable(said) != comparable(is_)
    ]
    if user.organisation_id not in (place, before.organisation_id):
        told.append(("organisation", f"{called(before)} is of another organisation"))
    fix = f"correct the row, or change the person: cloudcard ra user edit {before.email}"
    return [Fault(column, reason, fix) for column, reason in told]


def _by_account(connection: Connection, users: Sequence[User]) -> dict[str, User]:
    """Those who have Windows accounts with the user principal names of some users, by these."""
    upns = {folded(user.upn): comparable(user.upn) for user in users if user.upn}
    holders = accounts.holders(connection, upns)
    found = {user.id: user for user in people.with_ids(connection, set(holders.values()))}
    return {upns[upn]: found[holder] for upn, holder in holders.items()}


def _added(user: User, token: Token) -> Imported:
    return Imported(Outcome.ADDED, user.uuid12 or "", token)


def _organisations(by: Acting) -> dict[str, str]:
    """Identifiers of the organisations where the actor can add people, by these and by their
    names.
    """
    found = organisations.list_all(by.connection)
    allowed = [each for each in found if by.held.has(Right.PEOPLE, each.id)]
    return {comparable(word): each.id for each in allowed for word in (each.name, each.id)}


def _place(by: Acting) -> str:
    """The organisation where the actor can add people; empty if there are several."""
    where = by.held.where(Right.PEOPLE)
    if ROOT in where:
        return ROOT
    return where[0] if len(where) == 1 else ""
