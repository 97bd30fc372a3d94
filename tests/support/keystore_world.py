"""A keystore without its network: real database, real keys, a clock that tests turn."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from argon2 import PasswordHasher
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, select

from card_os.piv.names import Cipher, KeyRef
from card_os.uses import KeyUse
from cloud_keystore.approval import statement
from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.audit import sequencing
from cloud_keystore.audit.packs.packing import Packing
from cloud_keystore.audit.reading import Reading
from cloud_keystore.cards.administration import Administration, Administrator
from cloud_keystore.cards.custom.custom_profiles import CustomProfiles
from cloud_keystore.cards.directories.groups import Groups
from cloud_keystore.cards.directories.provisioning import Provisioning
from cloud_keystore.cards.external.certifying import Certifying
from cloud_keystore.cards.external.errands import Errands
from cloud_keystore.cards.external.est_servers import EstServers
from cloud_keystore.cards.external.external_lists import ExternalLists
from cloud_keystore.cards.external.heeding import Heeding
from cloud_keystore.cards.external.list_errands import ListErrands
from cloud_keystore.cards.external.trusting import Trusting
from cloud_keystore.cards.images import CardImage, Images
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.life import CardListing, Life
from cloud_keystore.cards.own.holdings import Holdings
from cloud_keystore.cards.own.renewals import Renewals
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.cards.reports import Reports
from cloud_keystore.cards.requests import Requests
from cloud_keystore.cards.showing import Showing
from cloud_keystore.cards.spares import Spares
from cloud_keystore.cards.succession import come_into_use
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.backends.keys import Backend, Keys
from cloud_keystore.custody.backends.software import SoftwareKeys
from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.credentials.management_keys import ManagementKeys, encipher
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.credentials.secure_messaging import SecureMessaging
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.custody.sealing import journal_key
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.activation import Activation
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.mail.notifications import Notifications
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.cards import SOFTWARE, CardState, Key
from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.model.limits import Limits
from cloud_keystore.model.management_keys import factory_key
from cloud_keystore.model.operations import (
    STALLED_TIME,
    Assertion,
    Channel,
    Decision,
    Operation,
    State,
)
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.outbox.bells import PushTerms
from cloud_keystore.model.passcodes import FACTORY_PASSCODES, Verified
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.policies import Policy, SessionTerms
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.custom import CustomRole
from cloud_keystore.model.rights.oidc import OidcTerms
from cloud_keystore.model.rights.roles import Assignment, BuiltIn, Right
from cloud_keystore.model.sessions import Session
from cloud_keystore.operations import sweeping
from cloud_keystore.operations.admitting import Admitting
from cloud_keystore.operations.asking import Ask, Asking
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.operations.seating import Seating
from cloud_keystore.operations.seats import Seats
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.operations.signing_in import Seen, SigningIn
from cloud_keystore.operations.validating import Validating
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.clients import Clients
from cloud_keystore.people.contacts.account_directories import AccountDirectories
from cloud_keystore.people.contacts.accounts import Accounts
from cloud_keystore.people.contacts.memberships import Memberships
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.domains import Domains
from cloud_keystore.people.enrolment import Enrolment, NativeRegistration
from cloud_keystore.people.finding import Finding
from cloud_keystore.people.giving_feedback import GivingFeedback
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.importing import Importing
from cloud_keystore.people.migrating import Migrating
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.people import People
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.policies.explaining import Explaining
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.beginnings import Beginnings
from cloud_keystore.people.portal.bells import Bells
from cloud_keystore.people.portal.factors import LogInFactors
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.people.portal.passkeys import PortalPasskeys
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.portal.questions import Questions
from cloud_keystore.people.portal.reset_factors import ResetFactors
from cloud_keystore.people.portal.resets import PasscodeResets
from cloud_keystore.people.portal.second_phones import SecondPhones
from cloud_keystore.people.portal.short_codes import ShortCodes
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.people.programs.differences import Differences
from cloud_keystore.people.programs.mappings import Mappings
from cloud_keystore.people.programs.operators import Operators
from cloud_keystore.people.programs.repeats import Repeats
from cloud_keystore.people.programs.webhooks import Webhooks
from cloud_keystore.people.renewing import Renewing, take_next
from cloud_keystore.people.rights.card_log_ins import CardLogIns
from cloud_keystore.people.rights.custom_roles import CustomRoles
from cloud_keystore.people.rights.four_eyes import FourEyes
from cloud_keystore.people.rights.log_in_passkeys import LogInPasskeys
from cloud_keystore.people.rights.oidc_log_ins import OidcLogIns
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.people.roles import Roles
from cloud_keystore.people.sharing.shared_devices import SharedDevices
from cloud_keystore.people.surveys import Surveys
from cloud_keystore.people.workstations.problems import Problems
from cloud_keystore.pki import authorities
from cloud_keystore.pki.issuers import CardAuthorities
from cloud_keystore.storage import cards, operations, people, tables
from cloud_keystore.storage.bundles.contents import Row, unpack
from cloud_keystore.storage.bundles.rows import bundle
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.rights import assignments, custom_roles
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.authenticator.approving import Private, sign
from cloudcard_tools.authenticator.passkey import SoftwarePasskey

PASSCODE = b"135790"
DIGEST = b"\x11" * 32
DATABASE = "keystore.db"
LOG_IN_PAGE = "https://cards.example.org/ra/log-in"
OIDC = OidcTerms("https://login.example.org/realm", "keystore", "/nowhere")
REDIRECT_URI = f"{LOG_IN_PAGE}/openid/answer"
RELYING_PARTY = RelyingParty("keystore.example.org", "https://keystore.example.org")
TERMS = SessionTerms(100, timedelta(hours=1))
SESSIONS = Policy(session=TERMS)
OPERATOR = Actor(ActorKind.OPERATOR, "0192")
SECOND = Actor(ActorKind.OPERATOR, "0193")
NO_END = datetime(9000, 1, 1, tzinfo=UTC)
NO_BACKENDS: Mapping[str, Backend] = MappingProxyType({})  # besides that of software keys


PC = Identity(  # of which the database knows nothing
    "pc",
    Role.WORKSTATION,
    IdentityState.ACTIVE,
    "PC",
    "",
    None,
    None,
    None,
    datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
)
# A role of the operators who act in tests.
EVERYTHING = CustomRole("everything", "everything", ROOT, frozenset(Right), PC.create_time)


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
    approval: Private | None = None  # a native key of its own
    passkey: SoftwarePasskey | None = None
    certificate: bytes = b""  # of its TLS connections, DER

    def evidence(self, signed: bytes) -> tuple[bytes, Assertion | None]:
        """Signature and assertion over a statement; a passkey counts."""
        if self.passkey is None:
            return sign(self.approval or self.private, signed), None
        answer, self.passkey = self.passkey.get(statement.challenge(signed))
        assertion = Assertion(answer.authenticator_data, answer.client_data, answer.credential_id)
        return answer.signature, assertion


@dataclass
class World:
    """The use cases of one keystore, and short ways to use them."""

    database: Database
    clock: FakeClock
    seal: Seal
    people: People
    enrolment: Enrolment
    issuing: Issuing
    cards: Life
    prolonging: Prolonging
    replacing: Replacing
    unlocking: Unlocking
    unlock_codes: UnlockCodes
    app_pins: AppPins
    feedback: GivingFeedback
    surveys: Surveys
    phones: Phones
    addresses: Addresses
    second_phones: SecondPhones
    short_codes: ShortCodes
    portal_passwords: Passwords
    security_questions: Questions
    organisations: Organisations
    explaining: Explaining
    migrating: Migrating
    trusting: Trusting
    certifying: Certifying
    est_hosts: set[tuple[str, int]]
    est_servers: EstServers
    errands: Errands
    external_lists: ExternalLists
    list_errands: ListErrands
    heeding: Heeding
    domains: Domains
    accounts: Accounts
    account_directories: AccountDirectories
    importing: Importing
    passcodes: Passcodes
    data_objects: DataObjects
    asking: Asking
    deciding: Deciding
    signing_in: SigningIn
    admitting: Admitting
    activation: Activation
    sessions: UsingSessions
    secure_messaging: SecureMessaging
    renewal: Renewal
    management_keys: ManagementKeys
    administration: Administration
    devices: Devices
    identities: Identities
    shared_devices: SharedDevices
    seats: Seats
    seating: Seating
    problems: Problems
    callers: Callers
    clients: Clients
    provisioning: Provisioning
    groups: Groups
    mappings: Mappings
    operators: Operators
    differences: Differences
    validating: Validating
    webhooks: Webhooks
    bells: Bells
    repeats: Repeats
    renewing: Renewing
    alerts: Alerts
    roles: Roles
    custom_roles: CustomRoles
    custom_profiles: CustomProfiles
    memberships: Memberships
    visits: Visits
    log_in_passkeys: LogInPasskeys
    card_log_ins: CardLogIns
    oidc_log_ins: OidcLogIns
    assents: Assents
    log_in_factors: LogInFactors
    portal_passkeys: PortalPasskeys
    portal_visits: PortalVisits
    beginnings: Beginnings
    own_passwords: OwnPasswords
    holdings: Holdings
    passcode_resets: PasscodeResets
    own_renewals: Renewals
    notifications: Notifications
    four_eyes: FourEyes
    requests: Requests
    custody: Keys
    reading: Reading
    packing: Packing
    showing: Showing
    leaving: Leaving
    reports: Reports
    woken: list[str] = field(default_factory=list)
    actor: Actor = OPERATOR  # who invites and issues

    @property
    def seated(self) -> Deciding:
        """What whoever is signed in at a shared device decides."""
        return self.deciding

    def enrol(self, token_text: str) -> Enrolled:
        private = ec.generate_private_key(ec.SECP256R1())
        identity, der = self.enrolment.enrol(secret_of(token_text), csr(private), "phone")
        return Enrolled(identity, private, certificate=der)

    def enrol_native(self, token_text: str, approval: Private) -> Enrolled:
        """A device with a key of its own."""
        private = ec.generate_private_key(ec.SECP256R1())
        secret, request = secret_of(token_text), csr(private)
        proof = sign(approval, statement.enrolment(secret, request))
        registration = NativeRegistration(spki(approval), proof)
        identity, _ = self.enrolment.enrol(secret, request, "phone", registration)
        return Enrolled(identity, private, approval=approval)

    def enrol_passkey(self, token_text: str, passkey: SoftwarePasskey | None = None) -> Enrolled:
        """A device with a passkey."""
        private = ec.generate_private_key(ec.SECP256R1())
        secret, request = secret_of(token_text), csr(private)
        made = passkey or new_passkey()
        created = made.create(statement.challenge(statement.enrolment(secret, request)))
        registration = Registration(created.attestation_object, created.client_data, ("internal",))
        identity, _ = self.enrolment.enrol(secret, request, "phone", registration)
        return Enrolled(identity, private, passkey=made)

    def renewed(self, own: Enrolled) -> Enrolled:
        """The same identity with its next certificate, which it has not used."""
        private = ec.generate_private_key(ec.SECP256R1())
        request = csr(private)
        present = own.identity.certificate_sha256 or b""
        signature = sign(own.private, statement.renewal(present, request))
        certificate = self.renewing.renew(own.identity, request, signature)
        approval = own.approval or (None if own.passkey else own.private)
        return replace(own, private=private, approval=approval, certificate=certificate)

    def rekeyed(self, renewed: Enrolled) -> Enrolled:
        """A renewed identity that uses its next certificate for the first time."""
        found = take_next(self.database, sha256(renewed.certificate).digest(), self.clock)
        assert found is not None
        return replace(renewed, identity=found)

    def operator(self) -> Enrolled:
        """An operator of the registration authority."""
        return self.enrol(self.people.add_operator("Olga", actor=self.actor).text)

    def journal(self, *kinds: Kind) -> list[Entry]:
        """The journal's entries of these kinds, or all."""
        with self.database.read() as connection:
            j = tables.journal.c
            waiting = select(j.entry).where(j.leaf_index.is_(None)).order_by(j.id)
            told = [
                *(decode(row.entry) for row in rows_in_places(connection)),
                *(decode(line) for line in connection.execute(waiting).scalars()),
            ]
        return [entry for entry in told if not kinds or entry.kind in kinds]

    def auditor(self) -> Identity:
        """Somebody who reads the journal."""
        return self.enrol(self.people.add_auditor("Aude", actor=self.actor).text).identity

    def take_in(self) -> int:
        """Take the journal's entries into its tree, as the service does every second."""
        return sequencing.take_in_all(self.database, self.reading.log, self.clock())

    def workstation(self, name: str = "WARD7-PC3") -> Enrolled:
        return self.enrol(self.people.add_workstation(name, "Ward 7", actor=self.actor)[1].text)

    def user(self, name: str = "Ada Byron", upn: str = "", sid: str = "") -> tuple[User, Enrolled]:
        """A person with a phone."""
        user, token = self.people.add_user(name, "", upn, sid, actor=self.actor)
        assert token is not None
        return user, self.enrol(token.text)

    def phone_of(self, user: User) -> Identity:
        """The person's oldest device."""
        with self.database.read() as connection:
            return people.list_devices(connection, user.id)[0]

    def card(self, user: User, profile: str = "p256") -> str:
        """An active card; returns its serial."""
        made = self.issuing.issue(os.urandom(16), user.id, profile, actor=self.actor).card
        if made.state is CardState.PENDING:
            self.passcodes.set_first(made.serial, PASSCODE, self.phone_of(user))
        return made.serial

    def authorities(self, profile: str = "p256") -> CardAuthorities:
        """Those that issue cards of a profile."""
        return self.issuing.authorities.of_cards(PROFILES[profile])

    def unlock(self, serial: str) -> None:
        """Unlock a card by two operators."""
        for operator in (OPERATOR, SECOND):
            self.unlocking.ask(serial, actor=operator)

    def find(self, serial: str) -> CardListing:
        """A card, as operators see it."""
        return self.cards.find(serial, actor=self.actor)

    def keys(self, serial: str) -> tuple[Key, ...]:
        """The keys of a card, as operators see them."""
        return self.cards.keys(serial, actor=self.actor)

    def image(self, serial: str) -> CardImage:
        """What a reader is told of a card."""
        return Images(self.database, self.management_keys).read(serial)

    def contents(self, serial: str) -> Mapping[int, bytes]:
        """All data objects of a card, as the keystore itself knows them."""
        with self.database.read() as connection:
            card = cards.named(connection, serial)
            return self.data_objects.all_of(connection, card.id)

    def proof(self, serial: str, workstation: Enrolled) -> bytes:
        factory = PROFILES[self.find(serial).card.profile].factory_passcodes
        passcode = FACTORY_PASSCODES[KeyRef.PIN] if factory else PASSCODE
        outcome = self.passcodes.verify(serial, KeyRef.PIN, passcode, workstation.identity)
        assert isinstance(outcome, Verified)
        return outcome.proof

    def administrator(self, serial: str, workstation: Enrolled) -> Administrator:
        """Who knows the factory's management key."""
        at = (serial, Cipher.AES_192, workstation.identity)
        challenge = self.management_keys.request_challenge(*at, enciphered=False)
        response = encipher(Cipher.AES_192, factory_key(Cipher.AES_192), challenge)
        proof = self.management_keys.answer_challenge(*at, response, b"").proof
        return Administrator(serial, proof, workstation.identity)

    def ask(
        self,
        serial: str,
        workstation: Enrolled,
        *data: bytes,
        key_ref: int = 0x9A,
        algorithm: int = 0x11,
        key_use: KeyUse = KeyUse.SIGN,
        proof: bytes | None = None,
        request_id: bytes | None = None,
        channels: Iterable[Channel] = (Channel.PUSH,),
        session: SessionTerms | None = None,
        documents: Iterable[str] = (),
    ) -> Operation:
        """Ask for uses of a key, of one digest where no input is given, or for a session."""
        asked = Ask(
            request_id=os.urandom(16) if request_id is None else request_id,
            card_serial=serial,
            key_ref=key_ref,
            algorithm=algorithm,
            key_use=key_use,
            inputs=data or (() if session else (DIGEST,)),
            passcode_proof=self.proof(serial, workstation) if proof is None else proof,
            application="",
            channels=frozenset(channels),
            session=session,
            documents=tuple(documents),
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
        signature, assertion = device.evidence(
            statement.statement(operation.payload, decision, typed)
        )
        return self.deciding.decide(
            operation.id, decision, typed, signature, device.identity, assertion
        )

    def admit(
        self,
        seen: Seen,
        device: Enrolled,
        decision: Decision = Decision.APPROVE,
        number: str | None = None,
    ) -> State:
        """Decide on a sign-in; a code is claimed first."""
        if seen.qr_text:
            self.admitting.claim(seen.qr_text, "", device.identity)
        sign_in = self.admitting.find(seen.sign_in.id, device.identity)
        approves = decision is Decision.APPROVE
        typed = (sign_in.number if approves else "") if number is None else number
        signed = statement.statement(sign_in.payload or b"", decision, typed)
        signature, assertion = device.evidence(signed)
        return self.admitting.decide(
            sign_in.id, decision, typed, signature, device.identity, assertion
        )

    def set_policy(self, policy: Policy, organisation_id: str = "", profile: str = "") -> str:
        """Put a policy in force; returns its name."""
        operator = self.enrol(self.people.add_operator("Operator", actor=self.actor).text).identity
        return self.organisations.set_policy(organisation_id, profile, policy, operator).name

    def session(
        self, serial: str, workstation: Enrolled, device: Enrolled, terms: SessionTerms = TERMS
    ) -> Session:
        """An open session of 9A, which the holder has approved; the policy allows it."""
        operation = self.ask(serial, workstation, session=terms)
        assert self.decide(operation, device) is State.APPROVED
        session = self.activation.perform(operation.id, [], workstation.identity).session
        assert session is not None
        return session

    def use(
        self,
        session: Session,
        workstation: Enrolled,
        *data: bytes,
        request_id: bytes | None = None,
    ) -> tuple[bytes, ...]:
        """Use a session for these inputs, or for one digest."""
        request_id = os.urandom(16) if request_id is None else request_id
        inputs = data or (DIGEST,)
        return self.sessions.use(session.id, request_id, inputs, workstation.identity).results

    def perform(self, operation: Operation, workstation: Enrolled, data: bytes = DIGEST) -> bytes:
        """The one result of an approved operation of one input."""
        (result,) = self.activation.perform(operation.id, [data], workstation.identity).results
        return result

    def sweep(self) -> None:
        """What the service does each second."""
        with self.database.write() as connection:
            sweeping.sweep(connection, self.clock(), STALLED_TIME)

    def qr_text(self, operation: Operation) -> str:
        """What its workstation shows for an operation to be claimed by a scan."""
        with self.database.read() as connection:
            workstation = people.find_identity(connection, operation.workstation_id)
        assert workstation is not None
        return self.asking.qr_text(operation.id, workstation)

    def state(self, operation: Operation) -> State:
        with self.database.read() as connection:
            found = operations.find(connection, operation.id)
        assert found is not None
        return found.state_at(self.clock())


def rows_in_places(connection: Connection) -> list[Row]:
    """The journal's entries that have places in the tree, in their order; codes are not checked."""
    j = tables.journal.c
    packed = connection.execute(select(bundle.c.number, bundle.c.entries).order_by(bundle.c.number))
    found = [row for number, each in packed for row in unpack(number, each).rows(0, 10**9)]
    places = select(j.id, j.leaf_index, j.entry, j.time).where(j.leaf_index.is_not(None))
    return [*found, *(Row(*each) for each in connection.execute(places.order_by(j.leaf_index)))]


def verify(world: World, serial: str, key_ref: int, signature: bytes, digest: bytes) -> None:
    """The signature is by the card's key of this reference."""
    (key,) = (key for key in world.keys(serial) if key.key_ref == key_ref)
    public = x509.load_der_x509_certificate(key.certificate).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))


