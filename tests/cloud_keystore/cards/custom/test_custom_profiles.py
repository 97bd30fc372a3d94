"""Card profiles that organisations define, and the cards that are issued from them."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from cloud_keystore.cards.life import Wanted
from cloud_keystore.model.custom.profiles import Terms
from cloud_keystore.model.errors import (
    BuiltInProfile,
    ChangedMeanwhile,
    ClientOutdated,
    InvalidInput,
    NotAllowed,
    OrganisationNotFound,
    ProfileExists,
    ProfileInUse,
    ProfileNotFound,
    RequestIdReused,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.model.sheets.candidates import Candidate, Outcome
from support.keystore_world import OPERATOR, World

SERIES_8 = Terms("Series 8", "1.10", "1508", 365)


@pytest.fixture
def manager(world: World) -> Identity:
    return world.operator().identity


@pytest.fixture
def ours(world: World, manager: Identity) -> str:
    return world.organisations.add("Ours", manager).id


@pytest.fixture
def theirs(world: World, manager: Identity) -> str:
    return world.organisations.add("Theirs", manager).id


def define(world: World, place: str = ROOT, terms: Terms = SERIES_8, name: str = "series-8") -> str:
    """A variant of `v2`; returns its identifier."""
    return world.custom_profiles.define(name, "v2", terms, place, actor=OPERATOR).profile.id


def operator(world: World, role: str, place: str) -> Identity:
    return world.enrol(world.people.add_operator("Ida", role, place, actor=OPERATOR).text).identity


def issue(world: World, user: User, name: str = "series-8", place: str = "") -> str:
    made = world.issuing.issue(os.urandom(16), user.id, name, place, actor=OPERATOR)
    return made.card.serial


def test_a_card_is_issued_as_its_profile_says(world: World) -> None:
    """CARD-05: series, serial numbers and time are the profile's; keys, and what cards are counted
    as, the base's.
    """
    define(world)
    user, _ = world.user()
    serial = issue(world, user, " Series-8 ")
    found = world.find(serial)
    assert serial.startswith("1508")
    assert (found.series, found.custom_profile, found.card.profile) == (
        "Series 8",
        "series-8",
        "v2",
    )
    assert found.card.expire_time == world.clock() + timedelta(days=365)
    assert [(each.series, each.card.serial) for each in world.cards.list_all(actor=OPERATOR)] == [
        ("Series 8", serial)
    ]
    assert [(each.profile, each.cards) for each in world.cards.count(actor=OPERATOR)] == [("v2", 1)]
    plain = world.find(issue(world, user, "v2"))
    assert (plain.series, plain.custom_profile) == ("", "")
    ordered, *_ = world.journal(Kind.CARD_ORDERED)
    assert ordered.details["custom_profile"] == "series-8"


def test_a_phone_that_is_older_is_refused_with_what_to_update(world: World) -> None:
    """CARD-05: issuing to a client older than the minimum is refused with that version named;
    DEV-04: what is not known is not too old.
    """
    define(world)
    user, phone = world.user()
    issue(world, user)
    world.callers.heard("cloudcard/1.9 (android 15)", phone.identity)
    before = len(world.cards.list_all(actor=OPERATOR))
    with pytest.raises(ClientOutdated, match=r"need version 1\.10 of the app .* phone has 1\.9"):
        issue(world, user)
    assert len(world.cards.list_all(actor=OPERATOR)) == before
    issue(world, user, "v2")
    world.clock.forward(minutes=1)
    world.callers.heard("cloudcard/banana (android 15)", phone.identity)
    issue(world, user)
    world.clock.forward(minutes=1)
    world.callers.heard("cloudcard/1.9", phone.identity)
    second = world.enrol(world.people.invite_device(user.id, actor=OPERATOR).text)
    world.callers.heard("cloudcard/1.10", second.identity)
    issue(world, user)
    world.devices.remove(second.identity.id, "lost", world.operator().identity)
    with pytest.raises(ClientOutdated):
        issue(world, user)
    world.clock.forward(minutes=1)
    world.callers.heard("cloudcard/1.10", phone.identity)
    issue(world, user)


def test_a_card_in_the_place_of_another_is_of_its_profile(world: World) -> None:
    define(world)
    user, phone = world.user()
    serial = issue(world, user)
    replaced = world.replacing.replace(serial, "lost", actor=OPERATOR)
    assert replaced.card is not None
    assert replaced.card.custom_profile == "series-8"
    assert replaced.card.card.serial.startswith("1508")
    world.callers.heard("cloudcard/1.9", phone.identity)
    with pytest.raises(ClientOutdated):
        world.replacing.replace(replaced.card.card.serial, "lost", actor=OPERATOR)


def test_a_card_is_renewed_as_its_profile_says_now(world: World) -> None:
    profile = define(world)
    user, _ = world.user()
    serial = world.card(user, "series-8")
    world.custom_profiles.change(profile, 1, None, Terms(validity_days=100), actor=OPERATOR)
    world.clock.forward(days=300)
    foreseen = world.prolonging.foresee(serial, actor=OPERATOR)
    renewed = world.prolonging.renew(serial, None, actor=OPERATOR)
    assert foreseen.end == renewed.end == world.clock() + timedelta(days=100)
    assert renewed.listing.series == "Series 8"


def test_a_repeated_call_gets_the_same_card_and_no_other_profile(world: World) -> None:
    define(world)
    user, _ = world.user()
    request_id = os.urandom(16)

    def ask(name: str) -> str:
        return world.issuing.issue(request_id, user.id, name, actor=OPERATOR).card.serial

    assert ask("series-8") == ask("series-8")
    with pytest.raises(RequestIdReused):
        ask("v2")


def test_a_profile_is_for_its_organisation_and_those_below(
    world: World, manager: Identity, ours: str, theirs: str
) -> None:
    """Elsewhere it does not exist, and cards of one organisation are not made from another's."""
    profile = define(world, ours)
    ward = world.organisations.add("Ward 7", manager, ours).id
    user, _ = world.user()
    for place in (ours, ward):
        issue(world, user, "series-8", place)
    for place in (theirs, ROOT):
        with pytest.raises(InvalidInput, match="no profile 'series-8' there: use one of v1, v2"):
            issue(world, user, "series-8", place)
    below, elsewhere = (operator(world, BuiltIn.RA_MANAGER, each) for each in (ward, theirs))
    seen = world.custom_profiles.list_all(actor=below.actor)
    assert [(each.profile.name, each.organisation_name, each.cards) for each in seen] == [
        ("series-8", "Ours", 2)
    ]
    assert not world.custom_profiles.list_all(actor=elsewhere.actor)
    with pytest.raises(NotAllowed):
        world.custom_profiles.change(profile, 1, "mine", Terms(), actor=below.actor)
    with pytest.raises(ProfileNotFound):
        world.custom_profiles.change(profile, 1, "mine", Terms(), actor=elsewhere.actor)
    with pytest.raises(ProfileNotFound):
        world.custom_profiles.delete(profile, actor=elsewhere.actor)
    with pytest.raises(OrganisationNotFound):
        world.custom_profiles.define("mine", "v2", Terms(), ours, actor=elsewhere.actor)


