"""Windows accounts of people."""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import InvalidInput, UserClosed, UserExists, UserNotFound
from cloud_keystore.model.fields.accounts import MOST_ACCOUNTS, Account, AccountState
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.sheets.candidates import Candidate, Outcome
from cloud_keystore.people.listing import Wanted
from support.keystore_world import OPERATOR, PASSCODE, World

ADA = r"CORP\ada"
UPN = "ada@corp.example"
KINDS = (
    Kind.WINDOWS_ACCOUNT_ADDED,
    Kind.WINDOWS_ACCOUNT_ACTIVATED,
    Kind.WINDOWS_ACCOUNT_CHANGED,
    Kind.WINDOWS_ACCOUNT_REMOVED,
)


def listed(world: World, user: User) -> list[tuple[str, AccountState]]:
    found = world.accounts.list_of(user.id, actor=OPERATOR)
    return [(each.name, each.state) for each in found]


def add(world: World, user: User, name: str = ADA, upn: str = "") -> Account:
    account, added = world.accounts.add(user.id, name, upn, actor=OPERATOR)
    assert added
    return account


def told(world: World) -> list[Entry]:
    return world.journal(*KINDS)


def test_an_account_is_pending_until_enrolment_is_completed(world: World) -> None:
    """USER-09."""
    user, token = world.people.add_user("Ada", "", UPN, account=ADA, actor=OPERATOR)
    assert token is not None
    (account,) = world.accounts.list_of(user.id, actor=OPERATOR)
    assert (account.state, account.upn) == (AccountState.PENDING, UPN)
    phone = world.enrol(token.text)
    made = world.issuing.issue(bytes(16), user.id, "p256", actor=OPERATOR).card
    assert listed(world, user) == [(ADA, AccountState.PENDING)]
    world.passcodes.set_first(made.serial, PASSCODE, phone.identity)
    assert listed(world, user) == [(ADA, AccountState.ACTIVE)]
    added, activated = told(world)
    assert (added.kind, activated.kind) == KINDS[:2]
    assert (added.user_id, added.details["account"]) == (user.id, ADA)
    (in_use,) = world.journal(Kind.CARD_ACTIVATED)
    assert activated.time == in_use.time


def test_whatever_comes_last_completes_enrolment(world: World) -> None:
    """USER-09: a card that is in use from the start, and then the phone."""
    user, token = world.people.add_user("Ada", "", account=ADA, actor=OPERATOR)
    assert token is not None
    world.issuing.issue(bytes(16), user.id, "developer", actor=OPERATOR)
    assert listed(world, user) == [(ADA, AccountState.PENDING)]
    world.enrol(token.text)
    assert listed(world, user) == [(ADA, AccountState.ACTIVE)]
    bob, _ = world.user("Bob")
    add(world, bob, r"CORP\bob")
    world.issuing.issue(bytes([1] * 16), bob.id, "developer", actor=OPERATOR)
    assert listed(world, bob) == [(r"CORP\bob", AccountState.ACTIVE)]


def test_an_account_of_who_has_enrolled_is_active_and_among_the_events_at_once(
    world: World,
) -> None:
    """USER-10, BUG-12."""
    operator = world.operator().identity
    user, _ = world.user()
    world.card(user)
    account, _ = world.accounts.add(user.id, ADA, UPN, actor=operator.actor)
    assert account.state is AccountState.ACTIVE
    found = world.showing.show(user.id, operator)
    assert [each.name for each in found.accounts] == [ADA]
    assert found.events[0].text == rf"Operator Olga gave the Windows account {ADA}"
    assert world.accounts.remove(user.id, ADA, actor=operator.actor)
    assert not world.accounts.remove(user.id, ADA, actor=operator.actor)
    found = world.showing.show(user.id, operator)
    assert found.accounts == ()
    assert found.events[0].kind is Kind.WINDOWS_ACCOUNT_REMOVED


