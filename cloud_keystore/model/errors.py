"""The keystore's refusals: one class for each reason.

Programs rely on the name of the class. The text tells people what to do and never holds a secret.
"""

from __future__ import annotations


class KeystoreError(Exception):
    """Base of all refusals."""


class InvalidInput(KeystoreError):
    """A field has a value that the service cannot use; the text says which, and what it accepts."""


class MalformedKeyInput(KeystoreError):
    """The bytes to sign, decrypt or agree on do not fit the key's purpose or algorithm."""


class ResultWithheld(MalformedKeyInput):
    """What a key made of the bytes must not leave."""


class UserNotFound(KeystoreError):
    """No such person."""


class UserExists(KeystoreError):
    """There is a person with this account, this e-mail address, or this name and no address."""


class ChangedMeanwhile(KeystoreError):
    """The thing is no longer what the caller has seen of it."""


class UserClosed(KeystoreError):
    """The person has left: nothing is made for them any more."""


class NoAppPin(KeystoreError):
    """The phone asks for no PIN, or there is no code for another one."""


class PhoneUnreachable(KeystoreError):
    """The person has no phone number, nothing more can be sent to it, or no code is awaited."""


class AddressUnreachable(KeystoreError):
    """The person has no e-mail address, nothing is sent by e-mail, or no code is awaited."""


class PortalClosed(KeystoreError):
    """The person's policy allows no portal passwords, or what it wants for one is missing."""


class FactorNeeded(KeystoreError):
    """The person's policy demands more for log-ins at the portal than they have chosen yet."""


class CardNotFound(KeystoreError):
    """No such card, or not one of the caller's."""


class CardNotInUse(KeystoreError):
    """The card is being issued, pending, suspended or revoked."""


class IllegalCardChange(KeystoreError):
    """The card's state does not allow this change."""


class KeyNotFound(KeystoreError):
    """The card has no such key."""


class ObjectNotFound(KeystoreError):
    """The card has no such data object that it withholds."""


class DeviceNotFound(KeystoreError):
    """No such device."""


class IdentityNotFound(KeystoreError):
    """No such workstation, operator or auditor."""


class WebhookNotFound(KeystoreError):
    """No such webhook."""


class LastOperator(KeystoreError):
    """The operator is the last RA manager of the whole: nobody else could invite another."""


class AuthorityNotFound(KeystoreError):
    """No such authority of cards."""


class AlertNotFound(KeystoreError):
    """No such alert."""


class KeyBackendUnavailable(KeystoreError):
    """The backend that holds the key does not answer: the token is gone or busy, or its PIN is
    wrong. The text says which.
    """


class SealingKeyMissing(KeyBackendUnavailable):
    """A value is sealed under a key that this service was not given. As far as can be known without
    the key, the value itself is well.
    """


class EntryNotFound(KeystoreError):
    """The journal has no such entry, or no checkpoint covers it yet."""


class OperationNotFound(KeystoreError):
    """No such operation, or not one of the caller's."""


class OperationClosed(KeystoreError):
    """The operation has been decided, has ended or has expired."""


class NoResult(KeystoreError):
    """The use was spent and has no result: its key failed, or it was too long ago."""


class SessionNotFound(KeystoreError):
    """No such session, or not one of the caller's."""


class SignInNotFound(KeystoreError):
    """No such sign-in, or not one of the caller's."""


class SeatNotFound(KeystoreError):
    """No such seat at a shared device, or not one of the caller's."""


class SessionClosed(KeystoreError):
    """The session has ended, is used up, or is no longer allowed."""


class SessionRefused(KeystoreError):
    """The policy in force, or the key itself, does not allow such a session."""


class RequestIdReused(KeystoreError):
    """The request id was used before, for something else."""


class OrganisationNotFound(KeystoreError):
    """No such organisation."""


class OrganisationExists(KeystoreError):
    """There is an organisation of this name."""


class NotAllowed(KeystoreError):
    """The caller has no right to this where it was asked for, and may know that it exists."""

    def __init__(self, text: str, right: str = "", organisation_id: str = "") -> None:
        super().__init__(text)
        self.right, self.organisation_id = right, organisation_id


class RoleNotFound(KeystoreError):
    """No such role, or it was not granted."""


class RoleExists(KeystoreError):
    """There is a role of this name in the organisation, above it or below it."""


class RoleGranted(KeystoreError):
    """Somebody has the role."""


class BuiltInRole(KeystoreError):
    """The role is built in, so that nobody changes, renames or deletes it."""


class LastMembership(KeystoreError):
    """The person belongs to no other organisation."""


class ProfileNotFound(KeystoreError):
    """No such card profile."""


