"""Groups as directories keep them by SCIM. One that an operator has mapped to a role gives it to
its members who are operators, and takes it from those who leave.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass, replace
from hashlib import sha256

from cloud_keystore.audit import acting, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.audit.entries import about_keystore
from cloud_keystore.cards.directories import showing
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.directories.entries import LONGEST_EXTERNAL_ID
from cloud_keystore.model.directories.groups import (
    LONGEST_GROUP_NAME,
    MOST_GROUPS,
    MOST_MEMBERS,
    FoundGroups,
    Group,
    SaidOfGroup,
    ShownGroup,
    SoughtGroup,
)
from cloud_keystore.model.errors import (
    ChangedMeanwhile,
    GroupExists,
    GroupNotFound,
    InvalidInput,
    TooManyGroups,
    UserNotFound,
)
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.programs import giving
from cloud_keystore.storage import people
from cloud_keystore.storage.directories import entries, groups
from cloud_keystore.storage.engine import Database

MOST_SHOWN = 5000  # members in one answer, of all groups together
MOST_NAMED = 100  # members in one entry of the journal


@dataclass(frozen=True, slots=True)
class Groups:
    """Creates, shows, changes and deletes groups for directories."""

    database: Database
    clock: Clock
    random: Random

    def create(self, said: SaidOfGroup, *, actor: Actor) -> ShownGroup:
        """Add a group. Raises InvalidInput, GroupExists, TooManyGroups, NotAllowed."""
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.need_somewhere(Right.PEOPLE)
            if groups.count(by.connection, actor.id) >= MOST_GROUPS:
                raise TooManyGroups(f"a directory has {MOST_GROUPS} groups at most: delete some")
            group = _said(by, Group(new_id(now, self.random), actor.id, "", "", now, now), said)
            groups.add(by.connection, group)
            joined, _ = self._members(by, group, said)
            _tell(by, Kind.GROUP_ADDED, group, {**_named("joined", joined)})
            self._settle(by, joined)
            return _shown(by, group)

    def find(self, group_id: str, *, actor: Actor) -> ShownGroup:
        """The group with an identifier; raises GroupNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return _shown(by, _found(by, group_id))

    def list_all(self, sought: SoughtGroup, first: int, most: int, *, actor: Actor) -> FoundGroups:
        """Groups that the directory seeks, from a place on, at most so many; fewer, if these have
        more members than one answer shows.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = groups.list_all(by.connection, actor.id, sought)
            shown = list[ShownGroup]()
            left = MOST_SHOWN
            for each in found[first : first + most]:
                one = _shown(by, each)
                left -= len(one.members)
                if left < 0 and shown:
                    break
                shown.append(one)
            return FoundGroups(len(found), tuple(shown))

    def change(
        self, group_id: str, said: SaidOfGroup, seen: str = "", *, actor: Actor
    ) -> ShownGroup:
        """Let a group have what a directory says. Raises GroupNotFound, GroupExists, InvalidInput,
        TooManyGroups, NotAllowed, LastOperator, and ChangedMeanwhile if the version is not the one
        that was `seen`.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            before = _seen(by, group_id, seen)
            group = _said(by, before, said)
            joined, left = self._members(by, group, said)
            if group != before or joined or left:
                group = replace(group, change_time=now)
                groups.change(by.connection, group)
                changes = {
                    **_changes(before, group),
                    **_named("joined", joined),
                    **_named("left", left),
                }
                _tell(by, Kind.GROUP_CHANGED, group, changes)
                is_renamed = replace(before, change_time=now) != group
                there = groups.members(by.connection, group.id) if is_renamed else ()
                self._settle(by, {*there, *joined, *left})
            return _shown(by, group)

    def delete(self, group_id: str, seen: str = "", *, actor: Actor) -> None:
        """Forget a group, and take what it has given. Raises as `change` does."""
        with acting.changing(self.database, actor, self.clock()) as by:
            group = _seen(by, group_id, seen)
            there = groups.members(by.connection, group.id)
            groups.drop(by.connection, group.id)
            _tell(by, Kind.GROUP_REMOVED, group, _named("left", there))
            self._settle(by, there)

    def _members(self, by: Acting, group: Group, said: SaidOfGroup) -> tuple[list[str], list[str]]:
        """Let those be in a group whom a directory says to be; returns who joins and who leaves.
        Whom the directory does not see stays.
        """
        if said.members is None:
            return [], []
        there = groups.members(by.connection, group.id)
        joined = sorted(said.members - {*there})
        left = [each for each in _visible(by, there) if each not in said.members]
        if len(there) + len(joined) - len(left) > MOST_MEMBERS:
            raise TooManyGroups(f"a group has {MOST_MEMBERS} members at most: divide it")
        for each in joined:
            _check_person(by, each)
        rows = {each: new_id(by.now, self.random) for each in joined}
        groups.join(by.connection, group.id, rows)
        groups.leave(by.connection, group.id, left)
        return joined, left

    def _settle(self, by: Acting, members: Collection[str]) -> None:
        """Give and take what follows for the operators among some members."""
        if members:
            giving.settle(by, self.random, _users(by, members).values())