def test_an_account_belongs_to_one_person(world: World) -> None:
    ada, bob = world.user("Ada")[0], world.user("Bob")[0]
    add(world, ada, ADA, UPN)
    again = world.accounts.add(ada.id, r"corp\ADA", UPN.upper(), actor=OPERATOR)
    assert (again[0].name, again[1]) == (ADA, False)
    with pytest.raises(UserExists, match="remove it first"):
        world.accounts.add(ada.id, ADA, "other@corp.example", actor=OPERATOR)
    for name, upn in ((r"corp\ADA", ""), (r"CORP\bob", UPN.upper())):
        with pytest.raises(UserExists, match="is that of Ada"):
            world.accounts.add(bob.id, name, upn, actor=OPERATOR)
    with pytest.raises(UserExists, match="is that of Ada"):
        world.people.add_user("Cy", "cy@example.org", UPN, actor=OPERATOR)
    candidates = [Candidate("Cy", "cy@example.org", upn=UPN.upper())]
    (refused,) = world.importing.import_users(candidates, dry_run=False, actor=OPERATOR)
    assert (refused.outcome, refused.faults[0].column) == (Outcome.REFUSED, "upn")
    dee, _ = world.people.add_user("Dee", "", "dee@corp.example", actor=OPERATOR)
    with pytest.raises(UserExists, match="is that of Dee"):
        world.accounts.add(bob.id, r"CORP\bob", "DEE@corp.example", actor=OPERATOR)
    add(world, dee, r"CORP\dee", "dee@corp.example")
    assert len(told(world)) == 2


def test_a_disabled_account_leaves_its_name_to_others(world: World) -> None:
    ada, bob = world.user("Ada")[0], world.user("Bob")[0]
    world.card(ada)
    add(world, ada)
    for _ in range(2):
        done = world.accounts.disable(ada.id, ADA, disabled=True, actor=OPERATOR)
        assert done.state is AccountState.DISABLED
    add(world, bob)
    with pytest.raises(UserExists, match="is that of Bob"):
        world.accounts.disable(ada.id, ADA, disabled=False, actor=OPERATOR)
    assert world.accounts.remove(bob.id, ADA, actor=OPERATOR)
    again = world.accounts.disable(ada.id, ADA, disabled=False, actor=OPERATOR)
    assert again.state is AccountState.ACTIVE
    with pytest.raises(InvalidInput, match="is none of Bob"):
        world.accounts.disable(bob.id, ADA, disabled=True, actor=OPERATOR)
    changed = [each.details for each in world.journal(Kind.WINDOWS_ACCOUNT_CHANGED)]
    assert [(each["old_state"], each["state"]) for each in changed] == [
        ("active", "disabled"),
        ("disabled", "active"),
    ]


def test_accounts_go_with_their_person(world: World) -> None:
    """BUG-05."""
    operator = world.operator().identity
    user, _ = world.people.add_user("Ada", "", account=ADA, actor=OPERATOR)
    world.clock.forward(seconds=1)
    add(world, user, r"CORP\ada2")
    foreseen = world.leaving.foresee(user.id, operator)
    assert [each.name for each in foreseen.accounts] == [ADA, r"CORP\ada2"]
    world.leaving.close(user.id, "left", operator)
    assert world.leaving.close(user.id, "left", operator).accounts == ()
    assert listed(world, user) == []
    removed = world.journal(Kind.WINDOWS_ACCOUNT_REMOVED)
    assert [each.details["account"] for each in removed] == [ADA, r"CORP\ada2"]
    with pytest.raises(UserClosed):
        world.accounts.add(user.id, ADA, "", actor=OPERATOR)
    add(world, world.user("Bob")[0])


def test_a_repeated_person_gets_the_account_that_was_missing(world: World) -> None:
    args = ("Ada", "ada@example.org", UPN)
    world.people.add_user(*args, actor=OPERATOR)
    for _ in range(2):
        user, token = world.people.add_user(*args, account=ADA, actor=OPERATOR)
        assert token is None
    assert listed(world, user) == [(ADA, AccountState.PENDING)]


@pytest.mark.parametrize("text", [ADA, r"corp\ADA", UPN, UPN.upper()])
def test_a_person_is_found_by_an_account(world: World, text: str) -> None:
    ada, _ = world.user("Ada")
    world.user("Bob")
    add(world, ada, ADA, UPN)
    found = world.people.search(text, 10, actor=OPERATOR)
    listed_ = world.people.list_users(wanted=Wanted(text=text, sort="name"), actor=OPERATOR)
    assert [each.user.id for each in found] == [each.user.id for each in listed_] == [ada.id]
    assert world.people.search("CORP", 10, actor=OPERATOR) == []


def test_nothing_is_half_made(world: World) -> None:
    with pytest.raises(InvalidInput, match="account"):
        world.people.add_user("Ada", "", account="ada", actor=OPERATOR)
    assert world.people.list_users(actor=OPERATOR) == []


def test_there_are_few_for_a_person(world: World) -> None:
    user, _ = world.user()
    for number in range(MOST_ACCOUNTS):
        add(world, user, rf"CORP\ada{number}")
    with pytest.raises(InvalidInput, match="one too many"):
        world.accounts.add(user.id, ADA, "", actor=OPERATOR)
    with pytest.raises(UserNotFound):
        world.accounts.add("nobody", ADA, "", actor=OPERATOR)
