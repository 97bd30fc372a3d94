"""Operators log in by their own cards: what custody finds out about a certificate that is shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv.names import KeyRef
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.use.using_sessions import Outcome, Used, UseRequest, UsingSessions
from cloud_keystore.model.errors import (
    IdentityRejected,
    KeyBackendUnavailable,
    NotAllowed,
    TokenRejected,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.rights.card_log_ins import LARGEST_CERTIFICATE, CardCode
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.model.rights.visits import SECRET_PREFIX, text_sha256
from cloud_keystore.people.rights.card_log_ins import (
    FOREIGN,
    LATE,
    NOBODY,
    NOT_IN_USE,
    NOT_USED,
    OVER,
    SEVERAL,
)
from cloud_keystore.people.roles import Wish
from cloud_keystore.pki.building import begin
from cloud_keystore.storage import cards
from support.authority import Authority
from support.keystore_world import DIGEST, SESSIONS, Enrolled, World

BROWSER, OTHER_BROWSER = b"\x01" * 32, b"\x02" * 32


@dataclass
class Holder:
    """An operator with a card at a workstation."""

    world: World
    operator: Identity
    user: User
    phone: Enrolled
    pc: Enrolled
    serial: str

    @classmethod
    def of(cls, world: World, profile: str = "p256") -> Holder:
        operator = world.operator().identity
        user, phone = world.user(f"Olga {operator.id}")
        made = cls(world, operator, user, phone, world.workstation(operator.id), "")
        made.serial = world.card(user, profile)
        return made

    def identify(self, operator: Identity | None = None, place: str = "") -> None:
        """Let an RA manager say who the operator is."""
        found = self.operator if operator is None else operator
        self.world.operators.identify(found.id, self.user.id, place, actor=self.world.actor)

    def use(self, key_ref: int = KeyRef.AUTHENTICATION) -> None:
        """What TLS does with the card."""
        operation = self.world.ask(self.serial, self.pc, key_ref=key_ref)
        self.world.decide(operation, self.phone)
        self.world.perform(operation, self.pc)

    def certificate(self, key_ref: int = KeyRef.AUTHENTICATION) -> bytes:
        (key,) = (each for each in self.world.keys(self.serial) if each.key_ref == key_ref)
        return key.certificate

    def code(self, browser: bytes = BROWSER) -> str:
        """The code for a browser that has shown the card."""
        return self.world.card_log_ins.make_code(self.certificate(), browser)

    def refused(self, why: str, certificate: bytes | None = None) -> None:
        """Nobody gets a code."""
        with pytest.raises(TokenRejected) as told:
            self.world.card_log_ins.make_code(certificate or self.certificate(), BROWSER)
        assert str(told.value) == why


@pytest.fixture
def olga(world: World) -> Holder:
    made = Holder.of(world)
    made.identify()
    made.use()
    return made


def whose(world: World, secret: str) -> Identity:
    found = text_sha256(SECRET_PREFIX, secret)
    assert found is not None
    return world.visits.find(found)


def test_a_card_logs_its_operator_in(world: World, olga: Holder) -> None:
    """The journal has by which card; the log-in counts as a proof for what is of high risk."""
    secret = world.card_log_ins.begin(olga.code(), BROWSER)
    assert whose(world, secret) == olga.operator
    world.visits.prove(text_sha256(SECRET_PREFIX, secret) or b"")
    (told,) = world.journal(Kind.VISIT_BEGUN)
    assert told.actor == olga.operator.actor
    card = world.find(olga.serial).card.id
    assert (told.details["by"], told.details["card"]) == ("card", card)
    world.visits.begin(world.visits.make_code(olga.operator).text)
    assert world.journal(Kind.VISIT_BEGUN)[-1].details["by"] == "code"


def test_browsers_are_asked_for_cards_of_ours(world: World, olga: Holder) -> None:
    (trusted,) = world.card_log_ins.trusted()
    issuer = x509.load_der_x509_certificate(trusted)
    x509.load_der_x509_certificate(olga.certificate()).verify_directly_issued_by(issuer)


def test_a_code_is_good_once_and_for_a_minute(world: World, olga: Holder) -> None:
    code, late = olga.code(), olga.code()
    world.card_log_ins.begin(code, BROWSER)
    # The same bits, told otherwise
    for again in (code, code + "=", code[:-1] + chr(ord(code[-1]) ^ 1)):
        with pytest.raises(TokenRejected, match=LATE):
            world.card_log_ins.begin(again, BROWSER)
    world.clock.forward(seconds=60)
    with pytest.raises(TokenRejected, match=LATE):
        world.card_log_ins.begin(late, BROWSER)
    assert len(world.journal(Kind.VISIT_BEGUN)) == 1


def test_a_code_from_before_the_clock_was_set_back_is_none(world: World, olga: Holder) -> None:
    code = olga.code()
    world.clock.forward(seconds=-1)
    with pytest.raises(TokenRejected, match=LATE):
        world.card_log_ins.begin(code, BROWSER)


def test_a_code_is_for_one_browser(world: World, olga: Holder) -> None:
    """Whoever makes somebody else's browser bring a code, or steals one, logs in nobody."""
    code = olga.code()
    for browser in (OTHER_BROWSER, b""):
        with pytest.raises(TokenRejected, match=LATE):
            world.card_log_ins.begin(code, browser)
    with pytest.raises(TokenRejected, match=LATE):
        world.card_log_ins.make_code(olga.certificate(), b"")
    world.card_log_ins.begin(code, BROWSER)


