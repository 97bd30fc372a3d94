"""Ten years of a keystore and its clients, with a clock that is stepped: certificates end, are
renewed in time, and nothing outlives its issuer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import insert, select, update

from card_os.piv.names import ATTESTATION_CERTIFICATE, KeyRef
from cloud_keystore.custody.backends.probing import Probe
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.errors import (
    IdentityRejected,
    LastOperator,
    RowNotAuthentic,
    StorageUnavailable,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import EXPIRED, IDENTITY_LIFETIME, WARNING_TIME, Role
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.pki import authorities
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.pki.building import CA_LIFETIME, SERVER_LIFETIME
from cloud_keystore.pki.issuers import (
    NOTICE,
    SPARE,
    SPREADING,
    Authorities,
    CardAuthorities,
    Own,
)
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.certifying import Certifying
from cloud_keystore.run.ends import LOOK_SECONDS, Ends
from cloud_keystore.run.looks import Looks
from cloud_keystore.storage import people, tables
from cloudcard_tools.enrolment.renewing import is_due
from support.exports import approved, audited_world, exported, findings
from support.keystore_world import DATABASE, DIGEST, RELYING_PARTY, Enrolled, verify


def of_cards(own: Authorities) -> CardAuthorities:
    """Those that issue cards now."""
    return own.of_cards(PROFILES["p256"])


STEP = timedelta(days=73)  # a fifth of a year
YEARS = (1, 2, 3, 8, 10)


@dataclass
class Client:
    """An identity on somebody's computer, with the authorities that it trusts."""

    own: Enrolled
    trusted: list[x509.Certificate]
    is_new: bool = False  # whether its certificate was not used yet

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.own.certificate)


class Town:
    """A keystore with a phone, a workstation, an operator and an auditor, who call now and then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = audited_world(folder)
        self.user, phone = self.world.user()
        enrolled = [
            phone,
            self.world.workstation(),
            self.world.operator(),
            self.world.enrol(self.world.people.add_auditor("Aude", actor=self.world.actor).text),
        ]
        self.world.actor = DATA_FOLDER  # which does not end
        self.started = self.world.clock()
        trusted = self.now_trusted
        self.clients = [Client(each, trusted) for each in enrolled]
        names = frozenset({"localhost"})
        self.announcing = Announcing(self.own, RELYING_PARTY, names, self.world.clock)
        self.certifying = Certifying(self.announcing, self.world.clock)
        self.servers: list[x509.Certificate] = []
        self.renewals = 0
        self.seconds = 0.0
        self.ends = Ends(
            self.world.database, self.world.seal, self.world.clock, self.own, self._monotonic
        )
        self.publishing = Publishing(
            self.world.database, self.world.clock, self.own, os.urandom, self._monotonic
        )
        self.looks = Looks(
            self.world.database,
            self.ends,
            Budgets(self.world.database, self.world.clock),
            self.publishing,
            Probe(self.world.issuing.spares.custody, self.world.clock, os.urandom, self._monotonic),
        )

    def _monotonic(self) -> float:
        self.seconds += LOOK_SECONDS
        return self.seconds

    @property
    def own(self) -> Authorities:
        return self.world.renewing.authorities

    @property
    def now_trusted(self) -> list[x509.Certificate]:
        """What a client is told at its enrolment and renewal."""
        return [each.certificate for each in self.own.transports]

    @property
    def phone(self) -> Enrolled:
        return self.clients[0].own

    @property
    def pc(self) -> Enrolled:
        return self.clients[1].own

    def call(self) -> None:
        """Each client connects after the keystore's upkeep, and is renewed if it is due."""
        self.ends.look()
        if (changed := self.certifying.changed()) is not None:
            self.servers.append(x509.load_der_x509_certificate(changed.certificate))
        now = self.world.clock()
        for client in self.clients:
            check(self.servers[-1], client.trusted, now)
            check(client.certificate, self.now_trusted, now)
            if client.is_new:
                client.own, client.is_new = self.world.rekeyed(client.own), False
            if is_due(client.certificate, now):
                client.own, client.is_new = self.world.renewed(client.own), True
                client.trusted = self.now_trusted
                self.renewals += 1

    def pass_years(self, years: float) -> None:
        """Let everybody call from time to time until so many years after the beginning."""
        until = self.started + timedelta(days=365 * years)
        while (now := self.world.clock()) < until:
            self.world.clock.now = min(until, now + STEP)
            self.call()

    def openssl(self, certificate: x509.Certificate, *roots: x509.Certificate) -> str:
        """What OpenSSL says of a certificate at this time."""
        ca, file = self.folder / "roots.pem", self.folder / "certificate.pem"
        ca.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in roots))
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
        moment = str(int(self.world.clock().timestamp()))
        command = ["openssl", "verify", "-x509_strict", "-attime", moment, "-CAfile", str(ca)]
        done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def check(certificate: x509.Certificate, roots: list[x509.Certificate], now: datetime) -> None:
    """Check that a certificate is valid under one of some authorities, which is valid too."""
    (root,) = [each for each in roots if each.subject == certificate.issuer]
    certificate.verify_directly_issued_by(root)
    assert certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
    assert now < root.not_valid_after_utc
    assert certificate.not_valid_after_utc <= root.not_valid_after_utc


