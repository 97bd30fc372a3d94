"""A card is renewed at the authority that has certified it, by simplereenroll (CIS-01)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import select

from card_os.piv.names import CERTIFICATE_OF_KEY, ObjectTag
from card_os.uses import KeyUse
from cloud_keystore.cards.external.certifying import Waiting
from cloud_keystore.cards.prolonging import Prolonged
from cloud_keystore.est.client import Client
from cloud_keystore.est.fetching import Fetching
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import CardState, Destroyed, Key
from cloud_keystore.model.errors import IllegalCardChange
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.est import Answer, Credentials, Said
from cloud_keystore.model.pki.est import EstServer as Settings
from cloud_keystore.model.pki.external import Outcome
from cloud_keystore.storage import cards
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.outbox.notifications import notification
from support.crashing import Crash, crashing
from support.est_server import (
    PASSWORD,
    SPKI,
    USER,
    EstServer,
    Reply,
    certificates,
    names,
    serving,
)
from support.external_ca import new_ca
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World, verify
from support.outbox import Told

Server = EstServer
RETIRED = 0x82
REFS = (0x9A, 0x9C, 0x9D, 0x9E)


@pytest.fixture
def server(world: World, tmp_path: Path) -> Iterator[EstServer]:
    """An authority with its server, which certifies all cards from now on."""
    # openssl knows the computer's time alone.
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    ca = new_ca(tmp_path / "ca")
    with serving(EstServer(ca, tmp_path)) as running:
        assert world.trusting.trust("trust", ca.certificate, actor=OPERATOR)
        assert world.trusting.choose("", "", "trust", actor=OPERATOR)
        use(world, running)
        yield running


def use(world: World, server: EstServer, *, any_subject: bool = False) -> None:
    world.est_hosts.add(("localhost", server.port))
    settings = Settings(server.url, server.anchors, USER, b"", any_subject)
    world.est_servers.use("trust", settings, Credentials(PASSWORD), actor=OPERATOR)


def fetch(world: World) -> int:
    """Run the errands that are due, as the process without keys does."""
    client = Client(world.est_hosts, 60.0, now=world.clock)

    async def all_of_it() -> int:
        stop, done = asyncio.Event(), 0
        while some := await Fetching(world.errands, client).fetch(stop):
            done += some
        return done

    return asyncio.run(all_of_it())


def short(server: Server, csr: bytes) -> Reply:
    """A certificate of a month, so that its card can be renewed at once."""
    made = server.ca.certify(csr, days=30)
    server.issued.append(made)
    return certificates(server, made)


def issue(world: World, server: EstServer, ada: tuple[User, Enrolled]) -> str:
    """A card in use that ends soon."""
    serial = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    server.answers = [short] * 4
    assert fetch(world) == 4
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    server.asked.clear()
    return serial


@pytest.fixture
def serial(world: World, server: EstServer, ada: tuple[User, Enrolled]) -> str:
    return issue(world, server, ada)


def renew(world: World, serial: str) -> Prolonged:
    end = world.find(serial).card.expire_time
    return world.prolonging.renew(serial, end, actor=OPERATOR)


def keys_of(world: World, serial: str) -> Mapping[int, Key]:
    return {key.key_ref: key for key in world.keys(serial)}


def waiting(world: World) -> list[Waiting]:
    return world.certifying.waiting(actor=OPERATOR)


def whole(world: World, serial: str) -> tuple[object, ...]:
    return world.find(serial), keys_of(world, serial), world.contents(serial)


def private(world: World, key_id: str) -> object:
    with world.database.read() as connection:
        held = cards.find_key(connection, key_id)
    assert held is not None
    return held.private


def test_a_card_is_renewed_when_all_certificates_are_there(
    world: World, server: EstServer, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """CARD-02: by requests of the same names, for new keys; the old ones stay until then."""
    before, old = world.find(serial).card, keys_of(world, serial)
    foreseen = world.prolonging.foresee(serial, actor=world.actor)
    assert (foreseen.renewed, foreseen.retired, foreseen.authority) == (REFS, RETIRED, "trust")
    begun = renew(world, serial)
    assert (begun.renewed, begun.waiting, begun.end) == ((), REFS, before.expire_time)
    assert (world.find(serial).card, keys_of(world, serial)) == (before, old)
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    verify(world, serial, 0x9A, world.perform(operation, pc), b"\x11" * 32)
    world.woken.clear()
    assert fetch(world) == 4
    assert {path.rpartition("/")[2] for path, _, _ in server.asked} == {
        "cacerts",
        "simplereenroll",
    }
    after, new = world.find(serial).card, keys_of(world, serial)
    assert (after.id, after.state, after.guid) == (before.id, CardState.ACTIVE, before.guid)
    assert set(new) == {*REFS, RETIRED}
    assert new[RETIRED].id == old[0x9D].id
    assert {new[ref].certificate for ref in REFS} == set(server.issued[4:])
    ends = set[datetime]()
    for ref in REFS:
        assert new[ref].id != old[ref].id
        present = x509.load_der_x509_certificate(new[ref].certificate)
        assert names(present) == names(x509.load_der_x509_certificate(old[ref].certificate))
        ends.add(present.not_valid_after_utc)
        if ref != 0x9D:
            assert isinstance(private(world, old[ref].id), Destroyed)
    assert after.expire_time == min(ends) > before.expire_time
    assert ada[0].id in world.woken
    assert waiting(world) == []
    assert fetch(world) == 0


def test_the_renewed_card_works(
    world: World, server: EstServer, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """It signs with the new keys, reads what was encrypted before, and its objects are new."""
    assert server.issued
    renew(world, serial)
    fetch(world)
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1])
    verify(world, serial, 0x9A, world.perform(operation, pc), b"\x11" * 32)
    keys, objects = keys_of(world, serial), world.contents(serial)
    point = keys[RETIRED].public_key[-65:]
    agreed = world.ask(serial, pc, point, key_ref=RETIRED, key_use=KeyUse.AGREE)
    world.decide(agreed, ada[1])
    assert len(world.perform(agreed, pc, point)) == 32
    for ref, key in keys.items():
        assert key.certificate in objects[CERTIFICATE_OF_KEY[ref]]
    expiry = world.find(serial).card.expire_time.strftime("%Y%m%d").encode()
    assert expiry in objects[ObjectTag.CHUID]


def test_the_holder_and_the_journal_are_told(world: World, server: EstServer) -> None:
    ada = Told(world).enrolled()
    serial = issue(world, server, ada)
    old, end = keys_of(world, serial), world.find(serial).card.expire_time
    renew(world, serial)
    (begun,) = world.journal(Kind.RENEWAL_BEGUN)
    assert (begun.actor, begun.details["authority"]) == (OPERATOR, "trust")
    assert world.journal(Kind.CARD_RENEWED) == []
    fetch(world)
    new = keys_of(world, serial)
    assert begun.details == {"authority": "trust"} | {f"key_{ref:02X}": new[ref].id for ref in REFS}
    (done,) = world.journal(Kind.CARD_RENEWED)
    assert done.actor == KEYSTORE
    assert done.details["old_end"] == end.isoformat()
    assert done.details["end"] == world.find(serial).card.expire_time.isoformat()
    made = {
        str(each.details["key_ref"]): each.details["key"] for each in world.journal(Kind.KEY_MADE)
    }
    assert made == {f"{ref:02X}": new[ref].id for ref in REFS}
    destroyed = {each.key_id for each in world.journal(Kind.KEY_DESTROYED)}
    assert destroyed == {old[ref].id for ref in REFS if ref != 0x9D}
    with world.database.read() as connection:
        told = connection.execute(select(notification.c.template, notification.c.user_id)).all()
    assert told.count((Template.CARD_RENEWED, ada[0].id)) == 1


def test_a_call_can_be_repeated(world: World, server: EstServer, serial: str) -> None:
    """It asks for no other keys, and says what waits; once it is done, nothing changes."""
    end = world.find(serial).card.expire_time
    first = renew(world, serial)
    csrs = [each.csr for each in waiting(world)]
    assert renew(world, serial) == first
    assert world.prolonging.foresee(serial, actor=world.actor) == first
    late = Reply(202, {"Retry-After": "600"})
    server.answers = [lambda *_: late] * 3
    fetch(world)
    assert len(renew(world, serial).waiting) == 3
    world.clock.forward(seconds=601)
    assert fetch(world) == 3
    again = world.prolonging.renew(serial, end, actor=OPERATOR)
    assert (again.renewed, again.waiting) == ((), ())
    assert len(csrs) == 4
    assert len(world.journal(Kind.RENEWAL_BEGUN)) == 1
    assert {key.public_key for ref, key in keys_of(world, serial).items() if ref in REFS} == {
        public(csr) for csr in csrs
    }


def public(csr: bytes) -> bytes:
    request = x509.load_der_x509_csr(csr)
    return request.public_key().public_bytes(*SPKI)


def test_an_authority_that_has_not_decided_is_asked_when_it_says(
    world: World, server: EstServer, serial: str
) -> None:
    """202 with Retry-After (RFC 7030, 4.2.3): half a renewal is none."""
    before = whole(world, serial)
    renew(world, serial)
    late = Reply(202, {"Retry-After": "120"})
    server.answers = [lambda *_: late]
    assert fetch(world) == 4
    assert [each.asked.why for each in waiting(world)] == ["the authority has not decided yet"]
    assert whole(world, serial) == before
    world.clock.forward(seconds=119)
    assert fetch(world) == 0
    world.clock.forward(seconds=2)
    assert fetch(world) == 1
    assert set(keys_of(world, serial)) == {*REFS, RETIRED}


def other_key(server: Server, _: bytes) -> Reply:
    """The certificate of the key before, again."""
    return certificates(server, server.issued[0])


def foreign(server: Server, csr: bytes) -> Reply:
    ca = new_ca(server.folder / os.urandom(4).hex(), server.ca.name)
    return certificates(server, ca.certify(csr), ca.certificate)


PAST = ("-startdate", "200101000000Z", "-enddate", "210101000000Z")
WRONG: Mapping[str, tuple[Callable[[Server, bytes], Reply | None], str]] = {
    "another key": (other_key, "no certificate for the key"),
    "another subject": (
        lambda server, csr: certificates(server, server.ca.certify(csr, "-subj", "/CN=Eve")),
        "names CN=Eve",
    ),
    "other alternative names": (
        lambda server, csr: certificates(server, server.ca.certify(csr, copy=False)),
        "has other names of the subject than were asked for",
    ),
    "over": (
        lambda server, csr: certificates(server, server.ca.certify(csr, *PAST)),
        "ended on 2021-01-01",
    ),
    "no longer than before": (
        lambda server, csr: certificates(server, server.ca.certify(csr, days=20)),
        "no later than card",
    ),
    "a foreign chain": (foreign, "no chain of valid certificates"),
    "the authority's alone": (
        lambda server, _: certificates(server, server.ca.certificate),
        "no certificate for the key",
    ),
    "refused": (lambda *_: Reply(400), "(400)"),
    "forbidden": (lambda *_: Reply(403), "(403)"),
    "no such operation": (lambda *_: Reply(404), "(404)"),
    "broken": (lambda *_: Reply(500), "answers 500"),
    "lost": (lambda *_: None, "without an answer"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_bad_answer_changes_nothing_and_is_told(
    world: World, server: EstServer, serial: str, what: str
) -> None:
    """The first of the requests is for 9A, whose certificate has alternative names."""
    before, (answer, why) = whole(world, serial), WRONG[what]
    renew(world, serial)
    server.answers = [answer] * 4
    assert fetch(world) == 4
    left = waiting(world)
    assert any(why in each.asked.why for each in left)
    assert all(each.asked.fix for each in left)
    assert whole(world, serial) == before
    assert fetch(world) == 0
    world.clock.forward(seconds=31)
    fetch(world)
    assert set(keys_of(world, serial)) == {*REFS, RETIRED}
    assert world.find(serial).card.state is CardState.ACTIVE


def test_custody_does_not_believe_the_process_that_asks(
    world: World, server: EstServer, serial: str
) -> None:
    """The attack: who has taken over that process brings certificates of other keys and issuers."""
    before = whole(world, serial)
    renew(world, serial)
    one, two, *_ = world.errands.take()
    assert one.renews
    for certificate in (
        server.ca.certify(two.csr),
        server.issued[0],
        new_ca(server.folder / "eve").certify(one.csr),
        b"nonsense",
    ):
        world.errands.tell(one.key_id, one.tries, Answer(Said.ISSUED, certificate))
    assert len(waiting(world)) == 4
    assert whole(world, serial) == before


def test_certificates_can_be_brought_by_files(world: World, server: EstServer, serial: str) -> None:
    world.est_servers.stop("trust", actor=OPERATOR)
    renew(world, serial)
    assert fetch(world) == 0
    made = [server.ca.certify(each.csr) for each in waiting(world)]
    some = world.certifying.install(made[:3], actor=OPERATOR)
    assert {each.outcome for each in some.brought} == {Outcome.KEPT}
    assert len(keys_of(world, serial)) == 4
    done = world.certifying.install(made, actor=OPERATOR)
    assert {each.outcome for each in done.brought} == {Outcome.THERE, Outcome.COMPLETED}
    assert {keys_of(world, serial)[ref].certificate for ref in REFS} == set(made)
    again = world.certifying.install(made, actor=OPERATOR)
    assert {each.outcome for each in again.brought} == {Outcome.THERE}


def test_a_suspended_card_waits_until_it_is_back(
    world: World, server: EstServer, serial: str
) -> None:
    """One that is revoked is asked for nothing, and its next keys are destroyed with the others."""
    renew(world, serial)
    late = Reply(202, {"Retry-After": "60"})
    server.answers = [lambda *_: late]
    fetch(world)
    (left,) = waiting(world)
    world.cards.suspend(serial, actor=OPERATOR)
    world.clock.forward(seconds=61)
    assert fetch(world) == 0
    brought = world.certifying.install([server.ca.certify(left.csr)], actor=OPERATOR)
    assert "is suspended" in brought.brought[0].reason
    world.cards.resume(serial, actor=OPERATOR)
    assert fetch(world) == 1
    assert RETIRED in keys_of(world, serial)


def test_a_revoked_card_is_asked_for_no_longer(
    world: World, server: EstServer, serial: str
) -> None:
    renew(world, serial)
    asked = waiting(world)
    world.cards.revoke(serial, "left", actor=OPERATOR)
    assert (waiting(world), fetch(world)) == ([], 0)
    for each in asked:
        assert isinstance(private(world, each.asked.key_id), Destroyed)
    made = [server.ca.certify(each.csr) for each in asked]
    assert {each.outcome for each in world.certifying.install(made, actor=OPERATOR).brought} == {
        Outcome.REFUSED
    }


def test_a_card_that_an_administrator_changes_meanwhile_is_not_renewed(
    world: World, server: EstServer, serial: str
) -> None:
    """What was asked for has the names of the card before. It can be asked for anew."""
    renew(world, serial)
    asked = waiting(world)
    with world.database.write() as connection:
        world.renewal.remove_key(connection, world.find(serial).card, 0x9C)
    assert (waiting(world), fetch(world)) == ([], 0)
    for each in asked:
        assert isinstance(private(world, each.asked.key_id), Destroyed)
    assert renew(world, serial).waiting == (0x9A, 0x9D, 0x9E)
    assert world.certifying.install(
        [server.ca.certify(each.csr) for each in waiting(world)], actor=OPERATOR
    ).done
    assert set(keys_of(world, serial)) == {0x9A, 0x9D, 0x9E, RETIRED}


def test_what_the_authority_revokes_of_before_ends_no_renewed_card(
    world: World, server: EstServer, serial: str
) -> None:
    """Authorities revoke what they have renewed. What is present now ends the card."""
    old = [key.certificate for key in world.keys(serial)]
    renew(world, serial)
    fetch(world)
    for each in old:
        server.ca.revoke(each, "superseded")
    assert heed(world, server) is CardState.ACTIVE
    server.ca.revoke(keys_of(world, serial)[0x9A].certificate, "keyCompromise")
    assert heed(world, server) is CardState.REVOKED


def heed(world: World, server: EstServer) -> CardState:
    """What the one card is after the authority's next list."""
    world.clock.forward(seconds=1)
    assert world.external_lists.bring("trust", server.ca.revocations(), actor=OPERATOR).is_new
    world.heeding.look()
    (card,) = world.cards.list_all(actor=OPERATOR)
    return card.card.state