def test_a_code_is_the_keystores_own(world: World, olga: Holder) -> None:
    made, other = CardCode.parse(olga.code()), Holder.of(world)
    assert made is not None
    other.identify()
    for changed in (
        replace(made, certificate=other.certificate()),
        replace(made, create_time=world.clock.now.replace(year=2027)),
        replace(made, mac=bytes(32)),
    ):
        with pytest.raises(TokenRejected, match=LATE):
            world.card_log_ins.begin(str(changed), BROWSER)


@given(text=st.text() | st.from_regex(r"cccard_[A-Za-z0-9_-]{0,200}", fullmatch=True))
def test_any_text_is_a_code_or_none(text: str) -> None:
    found = CardCode.parse(text)
    assert found is None or CardCode.parse(str(found)) == found


def test_a_code_is_read_as_it_was_written(olga: Holder) -> None:
    code = olga.code()
    assert str(CardCode.parse(code)) == code
    assert CardCode.parse(code + "A" * 2 * LARGEST_CERTIFICATE) is None


def test_a_card_that_was_not_used_just_now_logs_in_nobody(world: World) -> None:
    """Whoever has taken the port of cards over has certificates, which are public, and no cards."""
    olga = Holder.of(world)
    olga.identify()
    olga.refused(NOT_USED)
    olga.use(KeyRef.SIGNATURE)
    olga.refused(NOT_USED)
    olga.use()
    olga.code()
    world.clock.forward(minutes=2, microseconds=1)
    olga.refused(NOT_USED)


def test_a_session_of_uses_counts_once_it_was_used(world: World) -> None:
    world.set_policy(SESSIONS)
    olga = Holder.of(world)
    olga.identify()
    session = world.session(olga.serial, olga.pc, olga.phone)
    olga.refused(NOT_USED)
    world.use(session, olga.pc)
    olga.code()
    world.clock.forward(minutes=2, microseconds=1)
    olga.refused(NOT_USED)


def test_a_use_counts_with_its_answer(world: World) -> None:
    """The log-in follows the handshake at once; the result may be stored later. A use that failed
    counts no more.
    """
    world.set_policy(SESSIONS)
    olga = Holder.of(world)
    olga.identify()
    session = world.session(olga.serial, olga.pc, olga.phone)
    certificate = olga.pc.identity.certificate_sha256

    def use(sessions: UsingSessions) -> Outcome:
        outcomes: list[Outcome] = []
        request = UseRequest(session.id, os.urandom(16), (DIGEST,), certificate)
        sessions.use_all([request], lambda _, outcome: outcomes.append(outcome))
        return outcomes[0]

    assert isinstance(use(replace(world.sessions, custody=Keys({}))), KeyBackendUnavailable)
    olga.refused(NOT_USED)
    assert isinstance(use(world.sessions), Used)
    olga.code()
    world.clock.forward(minutes=2, microseconds=1)
    olga.refused(NOT_USED)