def new_world(
    folder: Path,
    more: Mapping[str, Backend] = NO_BACKENDS,
    new: str = SOFTWARE,
    url: str = "",
    clock: FakeClock | None = None,
    seal: Seal | None = None,
) -> World:
    """A keystore in a folder of its own, or the one that is there, or at the address of a
    database; `new` makes new keys.
    """
    clock, woken = clock or FakeClock(), list[str]()
    seal = seal or Seal(b"\x07" * 32, os.urandom)
    database = Database(url or f"sqlite:///{folder / DATABASE}")
    database.migrate()
    database.authenticate(seal.row_key)
    custody = Keys({SOFTWARE: SoftwareKeys(seal), **more}, new)
    authority = authorities.load_or_make(database, seal, clock)
    enrolment_sha256 = sha256(authority.enrolment.der).digest()
    fast = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    add_operators(database)
    passcodes = Passcodes(database, seal, clock, os.urandom, fast, come_into_use)
    data_objects = DataObjects(database, seal, clock, os.urandom)
    renewal = Renewal(clock, os.urandom, authority, data_objects)
    management_keys = ManagementKeys(database, seal, clock, os.urandom)
    people_ = People(database, clock, os.urandom, "127.0.0.1:7444", enrolment_sha256, seal)
    spares = Spares(database, custody, clock, os.urandom)
    issuing = Issuing(
        database,
        seal,
        clock,
        os.urandom,
        spares,
        authority,
        passcodes,
        data_objects,
        woken.extend,
    )
    life = Life(database, clock, woken.extend)
    replacing = Replacing(database, clock, os.urandom, issuing, woken.extend)
    leaving = Leaving(database, clock, woken.extend)
    organisations_ = Organisations(database, clock, os.urandom)
    roles, custom = Roles(database, clock, os.urandom), CustomRoles(database, clock, os.urandom)
    mappings = Mappings(database, clock, os.urandom)
    identified = Operators(database, clock, os.urandom, issuer=OIDC.issuer)
    four_eyes = FourEyes(database, clock)
    certifying = Certifying(database, clock, authority, data_objects, renewal, woken.extend)
    est_hosts = set[tuple[str, int]]()
    assents = Assents(database, clock, os.urandom, woken.extend)
    portal_passkeys = PortalPasskeys(assents, seal, RELYING_PARTY)
    second = ResetFactors(assents, portal_passkeys, seal)
    passwords = Passwords(passcodes, Questions(passcodes), second)
    prolonging = Prolonging(database, clock, spares, renewal, woken.extend)
    addresses, short_codes = Addresses(database, clock, os.urandom, seal), ShortCodes(people_)
    admitting = Admitting(database, seal, clock, woken.extend, os.urandom, authority)
    reading = Reading(
        database, clock, journal_key.load_or_make(database, seal), Finding(database, clock).find
    )
    seats = Seats(database, seal, clock, os.urandom, woken.extend)
    return World(
        database=database,
        clock=clock,
        seal=seal,
        people=people_,
        domains=Domains(database, clock, os.urandom),
        accounts=Accounts(database, clock, os.urandom),
        account_directories=AccountDirectories(database, clock, os.urandom),
        importing=Importing(people_),
        enrolment=Enrolment(database, clock, authority, RELYING_PARTY, os.urandom),
        issuing=issuing,
        cards=life,
        trusting=Trusting(database, clock, os.urandom),
        certifying=certifying,
        est_hosts=est_hosts,
        est_servers=EstServers(database, clock, os.urandom, seal, est_hosts),
        errands=Errands(database, clock, seal, certifying),
        external_lists=ExternalLists(database, clock, est_hosts),
        list_errands=ListErrands(database, clock),
        heeding=Heeding(database, clock, os.urandom),
        prolonging=prolonging,
        replacing=replacing,
        showing=Showing(database, clock),
        leaving=leaving,
        reports=Reports(database, clock),
        unlocking=Unlocking(database, clock, os.urandom, woken.extend),
        unlock_codes=UnlockCodes(passcodes, woken.extend),
        app_pins=AppPins(passcodes),
        feedback=GivingFeedback(database, clock, os.urandom),
        surveys=Surveys(database, clock, os.urandom),
        phones=Phones(database, clock, os.urandom, seal),
        addresses=addresses,
        second_phones=SecondPhones(people_),
        short_codes=short_codes,
        portal_passwords=passwords,
        assents=assents,
        log_in_factors=LogInFactors(assents, seal),
        portal_passkeys=portal_passkeys,
        portal_visits=PortalVisits(passwords, assents, portal_passkeys),
        beginnings=Beginnings(addresses, passwords, short_codes),
        own_passwords=OwnPasswords(passwords),
        holdings=Holdings(Sessions(database, clock), admitting, seats),
        passcode_resets=PasscodeResets(passcodes, assents),
        own_renewals=Renewals(prolonging, assents),
        security_questions=Questions(passcodes),
        organisations=organisations_,
        explaining=Explaining(database, clock),
        migrating=Migrating(database, clock, os.urandom),
        passcodes=passcodes,
        data_objects=data_objects,
        asking=Asking(database, seal, clock, os.urandom, woken.extend),
        deciding=Deciding(database, seal, clock, woken.extend, os.urandom, authority),
        signing_in=SigningIn(database, seal, clock, os.urandom, woken.extend),
        admitting=admitting,
        devices=Devices(database, clock, woken.extend, os.urandom),
        identities=(identities := Identities(database, clock, woken.extend)),
        shared_devices=SharedDevices(people_, identities),
        seats=seats,
        seating=Seating(database, seal, clock, os.urandom, woken.extend, authority),
        problems=Problems(database, clock),
        roles=roles,
        custom_roles=custom,
        custom_profiles=CustomProfiles(database, clock, os.urandom),
        memberships=Memberships(database, clock, os.urandom),
        visits=(visits := Visits(database, clock, os.urandom, LOG_IN_PAGE)),
        log_in_passkeys=LogInPasskeys(visits, seal, RELYING_PARTY),
        card_log_ins=CardLogIns(visits, seal, authority),
        oidc_log_ins=OidcLogIns(visits, seal, OIDC, REDIRECT_URI),
        notifications=Notifications(database, clock, sends=True),
        four_eyes=four_eyes,
        requests=Requests(
            database,
            clock,
            life,
            replacing,
            leaving,
            roles,
            custom,
            organisations_,
            four_eyes,
            mappings,
            identified,
        ),
        callers=Callers(database, clock),
        clients=Clients(database=database, clock=clock, random=os.urandom),
        provisioning=Provisioning(
            database, clock, os.urandom, people_, Limits().leavers, woken.extend
        ),
        groups=Groups(database, clock, os.urandom),
        mappings=mappings,
        operators=identified,
        differences=Differences(database, clock),
        validating=Validating(database, clock, seal, enrolment_sha256),
        webhooks=Webhooks(database, clock, os.urandom, seal, frozenset()),
        bells=Bells(database, clock, seal, PushTerms()),
        repeats=Repeats(database=database, clock=clock, random=os.urandom),
        renewing=Renewing(database, clock, authority),
        alerts=Alerts(database, clock),
        activation=Activation(database, seal, clock, custody),
        sessions=UsingSessions(database, seal, clock, os.urandom, custody),
        secure_messaging=SecureMessaging(database, clock, custody),
        renewal=renewal,
        management_keys=management_keys,
        administration=Administration(
            database,
            seal,
            clock,
            os.urandom,
            spares,
            renewal,
            management_keys,
            passcodes,
            woken.extend,
        ),
        custody=custody,
        reading=reading,
        packing=Packing(reading),
        woken=woken,
    )