def test_a_name_says_which_profile_is_meant(
    world: World, manager: Identity, ours: str, theirs: str
) -> None:
    define(world, ours)
    ward = world.organisations.add("Ward 7", manager, ours).id
    for place in (ours, ward, ROOT):
        with pytest.raises(ProfileExists, match="Ours has a profile series-8"):
            define(world, place)
    other = define(world, theirs)
    define(world, ours, name="series-9")
    define(world, theirs, name="series-7")
    with pytest.raises(ProfileExists):
        world.custom_profiles.change(other, 1, "series-7", Terms(), actor=OPERATOR)


def test_who_has_seen_an_earlier_revision_changes_nothing(world: World) -> None:
    profile = define(world)
    world.custom_profiles.change(profile, 1, None, Terms(series="8th"), actor=OPERATOR)
    with pytest.raises(ChangedMeanwhile):
        world.custom_profiles.change(profile, 1, None, Terms(series="eighth"), actor=OPERATOR)
    again = world.custom_profiles.change(profile, 2, None, Terms(series="8th"), actor=OPERATOR)
    assert (again.profile.series, again.profile.revision) == ("8th", 2)


def test_what_changes_is_told_with_what_was(world: World) -> None:
    profile = define(world)
    terms = Terms(oldest_client="1.11", serial_prefix="")
    world.custom_profiles.change(profile, 1, "series-eight", terms, actor=OPERATOR)
    world.custom_profiles.delete(profile, actor=OPERATOR)
    kinds = (Kind.PROFILE_DEFINED, Kind.PROFILE_CHANGED, Kind.PROFILE_DELETED)
    defined, changed, deleted = world.journal(*kinds)
    assert {each.details["profile_id"] for each in (defined, changed, deleted)} == {profile}
    about = {"name": "series-8", "base": "v2", "series": "Series 8", "oldest_client": "1.10"}
    assert defined.details.items() >= {*about.items(), ("serial_prefix", "1508")}
    assert changed.details == {
        "profile": "series-8",
        "profile_id": profile,
        "organisation": ROOT,
        "old_name": "series-8",
        "name": "series-eight",
        "old_oldest_client": "1.10",
        "oldest_client": "1.11",
        "old_serial_prefix": "1508",
        "serial_prefix": "150",
    }
    assert deleted.details["name"] == "series-eight"


