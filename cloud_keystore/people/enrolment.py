"""Enrolment: a one-time token becomes an identity with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeAlias, assert_never

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from cloud_keystore.approval import passkeys, statement
from cloud_keystore.audit import alerts, entries, journal
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey, RelyingParty
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import InvalidInput, TokenRejected
from cloud_keystore.model.fields.software import Contact, Software, parse
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Detail, Entry, Kind, decode
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.people.contacts import accounts
from cloud_keystore.pki import identities
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.storage import approval_keys, people
from cloud_keystore.storage import journal as rows
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import software, tokens
from cloud_keystore.storage.outbox import notifications as outbox

UNKNOWN_TOKEN = "this token is unknown, used or expired: ask for a new one"  # noqa: S105 (a text)


@dataclass(frozen=True, slots=True)
class NativeRegistration:
    """A device's own approval key, with its signature over the enrolment statement."""

    public_key: bytes  # SubjectPublicKeyInfo, DER
    signature: bytes


Registration: TypeAlias = NativeRegistration | passkeys.Registration


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Spends enrolment tokens."""

    database: Database
    clock: Clock
    authorities: Authorities
    relying_party: RelyingParty
    random: Random
    attestation_roots: tuple[bytes, ...] = ()  # PEM, of makers of authenticators

    def passkey_terms(self, secret: bytes) -> User:
        """The holder for whom a token's passkey is to be made; the token is not spent.

        Raises TokenRejected, and InvalidInput for a token that is not a device's.
        """
        with self.database.read() as connection:
            invited = tokens.invited_by(connection, sha256(secret).digest(), self.clock())
            if invited is None or invited.state is not IdentityState.INVITED:
                raise TokenRejected(UNKNOWN_TOKEN)
            if invited.user_id is None:
                raise InvalidInput("this token is not for a device: only devices have passkeys")
            user = people.find_user(connection, invited.user_id)
        if user is None:
            raise TokenRejected(UNKNOWN_TOKEN)
        return user

    def enrol(
        self,
        secret: bytes,
        csr: bytes,
        device_name: str,
        registration: Registration | None = None,
        role: Role | None = None,
        said: str = "",
        *,
        is_named: bool = False,
    ) -> tuple[Identity, bytes]:
        """Spend a token; return the identity and its certificate (DER). A token for another role
        than `role` is refused; None takes the token's. What the client says of itself is kept.
        With `is_named`, a request that names another than the token is for is refused.

        A device can register an approval key of its own, which must sign this token and this
        request for a certificate, so that neither can be exchanged. The holder's other devices are
        told. A refused request does not spend the token, because both happen in one transaction.
        Who repeats a request, because the answer was lost, gets it again. Raises InvalidInput,
        TokenRejected.
        """
        public_key = identities.requested_key(csr)
        name = text_field("device_name", device_name, LONGEST_LABEL, required=False)
        signed = statement.enrolment(secret, csr)
        approval_key = None if registration is None else self._approval_key(registration, signed)
        now = self.clock()
        with self.database.write() as connection:
            identity_id = tokens.spend(connection, sha256(secret).digest(), now)
            if identity_id is None:
                return _again(connection, secret, csr, now)
            invited = people.find_identity(connection, identity_id)
            if invited is None or invited.state is not IdentityState.INVITED:
                raise TokenRejected(UNKNOWN_TOKEN)
            if role not in (None, invited.role):
                raise InvalidInput(
                    f"this token is for the role {_word(invited.role)}, not {_word(role)}: it was "
                    "not used"
                )
            if is_named:
                identities.check_name(csr, invited.id, invited.display_name)
            issued = identities.certify(invited.id, public_key, self.authorities.transport, now)
            certificate = issued.public_bytes(Encoding.DER)
            own_name = name if invited.role is Role.DEVICE and name else invited.display_name
            people.activate_identity(
                connection,
                invited.id,
                sha256(certificate).digest(),
                identities.public_der(public_key),
                own_name,
                issued.not_valid_after_utc,
            )
            if approval_key is not None:
                _keep(connection, invited, approval_key)
            elif invited.role is Role.DEVICE:
                _keep(connection, invited, NativeKey(identities.public_der(public_key)))
            identity = people.find_identity(connection, invited.id)
            if identity is None:
                raise TokenRejected("the identity was removed meanwhile: ask for a new token")
            if (told := parse(said)) != Software():
                software.put(connection, identity.id, Contact(told, now))
            evidence = {"csr": csr, "certificate": certificate}
            journal.append(
                connection, _enrolled(identity, approval_key, registration, evidence, now)
            )
            if identity.role is Role.DEVICE:
                alerts.new_device(connection, identity, now, self.random)
                outbox.about_device(connection, Template.DEVICE_ADDED, identity, now)
                accounts.complete(connection, identity.user_id or "", now)
        return identity, certificate

    def enrol_page(
        self,
        secret: bytes,
        csr: bytes,
        device_name: str,
        registration: Registration | None = None,
    ) -> tuple[Identity, bytes]:
        """The same for a page, which is its holder's device, or one that several share if the token
        is for such. Raises InvalidInput, TokenRejected.
        """
        with self.database.read() as connection:
            invited = tokens.invited_by(connection, sha256(secret).digest(), self.clock())
        is_shared = invited is not None and invited.role is Role.SHARED_DEVICE
        role = Role.SHARED_DEVICE if is_shared else Role.DEVICE
        return self.enrol(secret, csr, device_name, registration, role)

    def _approval_key(self, registration: Registration, signed: bytes) -> ApprovalKey:
        match registration:
            case NativeRegistration(public_key, signature):
                return statement.native_key(public_key, signature, signed)
            case passkeys.Registration():
                challenge = statement.challenge(signed)
                return passkeys.register(
                    registration, challenge, self.relying_party, self.attestation_roots
                )
            case _:
                assert_never(registration)


def _again(
    connection: Connection, secret: bytes, csr: bytes, now: datetime
) -> tuple[Identity, bytes]:
    """The answer to a request that was answered before. It helps only whoever has the key of the
    request. Raises TokenRejected.
    """
    used = tokens.used(connection, sha256(secret).digest(), now)
    identity = None if used is None else people.find_identity(connection, used.identity_id)
    if used is None or identity is None or identity.state is not IdentityState.ACTIVE:
        raise TokenRejected(UNKNOWN_TOKEN)
    enrolled = rows.Query(
        kinds=(Kind.IDENTITY_ENROLLED,),
        since=used.use_time,
        until=used.use_time + timedelta(microseconds=1),
    )
    for row in rows.search(connection, enrolled, None, rows.PAGE):
        evidence = decode(row.entry).evidence
        certificate = evidence.get("certificate", b"")
        ours = sha256(certificate).digest() == identity.certificate_sha256
        if ours and evidence.get("csr") == csr:
            return identity, certificate
    raise TokenRejected(UNKNOWN_TOKEN)


def _word(role: Role | None) -> str:
    return "" if role is None else role.name.lower().replace("_", " ")


def _keep(connection: Connection, invited: Identity, key: ApprovalKey) -> None:
    if invited.role is not Role.DEVICE:
        raise InvalidInput("only a device has a key to approve by: leave it out")
    if isinstance(key, Passkey) and approval_keys.has_credential(connection, key.credential_id):
        raise InvalidInput("this passkey is another device's: make a new one")
    approval_keys.add(connection, invited.id, key)


def _enrolled(
    identity: Identity,
    key: ApprovalKey | None,
    registration: Registration | None,
    evidence: dict[str, bytes],
    now: datetime,
) -> Entry:
    """The entry with everything from which the identity and its approval key were made."""
    details: dict[str, Detail] = {
        "role": identity.role.name.lower(),
        "name": identity.display_name,
    }
    match registration:
        case NativeRegistration(public_key, signature):
            details["approval_key"] = "native"
            evidence |= {"approval_key": public_key, "device_signature": signature}
        case passkeys.Registration():
            evidence["attestation_object"] = registration.attestation_object
            evidence["client_data"] = registration.client_data
    if isinstance(key, Passkey):
        details |= {
            "approval_key": "passkey",
            "rp_id": key.relying_party.id,
            "origin": key.relying_party.origin,
            "backup_eligible": key.backup_eligible,
            "backed_up": key.backed_up,
            **({"model": key.attested_model} if key.attested_model else {}),
        }
        evidence["approval_key"] = key.public_key
    return entries.about_identity(
        Kind.IDENTITY_ENROLLED, identity, now, identity.actor, details, evidence
    )
