"""A keystore without its network: real database, real keys, a clock that tests turn."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from argon2 import PasswordHasher
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.approval import statement
from cloud_keystore.custody.activation import Activation
from cloud_keystore.custody.backends import SOFTWARE, Backend, Keys
from cloud_keystore.custody.management import Management, encipher
from cloud_keystore.custody.passcodes import Passcodes
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.custody.secure_messaging import SecureMessaging
from cloud_keystore.custody.software_keys import SoftwareKeys
from cloud_keystore.model.algorithms import Cipher, KeyUse
from cloud_keystore.model.cards import PIN, CardState
from cloud_keystore.model.management import factory_key
from cloud_keystore.model.operations import Channel, Decision, Operation, State
from cloud_keystore.model.passcodes import FACTORY_PASSCODES, Verified
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.operations.asking import Ask, Asking
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.registry import authorities
from cloud_keystore.registry.administration import Administration, Administrator
from cloud_keystore.registry.cards import Cards
from cloud_keystore.registry.enrolment import Enrolment
from cloud_keystore.registry.people import People
from cloud_keystore.registry.renewal import Renewal
from cloud_keystore.storage import operations
from cloud_keystore.storage.engine import Database

PASSCODE = b"135790"
DATABASE = "keystore.db"
NO_BACKENDS: Mapping[str, Backend] = MappingProxyType({})  # besides that of software keys


@dataclass
class FakeClock:
    """Stands still until told."""

    now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Enrolled:
    """An identity with the private key that belongs to it."""

    identity: Identity
    private: ec.EllipticCurvePrivateKey


@dataclass
class World:
    """The use cases of one keystore, and short ways to use them."""

    database: Database
    clock: FakeClock
    seal: Seal
    people: People
    enrolment: Enrolment
    cards: Cards
    passcodes: Passcodes
    asking: Asking
    deciding: Deciding
    activation: Activation
    secure_messaging: SecureMessaging
    renewal: Renewal
    management: Management
    administration: Administration
    custody: Keys
    woken: list[str] = field(default_factory=list)

    def enrol(self, token_text: str) -> Enrolled:
        private = ec.generate_private_key(ec.SECP256R1())
        identity, _ = self.enrolment.enrol(secret_of(token_text), csr(private), "phone")
        return Enrolled(identity, private)

    def workstation(self, name: str = "WARD7-PC3") -> Enrolled:
        return self.enrol(self.people.add_workstation(name, "Ward 7")[1].text)

    def user(self, name: str = "Ada Byron", upn: str = "", sid: str = "") -> tuple[User, Enrolled]:
        """A person with a phone."""
        user, token = self.people.add_user(name, "", upn, sid)
        return user, self.enrol(token.text)

    def card(self, user: User, profile: str = "p256") -> str:
        """An active card; returns its serial."""
        made = self.cards.issue(os.urandom(16), user.id, profile).card
        if made.state is CardState.PENDING:
            self.passcodes.set_first(made.serial, PASSCODE, user.id)
        return made.serial

    def proof(self, serial: str, workstation: Enrolled) -> bytes:
        factory = PROFILES[self.cards.find(serial).card.profile].factory_passcodes
        passcode = FACTORY_PASSCODES[PIN] if factory else PASSCODE
        outcome = self.passcodes.verify(serial, PIN, passcode, workstation.identity.id)
        assert isinstance(outcome, Verified)
        return outcome.proof

    def administrator(self, serial: str, workstation: Enrolled) -> Administrator:
        """Who knows the factory's management key."""
        at = (serial, Cipher.AES_192, workstation.identity.id)
        challenge = self.management.request_challenge(*at, enciphered=False)
        response = encipher(Cipher.AES_192, factory_key(Cipher.AES_192), challenge)
        proof = self.management.answer_challenge(*at, response, b"").proof
        return Administrator(serial, proof, workstation.identity)

    def ask(
        self,
        serial: str,
        workstation: Enrolled,
        data: bytes = b"\x11" * 32,
        *,
        key_ref: int = 0x9A,
        algorithm: int = 0x11,
        key_use: KeyUse = KeyUse.SIGN,
        proof: bytes | None = None,
        request_id: bytes | None = None,
        channels: Iterable[Channel] = (Channel.PUSH,),
    ) -> Operation:
        asked = Ask(
            request_id=os.urandom(16) if request_id is None else request_id,
            card_serial=serial,
            key_ref=key_ref,
            algorithm=algorithm,
            key_use=key_use,
            input=data,
            passcode_proof=self.proof(serial, workstation) if proof is None else proof,
            application="",
            channels=frozenset(channels),
        )
        return self.asking.create(asked, workstation.identity)

    def decide(
        self,
        operation: Operation,
        device: Enrolled,
        decision: Decision = Decision.APPROVE,
        number: str | None = None,
    ) -> State:
        typed = (
            (operation.number if decision is Decision.APPROVE else "") if number is None else number
        )
        signature = device.private.sign(
            statement.statement(operation.payload, decision, typed), ec.ECDSA(SHA256())
        )
        return self.deciding.decide(operation.id, decision, typed, signature, device.identity)

    def state(self, operation: Operation) -> State:
        with self.database.read() as connection:
            found = operations.find(connection, operation.id)
        assert found is not None
        return found.state_at(self.clock())


def new_world(
    folder: Path, more: Mapping[str, Backend] = NO_BACKENDS, new: str = SOFTWARE
) -> World:
    """A keystore in a folder of its own, or the one that is there; `new` makes new keys."""
    clock, seal, woken = FakeClock(), Seal(b"\x07" * 32, os.urandom), list[str]()
    database = Database(f"sqlite:///{folder / DATABASE}")
    database.migrate()
    custody = Keys({SOFTWARE: SoftwareKeys(seal, os.urandom), **more}, new)
    authority = authorities.load_or_make(database, seal, clock())
    enrolment_sha256 = sha256(authority.enrolment.der).digest()
    fast = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passcodes = Passcodes(database, seal, clock, os.urandom, fast)
    renewal = Renewal(clock, os.urandom, authority)
    management = Management(database, seal, clock, os.urandom)
    return World(
        database=database,
        clock=clock,
        seal=seal,
        people=People(database, clock, os.urandom, "127.0.0.1:7444", enrolment_sha256),
        enrolment=Enrolment(database, clock, authority.transport),
        cards=Cards(database, seal, clock, os.urandom, custody, authority, passcodes, woken.extend),
        passcodes=passcodes,
        asking=Asking(database, seal, clock, os.urandom, woken.extend),
        deciding=Deciding(database, seal, clock, woken.extend),
        activation=Activation(database, seal, clock, os.urandom, custody),
        secure_messaging=SecureMessaging(database, custody),
        renewal=renewal,
        management=management,
        administration=Administration(
            database, seal, clock, os.urandom, custody, renewal, management, passcodes, woken.extend
        ),
        custody=custody,
        woken=woken,
    )


def secret_of(token_text: str) -> bytes:
    """The secret part of a token."""
    body = token_text.removeprefix("cc1.").partition("@")[0]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))[32:]


def csr(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate signing request, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private, SHA256()).public_bytes(Encoding.DER)