def test_certificates_of_others_are_none(world: World, olga: Holder) -> None:
    """Another authority's, one that has our authority's name, and one of the keystore's own
    authority of which it has no record.
    """
    own = x509.load_der_x509_certificate(olga.certificate())
    other = Authority()
    usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    key, ours = ec.generate_private_key(ec.SECP256R1()), world.authorities().cards
    made = [other.certify("Olga", key.public_key(), usage)]
    for issuer in (replace(ours, private=key), ours):
        builder = begin(own.subject, key.public_key(), issuer, world.clock(), timedelta(days=1))
        made.append(builder.add_extension(usage, critical=False).sign(issuer.private, SHA256()))
    for each in made:
        olga.refused(FOREIGN, each.public_bytes(Encoding.DER))


def test_only_the_key_that_authenticates_logs_in(olga: Holder) -> None:
    """The card's own key 9E needs no PIN; 9C and 9D are for other purposes."""
    for key_ref in (KeyRef.SIGNATURE, KeyRef.KEY_MANAGEMENT, KeyRef.CARD_AUTHENTICATION):
        olga.refused(FOREIGN, olga.certificate(key_ref))


def test_developers_cards_log_in_nobody(world: World) -> None:
    made = Holder.of(world, "developer")
    made.identify()
    made.refused(FOREIGN)


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x00" * LARGEST_CERTIFICATE, b"\x30" * 9000])
def test_junk_is_refused(world: World, junk: bytes) -> None:
    with pytest.raises(TokenRejected):
        world.card_log_ins.make_code(junk, BROWSER)


def test_a_card_has_to_be_in_use_to_the_last(world: World, olga: Holder) -> None:
    """Also between the code and the log-in."""
    code = olga.code()
    world.cards.suspend(olga.serial, actor=world.actor)
    olga.refused(NOT_IN_USE)
    with pytest.raises(TokenRejected, match=NOT_IN_USE):
        world.card_log_ins.begin(code, BROWSER)
    world.cards.resume(olga.serial, actor=world.actor)
    olga.code()
    code, certificate = olga.code(), olga.certificate()
    world.cards.revoke(olga.serial, "lost", actor=world.actor)
    olga.refused(NOT_IN_USE, certificate)
    with pytest.raises(TokenRejected, match=NOT_IN_USE):
        world.card_log_ins.begin(code, BROWSER)
    assert world.journal(Kind.VISIT_BEGUN) == []


def test_a_visit_is_over_with_the_card_that_began_it(world: World, olga: Holder) -> None:
    """The attack: a card that was lost, and whoever has found it has logged in before somebody
    reported it. A visit that was begun by something else goes on.
    """
    secret = world.card_log_ins.begin(olga.code(), BROWSER)
    other = world.visits.begin(world.visits.make_code(olga.operator).text)
    world.cards.suspend(olga.serial, actor=world.actor)
    for over in (lambda: None, lambda: world.cards.revoke(olga.serial, "lost", actor=world.actor)):
        over()
        with pytest.raises(IdentityRejected):
            whose(world, secret)
    assert whose(world, other) == olga.operator


def test_a_visit_lasts_no_longer_than_its_card(world: World) -> None:
    olga = Holder.of(world)
    ends = world.find(olga.serial).card.expire_time
    world.clock.forward(days=7)
    olga.operator = world.operator().identity  # who is so for longer
    olga.identify()
    world.clock.forward(seconds=(ends - world.clock()).total_seconds() - 90)
    olga.use()
    secret = world.card_log_ins.begin(olga.code(), BROWSER)
    assert whose(world, secret) == olga.operator
    world.clock.forward(seconds=90)
    with pytest.raises(IdentityRejected):
        whose(world, secret)