def test_a_profile_is_deleted_when_no_card_is_of_it(world: World) -> None:
    profile = define(world)
    user, _ = world.user()
    serial = issue(world, user)
    with pytest.raises(ProfileInUse, match="1 cards are of the profile series-8"):
        world.custom_profiles.delete(profile, actor=OPERATOR)
    world.cards.revoke(serial, "left", actor=OPERATOR)
    world.custom_profiles.delete(profile, actor=OPERATOR)
    with pytest.raises(ProfileNotFound):
        world.custom_profiles.delete(profile, actor=OPERATOR)
    assert not world.custom_profiles.list_all(actor=OPERATOR)
    assert world.find(serial).series == "Series 8"
    with pytest.raises(InvalidInput, match="no profile"):
        issue(world, user)
    with pytest.raises(InvalidInput, match="was changed or deleted"):
        world.replacing.replace(serial, "lost", actor=OPERATOR)
    assert define(world) != profile


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_built_in_profile_is_neither_changed_nor_deleted(world: World, name: str) -> None:
    with pytest.raises(BuiltInProfile, match=f"{name} is built in"):
        world.custom_profiles.change(name, 1, "mine", Terms(), actor=OPERATOR)
    with pytest.raises(BuiltInProfile):
        world.custom_profiles.delete(name, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="built-in profile"):
        define(world, name=name)


def test_an_organisation_defines_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_keystore.people.policies.card_profiles.MOST_PROFILES", 2)
    for name in ("one", "two"):
        define(world, name=name)
    with pytest.raises(InvalidInput, match="name is one too many"):
        define(world, name="three")


def test_only_who_sets_policies_defines_profiles(world: World) -> None:
    agent = operator(world, BuiltIn.RA_AGENT, ROOT)
    with pytest.raises(NotAllowed, match="'policy'"):
        world.custom_profiles.define("mine", "v2", Terms(), actor=agent.actor)


def test_a_person_gets_cards_of_it_until_somebody_says_otherwise(world: World, ours: str) -> None:
    """CARD-05: and so long it is neither deleted nor called otherwise."""
    profile_id = define(world, ours)
    user, _ = world.people.add_user("Eve", "", organisation_id=ours, actor=OPERATOR)
    world.people.change_user(user.id, None, None, profile=" Series-8", actor=OPERATOR)
    serial = world.issuing.issue(os.urandom(16), user.id, "", actor=OPERATOR).card.serial
    assert world.find(serial).custom_profile == "series-8"
    assert world.explaining.of_user(user.id, actor=OPERATOR).profile == "v2"
    world.cards.revoke(serial, "over", actor=OPERATOR)
    with pytest.raises(ProfileInUse, match="1 people"):
        world.custom_profiles.delete(profile_id, actor=OPERATOR)
    with pytest.raises(ProfileInUse, match="1 people"):
        world.custom_profiles.change(profile_id, 1, "other", Terms(), actor=OPERATOR)
    world.people.change_user(user.id, None, None, profile="", actor=OPERATOR)
    world.custom_profiles.delete(profile_id, actor=OPERATOR)


def test_nobody_gets_cards_of_a_profile_that_their_organisation_does_not_have(
    world: World, ours: str, theirs: str
) -> None:
    """CARD-05: also who has moved away, until somebody says otherwise."""
    world.custom_profiles.define("series-8", "v1", Terms(), theirs, actor=OPERATOR)
    user, _ = world.people.add_user("Eve", "", organisation_id=ours, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="no profile 'series-8' there"):
        world.people.change_user(user.id, None, None, profile="series-8", actor=OPERATOR)
    both = {"profile": "series-8", "organisation_id": theirs}
    world.people.change_user(user.id, None, None, **both, actor=OPERATOR)
    assert world.explaining.of_user(user.id, actor=OPERATOR).profile == "v1"
    world.people.change_user(user.id, None, None, organisation_id=ours, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="use one of"):
        world.issuing.issue(os.urandom(16), user.id, "", actor=OPERATOR)
    assert world.explaining.of_user(user.id, actor=OPERATOR).profile == "v2"


def test_people_are_imported_with_it(world: World, ours: str) -> None:
    define(world, ours)
    rows = [
        Candidate(name="Eve", email="eve@a.example", organisation=place, profile="series-8")
        for place in ("Ours", "Default")
    ]
    added, refused = (
        world.importing.import_users([row], dry_run=True, actor=OPERATOR)[0] for row in rows
    )
    assert (added.outcome, refused.outcome) == (Outcome.ADDED, Outcome.REFUSED)
    assert [each.column for each in refused.faults] == ["profile"]


def test_cards_are_listed_by_it(world: World) -> None:
    """CARD-05: by the base, all of its variants too."""
    define(world)
    define(world, name="series-9")
    user, _ = world.user()
    own, _ = issue(world, user), issue(world, user, "series-9")
    for profile, number in (("series-8", 1), ("v2", 2), ("none", 0)):
        found = world.cards.list_all(wanted=Wanted(profile=profile), actor=OPERATOR)
        assert len(found) == number, profile
        counted = world.cards.count(Wanted(profile=profile), actor=OPERATOR)
        assert sum(each.cards for each in counted) == number
    (one,) = world.cards.list_all(wanted=Wanted(profile="series-8"), actor=OPERATOR)
    assert one.card.serial == own