class ProfileExists(KeystoreError):
    """There is a card profile of this name in the organisation, above it or below it."""


class ProfileInUse(KeystoreError):
    """Cards are of the profile."""


class BuiltInProfile(KeystoreError):
    """The card profile is built in, so that nobody changes or deletes it."""


class ClientOutdated(KeystoreError):
    """The app on the holder's phone is too old for cards of the profile."""


class SecondNeeded(KeystoreError):
    """The operation is of high risk: it waits for another operator, and the text says how."""


class ProofNeeded(KeystoreError):
    """Whoever visits the pages has logged in too long ago for what is of high risk."""


class RequestNotFound(KeystoreError):
    """No such request of an operator."""


class RequestClosed(KeystoreError):
    """The request was decided, has expired, or cannot be done any more."""


class MappingNotFound(KeystoreError):
    """There is no such mapping of a group."""


class GroupNotFound(KeystoreError):
    """There is no such group of a directory."""


class GroupExists(KeystoreError):
    """Another group of a directory has this name."""


class TooManyGroups(KeystoreError):
    """A directory has too many groups, or a group too many members."""


class NoDifference(KeystoreError):
    """No directory says something else of a person than what holds."""


class NobodyElse(KeystoreError):
    """Nobody else could approve the operation."""


class OperationBusy(KeystoreError):
    """The key is being used for this operation right now: ask again."""


class ApprovalRejected(KeystoreError):
    """The device's signature does not approve exactly this operation."""


class PasscodeNeeded(KeystoreError):
    """The key needs a passcode, and the passcode proof is missing, spent, too old, or made for
    another card or workstation.
    """


class PukRefused(KeystoreError):
    """The policy lets workstations use no PUK. Nothing was compared."""


class PasscodeAlreadySet(KeystoreError):
    """The card has a passcode already."""


class AdministrationRefused(KeystoreError):
    """The card's profile does not allow this kind of administration."""


class ChallengeRejected(KeystoreError):
    """The answer to the challenge is wrong, or the challenge is no longer open."""


class TooManyGuesses(KeystoreError):
    """A passcode or a management key was given wrongly too often: wait. Nothing was compared."""


class AdministratorNeeded(KeystoreError):
    """The proof of the management key is missing, too old, or of another card or workstation."""


class CardFull(KeystoreError):
    """The card does not have enough room for the object or key."""


class KeyReferenceTaken(KeystoreError):
    """The key reference already has a key."""


class CardNotBlocked(KeystoreError):
    """The card has tries left; only a blocked card can be reset."""


class NotAttested(KeystoreError):
    """The key was not generated here, so the keystore cannot attest it."""


class JustRefused(KeystoreError):
    """The holder has just refused this use of the key here: the application repeats its request."""


class TooManyRefusals(KeystoreError):
    """The holder has recently refused or ignored too many requests; the phone is not asked for a
    while.
    """


class StorageUnavailable(KeystoreError):
    """The database does not answer, is full or cannot be written. It is not known whether the
    change was made; calls that are safe to repeat can be repeated.
    """


class StorageDamaged(KeystoreError):
    """The content of the database cannot be read."""


class Failed(KeystoreError):
    """Custody has met a fault of its own. The text is the number of the incident in its log."""


class RecordDamaged(KeystoreError):
    """One record is invalid; the others are not affected. The text names it, only for the log."""


class RowNotAuthentic(RecordDamaged):
    """A record was written by somebody without the root secret, or an earlier version was put back
    in its place. The text names it, only for the log.
    """


class ComeBack(KeystoreError):
    """Refused for now, and nothing was done: the call can be repeated after `retry_seconds`."""

    def __init__(self, text: str, retry_seconds: float = 1.0) -> None:
        super().__init__(text)
        self.retry_seconds = retry_seconds


class RequestUnderWay(ComeBack):
    """The same request of the same API client has not been answered yet."""


class TooManyCalls(ComeBack):
    """The caller makes more calls than its limit allows."""


class JournalBudgetSpent(ComeBack):
    """The caller has caused as many entries of the journal as its budget allows."""


class MessageOverdue(KeystoreError):
    """The call has begun, but its message did not come in time."""


class Overloaded(ComeBack):
    """The keystore has reached the limit of its capacity."""


class Stopping(ComeBack):
    """The process that was called is stopping; another one, or its successor, takes calls."""


class TokenRejected(KeystoreError):
    """The enrolment token is unknown, used or expired."""


class IdentityRejected(KeystoreError):
    """The TLS certificate does not belong to an active identity with the right role."""


class RenewalRejected(KeystoreError):
    """The identity's present key has not signed its renewal."""
