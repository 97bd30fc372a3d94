"""Who was invited, enrolled and removed, and the keys that this bound to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cloud_keystore.approval import passkeys, statement
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey, RelyingParty
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.journal import Entry
from cloudcard_tools.audit.grounds import Ground, Wrong, is_later

OF_DEVICES = {ActorKind.DEVICE, ActorKind.SHARED_DEVICE, ActorKind.SEAT}
IDENTITIES = {ActorKind.WORKSTATION, *OF_DEVICES, ActorKind.OPERATOR, ActorKind.AUDITOR}
ADDED = IDENTITIES | {ActorKind.CLIENT}  # who act after somebody has added them
USERS_OF_KEYS = {ActorKind.WORKSTATION, ActorKind.DEVICE, ActorKind.SEAT}
SOME_ID = b"passkey"  # of a credential: the key itself is in the entry
NOT_BOUND = (
    "that the approval keys of some devices were made for their invitations, because entries of "
    "before do not have the hashes of tokens"
)
NO_ENROLMENT = (
    "that the keys that signed some decisions are their devices' own, because packs of before do "
    "not have the enrolments"
)


@dataclass(frozen=True, slots=True)
class Invited:
    """Who can enrol by a token."""

    role: str
    user_id: str | None
    token_sha256: bytes | None  # None in entries of before


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An identity, and its keys."""

    user_id: str | None
    certificate_sha256: bytes
    key: ApprovalKey  # by which a device decides; no renewal changes it
    public_key: bytes  # of the certificate
    next: tuple[bytes, bytes] | None = None  # the certificate's SHA-256, and its key: renewed
    former: bytes | None = None  # the certificate before the last renewal, SHA-256