@pytest.fixture
def town(tmp_path: Path, new_keystore: Path) -> Iterator[Town]:
    shutil.copy(new_keystore, tmp_path / DATABASE)
    town = Town(tmp_path)
    town.call()
    yield town
    town.world.database.close()


def test_ten_years(town: Town) -> None:
    """At each of the years everybody gets in, a card is issued and signs, and OpenSSL agrees."""
    world = town.world
    for year in YEARS:
        town.pass_years(year)
        for client in town.clients:
            assert town.openssl(town.servers[-1], *client.trusted).endswith("OK\n")
            assert town.openssl(client.certificate, *town.now_trusted).endswith("OK\n")
        serial = world.card(town.user)
        world.clock.forward(minutes=1)
        pc, phone = used(town, 1), used(town, 0)
        signature = world.perform(approved(world, serial, pc, phone), pc)
        verify(world, serial, KeyRef.AUTHENTICATION, signature, DIGEST)
        issuer = of_cards(town.own).cards
        for key in world.keys(serial):
            certificate = x509.load_der_x509_certificate(key.certificate)
            assert town.openssl(certificate, issuer.certificate).endswith("OK\n")
            assert certificate.not_valid_after_utc <= issuer.end
        world.take_in()
    assert town.renewals >= 4 * 6
    assert len({each.serial_number for each in town.servers}) >= 10
    assert findings(exported(world)) == []
    made = [entry.details["authority"] for entry in world.journal(Kind.AUTHORITY_MADE)]
    assert sorted(map(str, made)) == [
        "cloudcard attestation CA 2",
        "cloudcard card CA 2",
        "cloudcard developer card CA, not for production 2",
        "cloudcard transport CA 2",
    ]
    (trusted,) = town.now_trusted
    assert trusted.subject.rfc4514_string() == "CN=cloudcard transport CA 2"
    assert all(trusted in client.trusted for client in town.clients)


def used(town: Town, which: int) -> Enrolled:
    """A client that has connected with its present certificate."""
    client = town.clients[which]
    if client.is_new:
        client.own, client.is_new = town.world.rekeyed(client.own), False
    return client.own


def test_nothing_outlives_its_issuer(town: Town) -> None:
    """Near the end of an authority that has no successor yet, certificates are shorter."""
    world, now = town.world, town.started + CA_LIFETIME - timedelta(days=100)
    world.clock.now = now
    end = town.own.transport.end
    enrolled = x509.load_der_x509_certificate(world.workstation("PC2").certificate)
    assert enrolled.not_valid_after_utc == end
    certified = Certifying(town.announcing, world.clock).changed()
    assert certified is not None
    served = x509.load_der_x509_certificate(certified.certificate)
    assert served.not_valid_after_utc == end < now + SERVER_LIFETIME
    serial = world.issuing.issue(b"\1" * 16, town.user.id, "p384", actor=world.actor).card.serial
    for key in world.keys(serial):
        if key.key_ref != KeyRef.SECURE_MESSAGING:
            made = x509.load_der_x509_certificate(key.certificate)
            assert made.not_valid_after_utc == of_cards(town.own).cards.end
    for signer in (of_cards(town.own).content, of_cards(town.own).content_p384):
        assert signer.end == of_cards(town.own).cards.end


