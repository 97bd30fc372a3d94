"""What the keystore refuses, and what a person can do about it.

One class per reason. The text is for people and never holds a secret; the class's name is the
contract.
"""

from __future__ import annotations


class KeystoreError(Exception):
    """Base of all refusals."""


class InvalidInput(KeystoreError):
    """A field has a value that the service cannot use; says which and what it takes."""


class MalformedKeyInput(KeystoreError):
    """The bytes to sign, decrypt or agree on do not fit the key's purpose or algorithm."""


class UserNotFound(KeystoreError):
    """No such person."""


class CardNotFound(KeystoreError):
    """No such card, or not one of the caller's."""


class CardNotInUse(KeystoreError):
    """The card is pending, suspended or revoked."""


class IllegalCardChange(KeystoreError):
    """The card's state does not allow this change."""


class KeyNotFound(KeystoreError):
    """The card has no such key."""


class DeviceNotFound(KeystoreError):
    """No such device."""


class IdentityNotFound(KeystoreError):
    """No such workstation, operator or auditor."""


class LastOperator(KeystoreError):
    """Without this operator nobody could invite another."""


class AlertNotFound(KeystoreError):
    """No such alert."""


class KeyBackendUnavailable(KeystoreError):
    """The device that holds the key does not answer: a token is gone, its PIN wrong, or it is busy;
    says which.
    """


class EntryNotFound(KeystoreError):
    """The journal has no such entry, or no checkpoint covers it yet."""


class OperationNotFound(KeystoreError):
    """No such operation, or not one of the caller's."""


class OperationClosed(KeystoreError):
    """The operation has been decided, has ended or has expired."""


class SessionNotFound(KeystoreError):
    """No such session, or not one of the caller's."""


class SessionClosed(KeystoreError):
    """The session has ended, is used up, or is no longer allowed."""


class SessionRefused(KeystoreError):
    """The policy in force, or the key itself, allows no such session."""


class RequestIdReused(KeystoreError):
    """The request id was used before, for something else."""


class OrganisationNotFound(KeystoreError):
    """No such organisation."""


class OrganisationExists(KeystoreError):
    """There is an organisation of this name."""


class OperationBusy(KeystoreError):
    """The key is being used for this operation right now: ask again."""


class ApprovalRejected(KeystoreError):
    """The device's signature does not approve exactly this operation."""


class PasscodeNeeded(KeystoreError):
    """The key needs a passcode, and the proof of it is missing, spent, foreign or too old."""


class PasscodeAlreadySet(KeystoreError):
    """The card has a passcode already."""


class AdministrationRefused(KeystoreError):
    """The card's profile does not have this way of changing it."""


class ChallengeRejected(KeystoreError):
    """The answer to the challenge is wrong, or there is no challenge to answer any more."""


class TooManyGuesses(KeystoreError):
    """The card's management key was given wrongly too often lately."""


class AdministratorNeeded(KeystoreError):
    """The proof of the management key is missing, foreign or too old."""


class CardFull(KeystoreError):
    """There is no room on the card for what is to be stored."""


class KeyReferenceTaken(KeystoreError):
    """There is a key already where one is to be put."""


class CardNotBlocked(KeystoreError):
    """The card has tries left, and only a blocked one is reset."""


class NotAttested(KeystoreError):
    """The key was not made here, so nothing can be said for it."""


class JustRefused(KeystoreError):
    """The holder has just refused this key's use here: the application repeats itself."""


class TooManyRefusals(KeystoreError):
    """The holder refused or ignored too many requests lately; the phone is left in peace for a
    while.
    """


class StorageUnavailable(KeystoreError):
    """The database does not answer, is full or cannot be written. Whether the change was made is
    not known: calls that may be repeated may be repeated.
    """


class StorageDamaged(KeystoreError):
    """What the database holds cannot be read."""


class RecordDamaged(KeystoreError):
    """One record makes no sense; says which, for the log alone. Others are not concerned."""


class ComeBack(KeystoreError):
    """Refused for now, with nothing done: the same call may be made after `retry_seconds`."""

    def __init__(self, text: str, retry_seconds: float = 1.0) -> None:
        super().__init__(text)
        self.retry_seconds = retry_seconds


class TooManyCalls(ComeBack):
    """The caller asks faster than allowed."""


class Overloaded(ComeBack):
    """The keystore has as much to do as it can bear."""


class Stopping(ComeBack):
    """The process that was called ends; another one, or the next, goes on."""


class TokenRejected(KeystoreError):
    """The enrolment token is unknown, used or expired."""


class IdentityRejected(KeystoreError):
    """The TLS certificate is not that of an active identity with the right role."""
