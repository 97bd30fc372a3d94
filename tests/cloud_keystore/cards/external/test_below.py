"""Authorities below a trusted one: their lists count for its cards, and what is said of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import AuthorityNotFound, InvalidInput, NotAllowed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.external import Outcome
from cloud_keystore.model.rights.roles import BuiltIn
from support.external_ca import ExternalCa, new_ca
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

ROOT_CA, ISSUING = "trust", "issuing"


class Pair:
    """A trusted authority, and one below it that certifies all cards."""

    def __init__(self, world: World, folder: Path) -> None:
        # openssl knows the computer's time alone.
        world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
        self.world = world
        self.root = new_ca(folder / "root", ROOT_CA)
        self.issuing = new_ca(folder / "issuing", ISSUING, self.root)
        assert world.trusting.trust(ROOT_CA, self.root.certificate, actor=OPERATOR)
        assert world.trusting.choose("", "", ROOT_CA, actor=OPERATOR)

    def know(self) -> bool:
        return self.world.trusting.trust(ISSUING, self.issuing.certificate, ROOT_CA, actor=OPERATOR)

    def issue(self, ada: tuple[User, Enrolled]) -> str:
        """A card in use, certified by the authority below."""
        world = self.world
        serial = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
        made = [self.issuing.certify(each.csr) for each in world.certifying.waiting(actor=OPERATOR)]
        done = world.certifying.install(made, [self.issuing.certificate], actor=OPERATOR)
        assert done.done
        world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
        return serial

    def bring(self, ca: ExternalCa, name: str = ROOT_CA) -> None:
        """Bring a list, and do what follows each second."""
        self.world.clock.forward(seconds=1)
        assert self.world.external_lists.bring(name, ca.revocations(), actor=OPERATOR).is_new
        self.world.heeding.look()

    def certificate(self, serial: str) -> bytes:
        return self.world.keys(serial)[0].certificate

    def state(self, serial: str) -> CardState:
        return self.world.find(serial).card.state


@pytest.fixture
def pair(world: World, tmp_path: Path) -> Pair:
    return Pair(world, tmp_path)


def test_the_list_of_an_authority_below_counts(
    pair: Pair, world: World, ada: tuple[User, Enrolled]
) -> None:
    """CIS-01: brought under either name, it is kept for its issuer, and revokes what it names."""
    serial, other = pair.issue(ada), pair.issue(ada)
    with pytest.raises(InvalidInput, match="cloudcard ra ca trust FILE --below NAME"):
        pair.bring(pair.issuing)
    assert pair.know()
    assert not pair.know()
    (entry,) = world.journal(Kind.AUTHORITY_TRUSTED)[1:]
    assert (entry.details["name"], entry.details["below"]) == (ISSUING, ROOT_CA)
    pair.bring(pair.issuing)
    pair.bring(pair.root)
    assert pair.state(serial) is pair.state(other) is CardState.ACTIVE
    pair.issuing.revoke(pair.certificate(serial), "certificateHold")
    pair.bring(pair.issuing, ISSUING)
    assert pair.state(serial) is CardState.SUSPENDED
    # The list above, which does not have it, takes nothing off hold.
    pair.bring(pair.root)
    assert pair.state(serial) is CardState.SUSPENDED
    pair.issuing.release()
    pair.bring(pair.issuing)
    assert pair.state(serial) is CardState.ACTIVE
    pair.issuing.revoke(pair.certificate(serial), "keyCompromise")
    pair.bring(pair.issuing)
    assert pair.state(serial) is CardState.REVOKED
    assert pair.state(other) is CardState.ACTIVE
    held = world.external_lists.list_all(actor=OPERATOR)
    assert {name: each.held.listed for name, each in held.items()} == {ROOT_CA: 0, ISSUING: 1}


def test_cards_go_with_the_authority_that_has_certified_them(
    pair: Pair, world: World, ada: tuple[User, Enrolled]
) -> None:
    """The attack: an authority in wrong hands, whose own list says nothing of that."""
    serial = pair.issue(ada)
    assert pair.know()
    pair.root.revoke(pair.issuing.certificate, "certificateHold")
    pair.bring(pair.root)
    assert pair.state(serial) is CardState.SUSPENDED
    pair.bring(pair.issuing)
    assert pair.state(serial) is CardState.SUSPENDED
    pair.root.release()
    pair.bring(pair.root)
    assert pair.state(serial) is CardState.ACTIVE
    pair.root.revoke(pair.issuing.certificate, "cACompromise")
    pair.bring(pair.root)
    assert pair.state(serial) is CardState.REVOKED
    (told,) = world.journal(Kind.CARD_REVOKED)
    assert told.details["code"] == "keyCompromise"


def test_nothing_is_installed_of_a_revoked_authority(
    pair: Pair, world: World, ada: tuple[User, Enrolled]
) -> None:
    """Whether it is known or not, as it comes with the certificates."""
    world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR)
    made = [pair.issuing.certify(each.csr) for each in world.certifying.waiting(actor=OPERATOR)]
    pair.root.revoke(pair.issuing.certificate)
    pair.bring(pair.root)
    brought = world.certifying.install(made, [pair.issuing.certificate], actor=OPERATOR).brought
    assert {each.outcome for each in brought} == {Outcome.REFUSED}
    assert all("CN=issuing, which has issued it" in each.reason for each in brought)


def test_who_is_not_below_is_not_taken_for_it(pair: Pair, world: World, tmp_path: Path) -> None:
    """The attack: somebody's own authority, of the name of one below."""
    stranger = new_ca(tmp_path / "stranger", ISSUING)
    with pytest.raises(InvalidInput, match="no chain of certificates leads from it to CN=trust"):
        world.trusting.trust(ISSUING, stranger.certificate, ROOT_CA, actor=OPERATOR)
    with pytest.raises(InvalidInput, match="is above trust, or is it"):
        world.trusting.trust(ROOT_CA, pair.root.certificate, ROOT_CA, actor=OPERATOR)
    with pytest.raises(AuthorityNotFound):
        world.trusting.trust(ISSUING, pair.issuing.certificate, "nobody", actor=OPERATOR)
    assert pair.know()
    with pytest.raises(InvalidInput, match="and not of CN=trust"):
        world.external_lists.bring(ROOT_CA, stranger.revocations(), actor=OPERATOR)
    theirs = world.people.add_operator("Ida", BuiltIn.RA_AGENT, "", actor=OPERATOR)
    ida = world.enrol(theirs.text).identity.actor
    with pytest.raises(NotAllowed):
        world.trusting.trust("other", stranger.certificate, ROOT_CA, actor=ida)


