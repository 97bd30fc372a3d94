"""Cards are certified by a card issuance service, here the simulated one, a process of its own,
with each of its faults (CIS-01).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cloud_keystore.est.client import Client
from cloud_keystore.est.fetching import Fetching
from cloud_keystore.est.issuance import Asking
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.est import LEASE_TIME, Answer, Credentials, EstServer, Said
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.simulate.issuance.certifying import POLICY
from support.brokers import PATIENCE, Simulated, broken, simulated
from support.keystore_world import OPERATOR, Enrolled, World
from support.simulators import SECRET, SECRETIVE

NAME = "care"
NEVER = 86_400  # seconds
SOON = 2.0
HOUR = 3600.0


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("issuance")
    with Nursery(folder / "logs") as nursery:
        yield simulated(folder, nursery)


@pytest.fixture
def serial(world: World, at: Simulated, ada: tuple[User, Enrolled]) -> Iterator[str]:
    """A card that the service has to certify."""
    # The service knows the computer's time alone.
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    assert world.trusting.trust(NAME, at.cards.public_bytes(Encoding.DER), actor=OPERATOR)
    assert world.trusting.choose("", "", NAME, actor=OPERATOR)
    use(world, at.port, at.trust)
    yield world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    at.switch("")


def use(world: World, port: int, trust: Path, password: str = SECRET) -> None:
    world.est_hosts.add(("localhost", port))
    server = EstServer(
        f"cis+https://localhost:{port}", trust.read_bytes(), SECRETIVE, b"", any_subject=True
    )
    world.est_servers.use(NAME, server, Credentials(password), actor=OPERATOR)


def asking(world: World, seconds: float = PATIENCE) -> Asking:
    return Asking(Client(world.est_hosts, seconds, now=world.clock))


def fetch(world: World, seconds: float = PATIENCE) -> int:
    """Run the errands that are due, as the process without keys does."""
    client = asking(world, seconds)

    async def all_of_it() -> int:
        stop, done = asyncio.Event(), 0
        while some := await Fetching(world.errands, client).fetch(stop):
            done += some
        return done

    return asyncio.run(all_of_it())


def reasons(world: World) -> set[tuple[str, str]]:
    """Why keys wait, and what is to be done."""
    waiting = world.certifying.waiting(actor=OPERATOR)
    return {(each.asked.why, each.asked.fix) for each in waiting}


def test_a_card_is_certified_with_its_holders_number(
    world: World, serial: str, at: Simulated, ada: tuple[User, Enrolled]
) -> None:
    """CIS-01: in the structure of certificates of the NHS, under identifiers of our own."""
    assert fetch(world) == 4
    assert reasons(world) == set()
    assert world.find(serial).card.state is CardState.PENDING
    for key in world.keys(serial):
        made = x509.load_der_x509_certificate(key.certificate)
        made.verify_directly_issued_by(at.cards)
        kinds = [each.oid for each in made.subject]
        assert kinds == [
            NameOID.ORGANIZATION_NAME,
            NameOID.ORGANIZATIONAL_UNIT_NAME,
            NameOID.COMMON_NAME,
        ]
        [name] = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == f"{ada[0].uuid12}_Ada_Byron"
        found = {each.oid: each for each in made.extensions}
        policies = made.extensions.get_extension_for_class(x509.CertificatePolicies)
        assert [each.policy_identifier.dotted_string for each in policies.value] == [POLICY]
        assert found[x509.KeyUsage.oid].critical
        period = made.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
        assert period.not_after is not None
        life = made.not_valid_after_utc - made.not_valid_before_utc
        assert life.days == 730
        ends = period.not_after.replace(tzinfo=UTC)
        assert (ends - made.not_valid_before_utc) / life == pytest.approx(0.7, abs=0.001)
        assert {x509.CRLDistributionPoints.oid, x509.AuthorityInformationAccess.oid} <= set(found)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (f"slow={NEVER}", "does not answer within"),
        ("down", "is down"),
        ("malformed", "cannot be read"),
        ("expired", "it ended on"),
        ("revoked", "does not know the keystore"),
        ("clock=7200", "it is not valid before"),
    ],
)
def test_each_fault_has_one_message_and_leaves_nothing_half_done(
    world: World, serial: str, at: Simulated, words: str, why: str
) -> None:
    """CIS-01: a card has no certificate until it has all. When the fault is over it gets them."""
    at.switch(words)
    fetch(world, SOON if "slow" in words else PATIENCE)
    assert world.find(serial).card.state is CardState.ISSUING
    [(said, fix)] = reasons(world)
    assert why in said
    assert fix
    assert world.journal(Kind.CERTIFICATE_RECEIVED) == []
    assert all(not key.certificate for key in world.keys(serial))
    at.switch("")
    world.clock.forward(seconds=HOUR)
    assert fetch(world) == 4
    assert world.find(serial).card.state is CardState.PENDING


def test_an_issuance_of_which_the_answer_was_lost_is_finished(world: World, serial: str) -> None:
    """CIS-01: who is killed after the service has issued is followed by another, who gets the same
    certificates.
    """
    lost: dict[str, bytes] = {}
    while errands := world.errands.take():
        for each in errands:
            lost[each.key_id] = asyncio.run(asking(world).ask(each)).certificate
    assert len(lost) == 4
    assert world.find(serial).card.state is CardState.ISSUING
    world.clock.forward(seconds=LEASE_TIME.total_seconds() + 1)
    assert fetch(world) == 4
    assert {key.id: key.certificate for key in world.keys(serial)} == lost


def test_an_issuance_that_began_is_finished_after_the_service_was_down(
    world: World, serial: str, at: Simulated
) -> None:
    first, *others = world.errands.take()
    world.errands.tell(first.key_id, first.tries, asyncio.run(asking(world).ask(first)))
    at.switch("down")
    for each in others:
        answer = asyncio.run(asking(world).ask(each))
        assert answer.said is Said.WRONG
        world.errands.tell(each.key_id, each.tries, answer)
    assert world.find(serial).card.state is CardState.ISSUING
    at.switch("")
    world.clock.forward(seconds=HOUR)
    assert fetch(world) == 3
    assert world.find(serial).card.state is CardState.PENDING


def test_another_key_under_the_same_identifier_is_refused(world: World, serial: str) -> None:
    first, second, *_ = world.errands.take()
    assert asyncio.run(asking(world).ask(first)).said is Said.ISSUED
    answer = asyncio.run(asking(world).ask(replace(second, key_id=first.key_id)))
    assert (answer.said, answer.certificate) == (Said.WRONG, b"")
    assert "another key under this identifier" in answer.why
    assert world.find(serial).card.state is CardState.ISSUING


def test_a_keystore_that_the_service_does_not_know(
    world: World, serial: str, at: Simulated
) -> None:
    use(world, at.port, at.trust, "wrong")
    fetch(world)
    [(said, fix)] = reasons(world)
    assert "does not know the keystore (401)" in said
    assert "cloudcard ra ca est" in fix
    assert world.find(serial).card.state is CardState.ISSUING


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 299 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"",
    ],
)
def test_services_that_are_broken(world: World, serial: str, tmp_path: Path, said: bytes) -> None:
    """Nobody is followed elsewhere, and what is no answer is none."""
    first, *_ = world.errands.take()
    with broken(tmp_path, said) as (port, trust):
        world.est_hosts.add(("localhost", port))
        url = f"cis+https://localhost:{port}"
        server = replace(first.server, url=url, anchors=trust.read_bytes())
        answer: Answer = asyncio.run(asking(world).ask(replace(first, server=server)))
    assert answer.said is Said.WRONG
    assert answer.why
    assert answer.fix
    assert world.find(serial).card.state is CardState.ISSUING


def test_a_service_that_somebody_else_certifies(world: World, serial: str, at: Simulated) -> None:
    first, *_ = world.errands.take()
    server = replace(first.server, anchors=at.cards.public_bytes(Encoding.PEM))
    answer = asyncio.run(asking(world).ask(replace(first, server=server)))
    assert answer.said is Said.WRONG
    assert "certificate of localhost" in answer.why
    assert world.find(serial).card.state is CardState.ISSUING