class Enrolments:
    """All identities, as the entries up to now tell of them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._invited: dict[str, Invited] = {}
        self._enrolled: dict[str, Enrolled] = {}
        self._removed: dict[str, datetime] = {}
        self._clients: set[str] = set()

    def invite(self, entry: Entry) -> None:
        who = _subject(entry)
        if who in self._invited or who in self._enrolled:
            raise Wrong("an identity was invited twice")
        role = str(entry.details.get("role"))
        self._invited[who] = Invited(role, entry.user_id, entry.evidence.get("token_sha256"))

    def add_client(self, entry: Entry) -> None:
        """Know an API client, which has a token and is never enrolled."""
        who = _subject(entry)
        if who in self._clients or who in self._enrolled:
            raise Wrong("an API client was added twice")
        self._clients.add(who)

    def enrol(self, entry: Entry) -> None:
        who, role = entry.actor.id, entry.actor.kind
        if who in self._enrolled:
            raise Wrong("an identity was enrolled twice: its key was exchanged")
        if who in self._removed:
            raise Wrong("an identity was enrolled that had been removed")
        if role not in IDENTITIES or _subject(entry) not in ("", who):
            raise Wrong("an identity was enrolled by somebody else")
        invited = self._invited.pop(who, None)
        self._enrolled[who] = self._bound(entry, invited)
        if invited is None:
            self._ground.lacks("an identity was enrolled that nobody had invited")
        elif (invited.role, invited.user_id) != (role.value, entry.user_id):
            raise Wrong("an identity was enrolled for somebody else than was invited")

    def renew(self, entry: Entry) -> None:
        """Check that the identity itself has asked for its next certificate."""
        who, enrolled = entry.actor.id, self._enrolled.get(entry.actor.id)
        if entry.actor.kind not in IDENTITIES or _subject(entry) != who:
            raise Wrong("an identity was renewed by somebody else")
        if who in self._removed:
            raise Wrong("an identity was renewed that had been removed")
        certificate, own = _certified(entry)
        if enrolled is None:
            self._ground.lacks("an identity was renewed that had not been enrolled")
            return
        csr, signature = (entry.evidence.get(name, b"") for name in ("csr", "signature"))
        present = (enrolled.public_key, enrolled.certificate_sha256)
        try:
            # The same key has signed the request itself.
            if signature or own != enrolled.public_key:
                statement.check_renewal(*present, csr, signature)
        except KeystoreError:
            raise Wrong("a renewal is not signed by the identity's key before") from None
        self._enrolled[who] = replace(enrolled, next=(certificate, own))

    def rekey(self, entry: Entry) -> None:
        """Check that the next certificate of an identity, which was used, is what it asked for."""
        who, enrolled = entry.actor.id, self._enrolled.get(entry.actor.id)
        if entry.actor.kind not in IDENTITIES or _subject(entry) != who:
            raise Wrong("an identity was renewed by somebody else")
        if enrolled is None:
            self._ground.lacks("an identity was renewed that had not been enrolled")
            return
        if enrolled.next is None or enrolled.next[0] != entry.evidence.get("certificate_sha256"):
            raise Wrong("an identity got a certificate that it had not asked for")
        self._enrolled[who] = replace(
            enrolled,
            certificate_sha256=enrolled.next[0],
            public_key=enrolled.next[1],
            next=None,
            former=enrolled.certificate_sha256,
        )

    def remove(self, entry: Entry) -> None:
        who = _subject(entry)
        known = who in self._enrolled or who in self._clients
        if not known and self._invited.pop(who, None) is None:
            self._ground.lacks("an identity was removed that had not been invited")
        self._removed.setdefault(who, entry.time)

    def check_actor(self, actor: Actor, time: datetime) -> None:
        """Raise Wrong if somebody acted before the enrolment or after the removal.

        A call can be under way while its caller is removed. The entries of decisions and uses,
        where this makes a difference, are checked without this tolerance.
        """
        if actor.kind not in ADDED:
            return
        # A pack does not have the enrolments of those who use no key.
        known = actor.id in self._enrolled or actor.id in self._clients
        if not known and (self._ground.whole or actor.kind in USERS_OF_KEYS):
            self._ground.lacks(f"this was done by {actor}, which had not been enrolled")
        removed = self._removed.get(actor.id)
        if removed is not None and is_later(time, removed):
            raise Wrong(f"this was done by {actor}, which had been removed")

    def device(self, device_id: str | None) -> Enrolled | None:
        """The device that decided; None where an old pack does not tell of it. Raises Wrong if it
        was not enrolled, or was removed.
        """
        found = self._enrolled.get(device_id or "")
        if found is None:
            if self._ground.whole:
                raise Wrong("the key that signed it is not the one its device was enrolled with")
            if self._ground.enrolments:
                raise Wrong("the enrolment of the device that signed it is not in the pack")
            self._ground.cannot_show(NO_ENROLMENT)
        self.check_there(device_id, "the device that approved it had been removed")
        return found

    def check_workstation(self, entry: Entry, certificate_sha256: bytes) -> None:
        """Raise Wrong unless an entry is by its workstation, which has this certificate, or had it
        before it was renewed for the last time.
        """
        if entry.actor != Actor(ActorKind.WORKSTATION, entry.workstation_id or "none"):
            raise Wrong("another workstation did this than the one that had asked")
        found = self._enrolled.get(entry.actor.id)
        if found is not None and certificate_sha256 not in (
            found.certificate_sha256,
            found.former,
        ):
            raise Wrong("the workstation was enrolled with another certificate")
        self.check_there(entry.actor.id, "the workstation had been removed")

    def check_there(self, identity_id: str | None, wrong: str) -> None:
        """Raise Wrong if an identity was removed."""
        if identity_id in self._removed:
            raise Wrong(wrong)

    def _bound(self, entry: Entry, invited: Invited | None) -> Enrolled:
        """The keys of an enrolment, each of which has signed that it is for this identity."""
        certificate, own = _certified(entry)
        key = self._approval_key(entry, None if invited is None else invited.token_sha256)
        return Enrolled(entry.user_id, certificate, key or NativeKey(own), own)

    def _approval_key(self, entry: Entry, token_sha256: bytes | None) -> ApprovalKey | None:
        """The key of its own by which a device decides, if it has one. Raises Wrong unless the key
        has signed the token and the request for the certificate.
        """
        evidence, details = entry.evidence, entry.details
        public_key = evidence.get("approval_key")
        if public_key is None:
            return None
        key: ApprovalKey = NativeKey(public_key)
        if details.get("approval_key") == "passkey":
            relying_party = RelyingParty(str(details.get("rp_id")), str(details.get("origin")))
            eligible = details.get("backup_eligible") is True
            key = Passkey(public_key, SOME_ID, relying_party, backup_eligible=eligible)
        if token_sha256 is None:
            self._ground.cannot_show(NOT_BOUND)
            return key
        signed = statement.enrolment_by(token_sha256, evidence.get("csr", b""))
        try:
            _check_bound(key, entry, signed)
        except KeystoreError:
            raise Wrong("the approval key was not made for this enrolment") from None
        return key


def _certified(entry: Entry) -> tuple[bytes, bytes]:
    """SHA-256 of the certificate in an entry, and its key. Raises Wrong unless it is of whoever the
    entry is by, and of the key that it asked for.
    """
    csr, certificate = (entry.evidence.get(name, b"") for name in ("csr", "certificate"))
    try:
        request = x509.load_der_x509_csr(csr)
        issued = x509.load_der_x509_certificate(certificate)
        names = issued.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        own, asked = (
            each.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for each in (issued, request)
        )
        fits = request.is_signature_valid and asked == own
    except (ValueError, UnsupportedAlgorithm):
        raise Wrong("the certificate of an identity cannot be read") from None
    if not fits or [each.value for each in names] != [entry.actor.id]:
        raise Wrong("the certificate is not the one that the identity has asked for")
    return sha256(certificate).digest(), own


def _check_bound(key: ApprovalKey, entry: Entry, signed: bytes) -> None:
    """Raise a KeystoreError or Wrong unless a key has signed the statement of its enrolment."""
    evidence = entry.evidence
    if isinstance(key, NativeKey):
        statement.native_key(key.public_key, evidence.get("device_signature", b""), signed)
        return
    registration = passkeys.Registration(
        evidence.get("attestation_object", b""), evidence.get("client_data", b"")
    )
    made = passkeys.register(registration, statement.challenge(signed), key.relying_party)
    if (made.public_key, made.backup_eligible) != (key.public_key, key.backup_eligible):
        raise Wrong("the passkey is another one than its registration tells of")


def _subject(entry: Entry) -> str:
    """Whom an entry about an identity is about."""
    said = str(entry.details.get("identity", ""))
    return entry.device_id or entry.workstation_id or said
