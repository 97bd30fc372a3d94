"""How directories are shown people, and whom they see."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass, replace
from hashlib import sha256

from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.directories.entries import DirectoryEntry, Found, Shown, Sought
from cloud_keystore.model.directories.groups import Group
from cloud_keystore.model.errors import UserNotFound
from cloud_keystore.model.people import User, UserState
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import entries, groups

VERSION_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Known:
    """A person as a directory knows them: an entry, a user, or both."""

    entry: DirectoryEntry | None
    user: User | None

    @property
    def id(self) -> str:
        """By which the directory knows the person."""
        if self.entry is not None:
            return self.entry.id
        return "" if self.user is None else self.user.id

    @property
    def present(self) -> User | None:
        """The user, unless there is none, or the user has left."""
        there = self.user is not None and self.user.state is UserState.ACTIVE
        return self.user if there else None


def known(by: Acting, entry_id: str) -> Known:
    """The person whom a directory knows by an identifier; raises UserNotFound."""
    found = entries.find(by.connection, by.actor.id, entry_id)
    if found is not None and found.deleted:
        raise people.missing_user(entry_id)
    user = people.find_user(by.connection, entry_id if found is None else found.user_id)
    if user is not None and not by.held.sees(user.organisation_id):
        raise people.missing_user(entry_id)
    if found is None and (
        user is None or user.state is UserState.CLOSED or _called_otherwise(by, user)
    ):
        raise people.missing_user(entry_id)
    return Known(found, user)


def find(by: Acting, sought: Sought, first: int, most: int) -> Found:
    """Those whom a directory seeks and sees, from a place on."""
    connection, client, seen = by.connection, by.actor.id, by.seen_organisations()
    total = entries.count(connection, client, seen, sought)
    ids = entries.ids(connection, client, seen, sought, first, most) if most else []
    of = entries.with_ids(connection, client, ids)
    users = {each: of[each].user_id if each in of else each for each in ids}
    there = {each.id: each for each in people.with_ids(connection, set(users.values()))}
    found = [Known(of.get(each), there.get(users[each])) for each in ids]
    return Found(total, tuple(shown(by, found)))


def shown(by: Acting, found: Sequence[Known]) -> list[Shown]:
    """People as a directory is shown them: what holds, whoever has said it."""
    names: dict[str, str] = {}

    def named(organisation_id: str) -> str:
        if organisation_id not in names:
            names[organisation_id] = organisations.name(by.connection, organisation_id)
        return names[organisation_id]

    ids = {each.id for each in found}
    of = groups.of_members(by.connection, by.actor.id, ids)
    return [
        _shown(each, named(_place(each)) if _place(each) else "", of.get(each.id, ()))
        for each in found
    ]


def _called_otherwise(by: Acting, user: User) -> bool:
    """Whether the directory knows a user by another identifier."""
    return any(each.client_id == by.actor.id for each in entries.of_user(by.connection, user.id))


def _place(found: Known) -> str:
    if found.entry is not None and not found.entry.organisation.said:
        return ""
    if found.present is not None:
        return found.present.organisation_id
    return found.entry.organisation.said if found.entry else ""


def _shown(found: Known, organisation: str, within: Collection[Group]) -> Shown:
    entry, user = found.entry, found.present
    if entry is None and user is None:
        raise UserNotFound("there is nobody")
    if entry is None:
        assert user is not None  # noqa: S101 (the other case is above)
        said = Shown(
            id=user.id,
            user_name=user.upn or user.email or user.uuid12 or user.id,
            external_id="",
            name=user.display_name,
            given_name="",
            family_name="",
            email=user.email,
            phone=user.phone,
            organisation=organisation,
            active=True,
            create_time=user.create_time,
            change_time=user.create_time,
            version="",
        )
    else:
        name = entry.name.said if user is None else user.display_name
        own = name == entry.name.said  # else the parts would say something else
        said = Shown(
            id=entry.id,
            user_name=entry.user_name,
            external_id=entry.external_id,
            name=name,
            given_name=entry.given_name if own else "",
            family_name=entry.family_name if own else "",
            email=entry.email.said if user is None else user.email,
            phone=entry.phone.said if user is None else user.phone,
            organisation=organisation,
            active=entry.active and user is not None,
            create_time=entry.create_time,
            change_time=entry.change_time,
            version="",
        )
    said = replace(said, groups=tuple((each.id, each.display_name) for each in within))
    text = "\0".join(map(str, astuple(said)))
    return replace(said, version=sha256(text.encode()).hexdigest()[:VERSION_DIGITS])