def test_a_new_authority_is_known_before_it_certifies(town: Town) -> None:
    """Other processes have a day to learn of it, those who check cards have three months."""
    world, own = town.world, town.own
    first = {Own.TRANSPORT: own.transport, Own.CARDS: of_cards(own).cards}
    world.clock.now = first[Own.TRANSPORT].end - IDENTITY_LIFETIME - SPARE
    town.ends.look()
    assert len(own.generations[Own.TRANSPORT]) == len(own.generations[Own.CONTENT]) == 2
    assert (own.transport, of_cards(own).cards) == (first[Own.TRANSPORT], first[Own.CARDS])
    assert len(own.transports) == 2
    world.clock.now += SPREADING
    assert own.transport != first[Own.TRANSPORT]
    assert own.transports[0] == first[Own.TRANSPORT]  # certifies the service as before
    assert of_cards(own).cards == first[Own.CARDS]
    world.clock.now += NOTICE
    assert of_cards(own).cards != first[Own.CARDS]
    of_cards(own).content.certificate.verify_directly_issued_by(of_cards(own).cards.certificate)
    of_cards(own).content_p384.certificate.verify_directly_issued_by(
        of_cards(own).cards.certificate
    )
    (alert,) = [
        each.alert for each in world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    ]
    assert alert.kind is AlertKind.CARD_AUTHORITY
    assert "cloudcard card CA 2" in alert.text


def test_the_service_is_certified_anew_only_when_all_clients_know_by_whom(town: Town) -> None:
    """A client that was enrolled just before the successor was made knows only the first one."""
    world, own = town.world, town.own
    first = own.transport
    world.clock.now = first.end - IDENTITY_LIFETIME - SPARE - timedelta(days=1)
    late = Client(world.workstation("PC2"), town.now_trusted)
    world.clock.now += timedelta(days=1)
    town.ends.look()
    while world.clock() < late.certificate.not_valid_after_utc:
        certified = Certifying(town.announcing, world.clock).changed()
        assert certified is not None
        server = x509.load_der_x509_certificate(certified.certificate)
        check(server, late.trusted, world.clock())
        world.clock.now += STEP
    assert first.end - SPARE <= world.clock() + STEP
    world.clock.now = first.end - SPARE
    assert own.transports[0] == own.transport != first


def test_of_two_processes_one_makes_the_successors(town: Town) -> None:
    world, own = town.world, town.own
    other = authorities.load_or_make(world.database, world.seal, world.clock)
    world.clock.now = own.transport.end - IDENTITY_LIFETIME - SPARE
    seen = [
        authorities.succeed(world.database, world.seal, each, world.clock(), bytes)
        for each in (own, other, own)
    ]
    assert [len(each) for each in seen] == [4, 0, 0]
    assert {name: [each.der for each in of] for name, of in own.generations.items()} == {
        name: [each.der for each in of] for name, of in other.generations.items()
    }
    again = authorities.load_or_make(world.database, world.seal, world.clock)
    assert [each.der for each in again.transports] == [each.der for each in own.transports]


def test_a_card_of_before_shows_its_own_issuers(town: Town) -> None:
    """What is asked about it later names the authorities that have certified it."""
    world, own = town.world, town.own
    world.clock.now = of_cards(own).cards.end - IDENTITY_LIFETIME - SPARE - timedelta(days=1)
    serial = world.card(town.user, "developer")
    kept = world.image(serial).objects[ATTESTATION_CERTIFICATE]
    issuer, attesting = of_cards(own).cards, own.attestation
    (certified, *_) = world.keys(world.card(town.user))
    world.clock.now += timedelta(days=200)
    town.ends.look()
    world.clock.now += NOTICE
    assert of_cards(own).cards != issuer
    assert own.attestation != attesting
    assert own.card_issuer(PROFILES["p256"], certified.certificate) == issuer
    assert own.attestation_of(kept) == attesting