def test_a_replaced_certificate_logs_in_nobody(world: World, olga: Holder) -> None:
    before = olga.certificate()
    world.clock.forward(days=680)
    world.prolonging.renew(olga.serial, None, actor=world.actor)
    olga.use()
    olga.code()
    olga.refused(FOREIGN, before)
    before = olga.certificate()
    with world.database.write() as connection:
        (key,) = (each for each in world.keys(olga.serial) if each.certificate == before)
        cards.set_certificate(connection, key.id, b"another one")
    olga.refused(OVER, before)


def test_a_card_that_has_ended_logs_in_nobody(world: World, olga: Holder) -> None:
    world.clock.forward(days=731)
    olga.refused(OVER)


def test_a_person_who_is_no_operator_is_refused(world: World) -> None:
    """Until somebody has said it, and no longer: who is logged in by it is logged out."""
    made = Holder.of(world)
    made.use()
    made.refused(NOBODY)
    made.identify()
    code, secret = made.code(), world.card_log_ins.begin(made.code(), BROWSER)
    world.operators.forget(made.operator.id, actor=world.actor)
    made.refused(NOBODY)
    with pytest.raises(IdentityRejected):
        whose(world, secret)
    with pytest.raises(TokenRejected, match="is no operator"):
        world.card_log_ins.begin(code, BROWSER)


def test_a_removed_operator_is_refused(world: World, olga: Holder) -> None:
    code = olga.code()
    secret = world.card_log_ins.begin(olga.code(), BROWSER)
    remover = world.operator().identity
    world.identities.remove(Role.OPERATOR, olga.operator.id, "left", remover)
    olga.refused(NOBODY)
    with pytest.raises(TokenRejected, match="is no operator"):
        world.card_log_ins.begin(code, BROWSER)
    with pytest.raises(IdentityRejected):
        whose(world, secret)


def test_a_person_who_is_two_operators_has_to_say_who(world: World, olga: Holder) -> None:
    olga.identify(world.operator().identity)
    olga.refused(SEVERAL)


def test_who_says_it_of_one_organisation_gives_nothing_elsewhere(world: World) -> None:
    """An RA manager of a ward lets nobody log in as an operator of the whole."""
    ward = world.organisations.add("Ward", world.operator().identity).id
    made = Holder.of(world)
    made.use()
    made.identify(place=ward)
    made.refused(NOBODY)
    world.operators.forget(made.operator.id, actor=world.actor)
    clerk = world.people.add_operator("Clerk", organisation_id=ward, actor=world.actor)
    made.operator = world.enrol(clerk.text).identity
    made.identify(place=ward)
    secret = world.card_log_ins.begin(made.code(), BROWSER)
    assert whose(world, secret) == made.operator


def test_what_was_said_holds_as_long_as_the_rights_of_who_said_it(world: World) -> None:
    made, end = Holder.of(world), world.clock() + timedelta(days=7)
    asked = world.people.add_operator("Mary", BuiltIn.SUPPORT, ROOT, actor=world.actor)
    mary = world.enrol(asked.text).identity
    world.roles.grant(Wish(mary.id, BuiltIn.RA_MANAGER, ROOT, None, end), actor=world.actor)
    world.operators.identify(made.operator.id, made.user.id, "", actor=mary.actor)
    made.use()
    secret = world.card_log_ins.begin(made.code(), BROWSER)
    assert whose(world, secret) == made.operator
    world.clock.forward(days=8)
    made.use()
    made.refused(NOBODY)


def test_an_operator_without_a_role_is_refused(world: World, olga: Holder) -> None:
    world.operator()
    for each in world.roles.list_all(actor=world.actor):
        if each.identity.id == olga.operator.id:
            world.roles.withdraw(each.assignment.id, actor=world.actor)
    with pytest.raises(NotAllowed):
        world.card_log_ins.begin(olga.code(), BROWSER)