def test_a_longer_line(pair: Pair, world: World, tmp_path: Path) -> None:
    """One below another that is not known leads nowhere yet."""
    lower = new_ca(tmp_path / "lower", "lower", pair.issuing)
    with pytest.raises(InvalidInput, match="no chain"):
        world.trusting.trust("lower", lower.certificate, ROOT_CA, actor=OPERATOR)
    assert pair.know()
    assert world.trusting.trust("lower", lower.certificate, ISSUING, actor=OPERATOR)
    found = {each.name: each for each in world.trusting.list_all(actor=OPERATOR)}
    assert found["lower"].above_id == found[ISSUING].above_id == found[ROOT_CA].id
    pair.bring(lower, "lower")


def test_what_is_above_stays(pair: Pair, world: World, ada: tuple[User, Enrolled]) -> None:
    serial = pair.issue(ada)
    assert pair.know()
    with pytest.raises(InvalidInput, match="is below another authority"):
        world.external_lists.use(ISSUING, "", stops=True, actor=OPERATOR)
    assert world.trusting.distrust(ISSUING, actor=OPERATOR)
    assert pair.know()
    pair.issuing.revoke(pair.certificate(serial))
    pair.bring(pair.issuing)
    with pytest.raises(InvalidInput, match="have felt what issuing has revoked"):
        world.trusting.distrust(ISSUING, actor=OPERATOR)