def add_operators(database: Database) -> None:
    """Add the operators who act in tests, unless they are there. They are nameless, and may do
    everything without end. By a role of their own, so that they are not the last RA managers, who
    have the built-in one for so long that no test sees the end.
    """
    with database.write() as connection:
        if custom_roles.find(connection, EVERYTHING.id) is None:
            custom_roles.add(connection, EVERYTHING)
        for each in (OPERATOR, SECOND):
            if people.find_identity(connection, each.id) is None:
                own = replace(PC, id=each.id, role=Role.OPERATOR, display_name="", assigned=True)
                people.add_identities(connection, replace(own, expire_time=NO_END))
                since = PC.create_time - timedelta(days=365)  # as far as tests step the clock back
                for own_id, role, end in (
                    (each.id, BuiltIn.RA_MANAGER, NO_END),
                    (f"{each.id}-endless", EVERYTHING.id, None),
                ):
                    granted = Assignment(own_id, each.id, role, ROOT, since, end, "", since)
                    assignments.add(connection, granted)


def new_passkey() -> SoftwarePasskey:
    """A passkey for the keystore of these tests."""
    return passkey.new(RELYING_PARTY.id, RELYING_PARTY.origin, b"ada")


def spki(private: Private) -> bytes:
    """The public key, SubjectPublicKeyInfo, DER."""
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def secret_of(token_text: str) -> bytes:
    """The secret part of a token."""
    body = token_text.removeprefix("cc1.").partition("@")[0]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))[32:]


def csr(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate signing request, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private, SHA256()).public_bytes(Encoding.DER)