def _found(by: Acting, group_id: str) -> Group:
    found = groups.find(by.connection, by.actor.id, group_id)
    if found is None:
        raise GroupNotFound("there is no such group")
    return found


def _seen(by: Acting, group_id: str, seen: str) -> Group:
    """The group that a directory changes; raises GroupNotFound, ChangedMeanwhile, NotAllowed."""
    by.need_somewhere(Right.PEOPLE)
    found = _found(by, group_id)
    if seen not in ("", _shown(by, found).version):
        raise ChangedMeanwhile("somebody has changed this meanwhile: read it again")
    return found


def _said(by: Acting, group: Group, said: SaidOfGroup) -> Group:
    """A group with the names that a directory says; raises InvalidInput, GroupExists."""
    name, external = group.display_name, group.external_id
    if said.display_name is not None:
        name = text_field("displayName", said.display_name, LONGEST_GROUP_NAME)
    if not name:
        raise InvalidInput("displayName is missing: give the name of the group")
    if said.external_id is not None:
        external = text_field("externalId", said.external_id, LONGEST_EXTERNAL_ID, required=False)
    other = groups.named(by.connection, by.actor.id, name)
    if other is not None and other.id != group.id:
        raise GroupExists(f"displayName {name} is that of another group of this directory")
    if external:
        same = groups.list_all(by.connection, by.actor.id, SoughtGroup(external_id=external))
        if any(each.id != group.id for each in same):
            raise GroupExists(f"externalId {external} is that of another group of this directory")
    return replace(group, display_name=name, external_id=external)


def _check_person(by: Acting, member_id: str) -> None:
    """Raise InvalidInput for a member who is nobody for the directory, and NotAllowed."""
    try:
        known = showing.known(by, member_id)
    except UserNotFound:
        raise InvalidInput(
            f"members has {member_id[:64]!r}, who is nobody here: give the id of a user; a group "
            "is no member of a group"
        ) from None
    if known.user is not None:
        by.user(known.user.id, Right.PEOPLE)


def _users(by: Acting, members: Collection[str]) -> dict[str, str]:
    """Users by how the directory knows them."""
    of = entries.with_ids(by.connection, by.actor.id, members)
    return {each: of[each].user_id if each in of else each for each in members}


def _visible(by: Acting, members: list[str]) -> list[str]:
    """Those of some members whom the directory sees, or who are nobody yet or any more."""
    if by.held.sees_all or not members:
        return members
    users = _users(by, members)
    known = {each.id for each in people.with_ids(by.connection, {*users.values()} - {""})}
    seen = {*by.seen_users(known)}
    return [each for each in members if users[each] not in known or users[each] in seen]


def _shown(by: Acting, group: Group) -> ShownGroup:
    members = tuple(_visible(by, groups.members(by.connection, group.id)))
    said = ShownGroup(
        id=group.id,
        display_name=group.display_name,
        external_id=group.external_id,
        members=members,
        create_time=group.create_time,
        change_time=group.change_time,
        version="",
    )
    text = "\0".join(map(str, astuple(said)))
    return replace(said, version=sha256(text.encode()).hexdigest()[: showing.VERSION_DIGITS])


def _named(word: str, members: Collection[str]) -> dict[str, Detail]:
    """Who joins or leaves, as far as an entry names them, and how many."""
    if not members:
        return {}
    return {word: " ".join([*members][:MOST_NAMED]), f"{word}_count": len(members)}


def _changes(before: Group, after: Group) -> dict[str, Detail]:
    said: dict[str, Detail] = {}
    if before.display_name != after.display_name:
        said["old_name"] = before.display_name
    if before.external_id != after.external_id:
        said |= {"old_external_id": before.external_id, "external_id": after.external_id}
    return said


def _tell(by: Acting, kind: Kind, group: Group, more: dict[str, Detail]) -> None:
    said: dict[str, Detail] = {"group": group.id, "name": group.display_name, **more}
    journal.append(by.connection, about_keystore(kind, by.now, by.actor, said))