class TestWarnings:
    """People are warned of what is not renewed."""

    def test_once_of_an_identity_that_nobody_used(self, town: Town) -> None:
        world = town.world
        world.clock.now = town.started + IDENTITY_LIFETIME - WARNING_TIME
        for client in town.clients:
            client.own = world.rekeyed(world.renewed(client.own))
        world.clock.forward(days=1)
        for _ in range(3):
            town.ends.look()
        (alert,) = [
            each.alert
            for each in world.alerts.list_all(include_acknowledged=False, actor=world.actor)
        ]
        assert alert.kind is AlertKind.IDENTITY_ENDS
        assert "operator Olga ends at 2028-" in alert.text  # the first one, who is not here

    def test_one_forged_record_silences_none(self, town: Town) -> None:
        """Nobody was warned any more, and no metric was looked up."""
        world, metrics = town.world, Metrics()
        forged = update(tables.identity).where(tables.identity.c.id == town.pc.identity.id)
        with world.database.write() as connection:
            connection.execute(forged.values(site="elsewhere"))
        world.clock.now = town.started + IDENTITY_LIFETIME - WARNING_TIME + timedelta(days=1)
        town.ends.look()
        warned = [
            each.alert.text
            for each in world.alerts.list_all(include_acknowledged=False, actor=world.actor)
        ]
        assert len(warned) == 4  # the other operator's too
        assert not any(town.pc.identity.display_name in each for each in warned)
        metrics.take(town.looks.gauges())
        told = metrics.text().decode()
        assert 'cloudcard_identities_ending{role="operator"} 2.0' in told
        assert 'cloudcard_identities_ending{role="workstation"} 0.0' in told

    def test_they_do_not_wait_for_authorities(self, town: Town) -> None:
        """A successor that nobody has made keeps the keystore from making one, and only that."""
        world = town.world
        with world.database.write() as connection:
            (first,) = connection.execute(
                select(tables.authority).where(tables.authority.c.name == Own.TRANSPORT.value)
            ).mappings()
            forged = {**first, "name": f"{Own.TRANSPORT.value} 2"}
            connection.execute(insert(tables.authority).values(forged))
        world.clock.now = town.started + IDENTITY_LIFETIME - WARNING_TIME + timedelta(days=1)
        with pytest.raises(RowNotAuthentic, match="authority"):
            town.ends.look()
        assert len(world.alerts.list_all(include_acknowledged=False, actor=world.actor)) == 5

    def test_metrics_of_authorities_need_no_database(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> None:
            raise StorageUnavailable("the database is away")

        metrics = Metrics()
        monkeypatch.setattr(people, "ending", away)
        metrics.take(town.looks.gauges())
        assert 'authority_seconds{authority="transport"} 3.' in metrics.text().decode()

    def test_metrics_count_them(self, town: Town) -> None:
        world, metrics = town.world, Metrics()
        world.clock.now = town.started + IDENTITY_LIFETIME - WARNING_TIME + timedelta(days=1)
        metrics.take(town.looks.gauges())
        told = metrics.text().decode()
        assert 'cloudcard_identities_ending{role="operator"} 2.0' in told
        assert 'cloudcard_identities_ending{role="device"} 1.0' in told
        assert 'cloudcard_authority_seconds{authority="transport"} 2.57' in told  # eight years

    def test_the_last_operator_ends(self, town: Town) -> None:
        """It is not active, nor the last one, and the keystore invites another at its start."""
        world = town.world
        (*_, operator, _) = town.clients
        world.clock.now = town.started + IDENTITY_LIFETIME + timedelta(days=1)
        with pytest.raises(IdentityRejected):
            world.identities.remove(
                Role.OPERATOR, operator.own.identity.id, "ended", operator.own.identity
            )
        listed = world.identities.list_of(Role.OPERATOR, actor=world.actor)
        # Those without a name act in other tests, and do not end.
        named = {each.state_at(world.clock()) for each in listed if each.display_name}
        assert named == {EXPIRED}
        assert not world.people.has_operators()
        fresh = world.operator().identity
        with pytest.raises(LastOperator):
            world.identities.remove(Role.OPERATOR, fresh.id, "leaves", fresh)


def test_the_service_uses_a_new_certificate_before_the_old_one_ends(town: Town) -> None:
    world, certifying = town.world, town.certifying
    assert certifying.changed() is None
    first = b""
    for _ in range(3):
        world.clock.now += SERVER_LIFETIME * 0.7
        found = certifying.changed()
        assert found is not None
        assert found.certificate != first
        assert certifying.changed() is None
        first = found.certificate
