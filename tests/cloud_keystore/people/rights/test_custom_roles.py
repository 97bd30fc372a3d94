"""Roles that organisations define: nobody gets more by them than whoever defines them has."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, update

from cloud_keystore.model.errors import (
    BuiltInRole,
    InvalidInput,
    NotAllowed,
    OrganisationNotFound,
    RoleExists,
    RoleGranted,
    RoleNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.custom import CustomRole, parsed, role_name, spelled
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloud_keystore.people.rights import custom_roles
from cloud_keystore.people.roles import Wish
from cloud_keystore.storage.rights import custom_roles as rows_of_roles
from cloud_keystore.storage.rights.custom_roles import custom_role
from support.keystore_world import EVERYTHING, OPERATOR, SECOND, World

CLERK = ("view", "people")


@pytest.fixture
def manager(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def ours(world: World, manager: Identity) -> str:
    return world.organisations.add("Ours", manager).id


@pytest.fixture
def theirs(world: World, manager: Identity) -> str:
    return world.organisations.add("Theirs", manager).id


def define(
    world: World, place: str, rights: Collection[str] = CLERK, name: str = "ward-clerk"
) -> str:
    """A role; returns its identifier."""
    return world.custom_roles.define(name, rights, place, actor=OPERATOR).id


def operator(world: World, role: str, place: str, name: str = "Ida") -> Identity:
    return world.enrol(world.people.add_operator(name, role, place, actor=OPERATOR).text).identity


def add(world: World, who: Identity, place: str) -> str:
    return world.people.add_user("Ada", "", namesake=True, organisation_id=place, actor=who.actor)[
        0
    ].id


def test_a_role_of_an_organisation_holds_there_and_below(
    world: World, manager: Identity, ours: str, theirs: str
) -> None:
    """USER-24: operators have it by invitation and by grant, and no right besides its own."""
    define(world, ours)
    ward = world.organisations.add("Ward 7", manager, ours).id
    ida, otto = operator(world, "ward-clerk", ours), operator(world, BuiltIn.SUPPORT, ward)
    user = add(world, ida, ward)
    with pytest.raises(NotAllowed, match="'issue' in Ours"):
        world.issuing.issue(b"1" * 16, add(world, ida, ours), "p256", actor=ida.actor)
    granted = world.roles.grant(Wish(otto.id, "ward-clerk", ward), actor=OPERATOR)
    assert granted.role_name == "ward-clerk"
    add(world, otto, ward)
    for place in (theirs, ROOT):
        with pytest.raises(InvalidInput, match="no role 'ward-clerk' there"):
            world.roles.grant(Wish(otto.id, "ward-clerk", place), actor=OPERATOR)
        with pytest.raises(InvalidInput, match="no role 'ward-clerk' there"):
            world.people.add_operator("Eve", "ward-clerk", place, actor=OPERATOR)
    told = [each for each in world.journal(Kind.ROLE_GRANTED) if "role_id" in each.details]
    assert [each.details["role"] for each in told] == ["ward-clerk"] * 2
    assert world.showing.show(user, manager).user.organisation_id == ward


def test_a_right_ends_as_soon_as_it_is_taken_out(world: World, ours: str) -> None:
    """And begins as soon as it is put in: it is looked up in the transaction of each use."""
    role = define(world, ours)
    ida = operator(world, "ward-clerk", ours)
    add(world, ida, ours)
    world.custom_roles.change(role, None, ["view"], actor=OPERATOR)
    with pytest.raises(NotAllowed, match="'people'"):
        add(world, ida, ours)
    world.custom_roles.change(role, None, CLERK, actor=OPERATOR)
    add(world, ida, ours)


def test_nobody_defines_or_widens_a_role_with_a_right_of_others(
    world: World, manager: Identity, ours: str
) -> None:
    define(world, ours, ["view", "roles", "people"], "head-clerk")
    ida = operator(world, "head-clerk", ours)
    with pytest.raises(NotAllowed) as refused:
        world.custom_roles.define("helper", ["view", "revoke"], actor=ida.actor)
    assert refused.value.right == Right.REVOKE
    made = world.custom_roles.define("helper", CLERK, actor=ida.actor)
    assert made.organisation_id == ours
    with pytest.raises(NotAllowed, match="'issue'"):
        world.custom_roles.change(made.id, None, ["view", "issue"], actor=ida.actor)
    # A right that another one has put in can be taken out, but does not come back.
    world.custom_roles.change(made.id, None, ["view", "issue"], actor=manager.actor)
    world.custom_roles.change(made.id, None, ["view"], actor=ida.actor)
    with pytest.raises(NotAllowed, match="'issue'"):
        world.custom_roles.change(made.id, None, ["view", "issue"], actor=ida.actor)
    told = [each.details["right"] for each in world.journal(Kind.RIGHT_REFUSED)]
    assert told == ["revoke", "issue", "issue"]


def test_nobody_changes_the_rights_of_their_own_role(world: World, ours: str) -> None:
    role = define(world, ours, ["view", "roles"])
    ida = operator(world, BuiltIn.RA_MANAGER, ours)
    world.roles.grant(Wish(ida.id, "ward-clerk", ours), actor=OPERATOR)
    for name, rights in ((None, ["view", "roles", "issue"]), ("clerk", [])):
        with pytest.raises(NotAllowed, match="their own"):
            world.custom_roles.change(role, name, rights, actor=ida.actor)
    world.custom_roles.change(role, "clerk", ["view", "issue"], actor=SECOND)


def test_nobody_renames_a_role_to_what_others_grant(world: World, ours: str) -> None:
    """Operators grant by names, so two names are not exchanged by whoever could not grant both."""
    weak = define(world, ours, ["view"], "viewer")
    strong = define(world, ours, ["view", "revoke"], "strong")
    define(world, ours, ["view", "roles"], "head-clerk")
    ida, otto = (operator(world, role, ours) for role in ("head-clerk", BuiltIn.SUPPORT))
    world.custom_roles.change(weak, "former", [], actor=ida.actor)
    for rights in ([], ["view"]):
        with pytest.raises(NotAllowed, match="'revoke'"):
            world.custom_roles.change(strong, "viewer", rights, actor=ida.actor)
    # Who has shown the rights of a role to somebody grants that one, whatever its name is by then.
    world.custom_roles.change(strong, "viewer", [], actor=OPERATOR)
    granted = world.roles.grant(Wish(otto.id, weak, ours), actor=OPERATOR)
    assert (granted.assignment.role, granted.role_name) == (weak, "former")
    invited = world.enrol(world.people.add_operator("Eve", weak, ours, actor=OPERATOR).text)
    with pytest.raises(NotAllowed):
        add(world, invited.identity, ours)


def test_nobody_gives_others_a_right_for_longer_than_they_have_it(world: World, ours: str) -> None:
    """Neither does who has it for a day, in a role that others have without end."""
    role = define(world, ours)
    ida = operator(world, BuiltIn.SUPPORT, ours)
    end = world.clock() + timedelta(days=1)
    world.roles.grant(Wish(ida.id, BuiltIn.RA_MANAGER, ours, None, end), actor=OPERATOR)
    otto = operator(world, BuiltIn.SUPPORT, ours, "Otto")
    world.roles.grant(Wish(otto.id, "ward-clerk", ours, None, end), actor=OPERATOR)
    world.custom_roles.change(role, None, [*CLERK, "issue"], actor=ida.actor)
    world.roles.grant(Wish(otto.id, "ward-clerk", ours), actor=OPERATOR)
    with pytest.raises(NotAllowed, match="others have the role ward-clerk for longer"):
        world.custom_roles.change(role, None, [*CLERK, "issue", "revoke"], actor=ida.actor)
    world.custom_roles.change(role, None, CLERK, actor=ida.actor)


def test_roles_of_others_cost_nothing(
    world: World, ours: str, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To grant or define one reads those of the organisation and above it, and a list of many costs
    no more statements than one of few.
    """
    asked: list[str] = []

    def ask(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    costs = []
    for number in range(2):
        define(world, theirs, name=f"a{number}")
        define(world, ours, name=f"a{number}")
        event.listen(Engine, "before_cursor_execute", ask)
        world.roles.known(actor=OPERATOR)
        event.remove(Engine, "before_cursor_execute", ask)
        costs.append(len(asked))
    assert costs[1] == 2 * costs[0]
    read: list[str] = []

    def made(**columns: Any) -> CustomRole:
        read.append(columns["organisation_id"])
        return CustomRole(**columns)

    monkeypatch.setattr(rows_of_roles, "CustomRole", made)
    ida = operator(world, "a0", ours)
    world.roles.grant(Wish(ida.id, "a1", ours), actor=OPERATOR)
    define(world, ours, name="a2")
    assert ours in read
    assert theirs not in read


@pytest.mark.parametrize("role", BuiltIn)
def test_a_built_in_role_is_neither_changed_nor_deleted(world: World, role: str) -> None:
    """USER-24, BUG-30."""
    for refused in (
        lambda: world.custom_roles.delete(role, actor=OPERATOR),
        lambda: world.custom_roles.change(role, "boss", [], actor=OPERATOR),
        lambda: world.custom_roles.change(role, None, ["view"], actor=OPERATOR),
    ):
        with pytest.raises(BuiltInRole, match=f"{role} is built in: nobody changes"):
            refused()
    with pytest.raises(InvalidInput, match="built-in"):
        define(world, ROOT, name=role)
    assert not world.journal(Kind.ROLE_DEFINED, Kind.ROLE_CHANGED, Kind.ROLE_DELETED)


def test_a_role_is_deleted_when_nobody_has_it(world: World, ours: str) -> None:
    """USER-24: the refusal says who has it. Who will have it counts, and who had it does not."""
    role = define(world, ours)
    ida = operator(world, BuiltIn.SUPPORT, ours)
    wish = Wish(ida.id, "ward-clerk", ours, from_time=world.clock().replace(year=2040))
    granted = world.roles.grant(wish, actor=OPERATOR)
    otto = operator(world, "ward-clerk", ours, "Otto")
    with pytest.raises(RoleGranted, match="ward-clerk is granted to Ida, Otto: withdraw"):
        world.custom_roles.delete(role, actor=OPERATOR)
    world.roles.withdraw(granted.assignment.id, actor=OPERATOR)
    world.identities.remove(Role.OPERATOR, otto.id, "left", world.operator().identity)
    assert world.custom_roles.delete(role, actor=OPERATOR).name == "ward-clerk"
    for gone in (
        lambda: world.custom_roles.delete(role, actor=OPERATOR),
        lambda: world.custom_roles.change(role, "clerk", [], actor=OPERATOR),
    ):
        with pytest.raises(RoleNotFound):
            gone()
    with pytest.raises(InvalidInput, match="no role"):
        world.roles.grant(Wish(ida.id, "ward-clerk", ours), actor=OPERATOR)
    # Its name is free, and those who had the other one are still shown with its name.
    define(world, ours)
    had = [each for each in world.roles.list_all(actor=OPERATOR) if each.assignment.role == role]
    assert [each.role_name for each in had] == ["ward-clerk"] * 2


def test_a_list_of_many_who_have_a_role_is_short(world: World, ours: str) -> None:
    role = define(world, ours)
    for number in range(custom_roles.MOST_NAMED + 2):
        operator(world, "ward-clerk", ours, f"Ida {number}")
    with pytest.raises(RoleGranted, match=r"to Ida 0, Ida 1, .*, Ida 7 and 2 more: "):
        world.custom_roles.delete(role, actor=OPERATOR)


def test_a_name_says_which_role_is_meant(
    world: World, manager: Identity, ours: str, theirs: str
) -> None:
    """No other role has it above or below; elsewhere it is another one."""
    ward = world.organisations.add("Ward 7", manager, ours).id
    define(world, ours)
    define(world, theirs)
    for place, above in ((ours, "Ours"), (ward, "Ours"), (ROOT, "Ours|Theirs")):
        with pytest.raises(RoleExists, match=above):
            define(world, place)
    other = define(world, ward, name="porter")
    with pytest.raises(RoleExists):
        world.custom_roles.change(other, "ward-clerk", [], actor=OPERATOR)
    same = world.custom_roles.change(other, "porter", CLERK, actor=OPERATOR)
    assert (same.id, same.name) == (other, "porter")
    assert not world.journal(Kind.ROLE_CHANGED)


def test_what_changes_is_told_with_what_was(world: World, ours: str) -> None:
    role = define(world, ours)
    world.custom_roles.change(role, "clerk", ["people", "issue", "view"], actor=SECOND)
    world.custom_roles.delete(role, actor=OPERATOR)
    defined, changed, deleted = world.journal(
        Kind.ROLE_DEFINED, Kind.ROLE_CHANGED, Kind.ROLE_DELETED
    )
    about = {"role_id": role, "organisation": ours}
    assert defined.details == {**about, "role": "ward-clerk", "rights": "view people"}
    assert (changed.actor, changed.details) == (
        SECOND,
        {
            **about,
            "old_role": "ward-clerk",
            "role": "clerk",
            "old_rights": "view people",
            "rights": "view people issue",
        },
    )
    assert deleted.details == {**about, "role": "clerk", "rights": "view people issue"}


def test_roles_elsewhere_do_not_exist(
    world: World, manager: Identity, ours: str, theirs: str
) -> None:
    """USER-13: those above are shown, because they hold, and are for others to change."""
    ward = world.organisations.add("Ward 7", manager, ours).id
    whole, other = define(world, ROOT, name="of-all"), define(world, theirs)
    define(world, ours, name="of-ours")
    ida = operator(world, BuiltIn.RA_MANAGER, ward)
    shown = [each.name for each in world.roles.known(actor=ida.actor) if not each.built_in]
    assert shown == [EVERYTHING.name, "of-all", "of-ours"]
    with pytest.raises(NotAllowed, match="'roles'"):
        world.custom_roles.change(whole, "mine", [], actor=ida.actor)
    for gone in (
        lambda: world.custom_roles.change(other, "mine", [], actor=ida.actor),
        lambda: world.custom_roles.delete(other, actor=ida.actor),
    ):
        with pytest.raises(RoleNotFound):
            gone()
    with pytest.raises(OrganisationNotFound):
        world.custom_roles.define("mine", CLERK, theirs, actor=ida.actor)
    world.custom_roles.define("ward-clerk", CLERK, ward, actor=ida.actor)


def test_a_forged_role_gives_no_right(world: World, ours: str) -> None:
    """Whoever writes the database widens nothing, and brings back no role that was deleted."""
    role = define(world, ours, ["view"])
    gone = define(world, ours, CLERK, "gone")
    ida = operator(world, "ward-clerk", ours)
    world.custom_roles.delete(gone, actor=OPERATOR)
    with world.database.write() as connection:
        widened = update(custom_role).where(custom_role.c.id == role)
        connection.execute(widened.values(rights="view people"))
        undone = update(custom_role).where(custom_role.c.id == gone)
        connection.execute(undone.values(end_time=None))
    with pytest.raises(OrganisationNotFound):
        add(world, ida, ours)
    shown = [each.id for each in world.roles.known(actor=OPERATOR) if not each.built_in]
    assert shown == [EVERYTHING.id]
    for each in ("gone", "ward-clerk"):
        with pytest.raises(InvalidInput, match="no role"):
            world.roles.grant(Wish(ida.id, each, ours), actor=OPERATOR)


def test_a_role_of_operators_is_none_of_auditors(world: World, ours: str) -> None:
    define(world, ours, ["view", "journal"])
    auditor = world.auditor()
    with pytest.raises(InvalidInput, match="ward-clerk is no role of an auditor"):
        world.roles.grant(Wish(auditor.id, "ward-clerk", ours), actor=OPERATOR)


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        *((each, CLERK) for each in ("", "Clerk", "a b", "-a", "a-", "a--b", "ä", "a\n", "a" * 41)),
        *(("clerk", each) for each in ([], ["people"], ["view", "everything"], ["view "])),
    ],
)
def test_what_cannot_be_defined(world: World, name: str, rights: Collection[str]) -> None:
    with pytest.raises(InvalidInput, match=r"^(name|rights) "):
        world.custom_roles.define(name, rights, actor=OPERATOR)


def test_an_organisation_does_not_define_roles_without_end(
    world: World, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom_roles, "MOST_ROLES", 3)
    for number in range(3):
        define(world, ours, name=f"a{number}")
    with pytest.raises(InvalidInput, match="one too many"):
        define(world, ours, name="more")
    define(world, ROOT, name="more")


@given(st.sets(st.sampled_from(Right)))
def test_rights_are_read_as_they_were_written(rights: set[Right]) -> None:
    assert parsed(spelled(rights)) == rights
    assert parsed(f"{spelled(rights)} teleport") == rights


@given(st.text(max_size=50))
def test_a_name_is_taken_or_refused(text: str) -> None:
    try:
        name = role_name(text)
    except InvalidInput:
        return
    assert name == text
    assert name.isascii()
    assert name not in RIGHTS