def test_what_is_revoked_before_the_others_come_is_asked_for_anew(
    world: World, server: EstServer, serial: str
) -> None:
    renew(world, serial)
    late = Reply(202, {"Retry-After": "60"})
    server.answers = [lambda *_: late]
    fetch(world)
    server.ca.revoke(server.issued[-1], "keyCompromise")
    assert heed(world, server) is CardState.ACTIVE
    world.clock.forward(seconds=61)
    assert fetch(world) == 2
    assert RETIRED in keys_of(world, serial)
    assert heed(world, server) is CardState.ACTIVE


def test_who_is_called_otherwise_by_now_gets_another_card(
    world: World, server: EstServer, ada: tuple[User, Enrolled], serial: str
) -> None:
    """Renewed certificates have the names of before (RFC 7030, 4.2.2), which were another's."""
    assert server.issued
    world.people.change_user(ada[0].id, "Ada King", None, actor=OPERATOR)
    with pytest.raises(IllegalCardChange, match="replace the card"):
        renew(world, serial)
    assert waiting(world) == []


def give_account(world: World, user: User, upn: str) -> None:
    with world.database.write() as connection:
        rows.change(connection, t.user, [t.user.c.id == user.id], {"upn": upn})


def test_who_has_another_account_by_now_gets_another_card(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    """The attack: a card is renewed for an account that was taken from its holder. That holds where
    the authority gives names of its own too.
    """
    use(world, server, any_subject=True)
    give_account(world, ada[0], "ada@corp.example.org")
    serial = issue(world, server, ada)
    give_account(world, ada[0], "grace@corp.example.org")
    with pytest.raises(IllegalCardChange, match="replace the card"):
        renew(world, serial)
    give_account(world, ada[0], "ada@corp.example.org")
    assert renew(world, serial).waiting == REFS


def test_names_of_the_authority_are_kept_where_that_is_allowed(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    use(world, server, any_subject=True)

    def own(server: Server, csr: bytes) -> Reply:
        made = server.ca.certify(csr, "-subj", "/CN=Ada of the CA", days=30)
        server.issued.append(made)
        return certificates(server, made)

    serial = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    server.answers = [own] * 4
    fetch(world)
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    renew(world, serial)
    asked = {x509.load_der_x509_csr(each.csr).subject.rfc4514_string() for each in waiting(world)}
    assert asked == {"CN=Ada of the CA"}
    fetch(world)
    assert RETIRED in keys_of(world, serial)
    world.clock.forward(days=300)
    renew(world, serial)
    assert len(waiting(world)) == 4


def test_a_crash_at_any_statement_leaves_the_card_as_it_was_or_renewed(
    world: World, server: EstServer, serial: str
) -> None:
    """CARD-07: kill -9 at each step, then the same again; each certificate is kept once."""
    before = whole(world, serial)
    crash(lambda: renew(world, serial), lambda: whole(world, serial) == before)
    assert len(waiting(world)) == 4
    errands = {each.csr: each for each in world.errands.take()}
    for number, each in enumerate(waiting(world), 1):
        errand = errands[each.csr]
        answer = Answer(Said.ISSUED, server.ca.certify(each.csr))
        bring = partial(world.errands.tell, errand.key_id, errand.tries, answer)
        if number in (1, 4):
            crash(bring, lambda: whole(world, serial) == before)
        else:
            bring()
        assert (whole(world, serial) == before) == (number < 4)
    assert len(world.journal(Kind.CARD_RENEWED)) == 1
    assert len(world.journal(Kind.CERTIFICATE_RECEIVED)) == 8


def crash(act: Callable[[], object], is_as_before: Callable[[], bool]) -> None:
    """Do something that is killed before each of its statements, until it lives."""
    for number in range(1, 1000):
        try:
            with crashing(number):
                act()
        except Crash:
            assert is_as_before()
        else:
            break
    assert number > 5
