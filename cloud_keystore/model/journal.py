"""Entries of the journal. Each is evidence, kept as one line of JSON that never changes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import TypeAlias

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import InvalidInput

Detail: TypeAlias = str | int | bool

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ID_LENGTH = 36  # of a UUID as text
# Made once: json.dumps would make one for each entry.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
SUBJECTS = ("card_id", "user_id", "workstation_id", "device_id", "operation_id", "key_id")


@unique
class Kind(StrEnum):
    """What happened. A name that was once written keeps its meaning for ever."""

    OPERATION_ASKED = "operation.asked"
    OPERATION_CLAIMED = "operation.claimed"
    OPERATION_APPROVED = "operation.approved"
    OPERATION_DENIED = "operation.denied"
    OPERATION_REPORTED = "operation.reported"  # "this was not me"
    OPERATION_EXPIRED = "operation.expired"
    OPERATION_CANCELLED = "operation.cancelled"
    OPERATION_USED = "operation.used"  # the approval is spent; the key is used after this
    OPERATION_FAILED = "operation.failed"  # the key was asked, and nobody has a result
    OPERATION_UNSETTLED = "operation.unsettled"  # nobody knows whether the caller has a result
    SESSION_OPENED = "session.opened"
    SESSION_USED = "session.used"
    SESSION_ENDED = "session.ended"
    SIGN_IN_ASKED = "sign-in.asked"
    SIGN_IN_CLAIMED = "sign-in.claimed"
    SIGN_IN_APPROVED = "sign-in.approved"
    SIGN_IN_DENIED = "sign-in.denied"
    SIGN_IN_REPORTED = "sign-in.reported"  # "this was not me"
    SIGN_IN_ENDED = "sign-in.ended"
    SEAT_CLAIMED = "seat.claimed"  # a phone has scanned the code of a shared device
    SEAT_OPENED = "seat.opened"  # its holder is signed in there
    SEAT_DENIED = "seat.denied"
    SEAT_REPORTED = "seat.reported"  # "this was not me"
    SEAT_ENDED = "seat.ended"
    PASSCODE_RIGHT = "passcode.right"
    PASSCODE_WRONG = "passcode.wrong"
    PASSCODE_BLOCKED = "passcode.blocked"
    PASSCODE_SET = "passcode.set"
    PASSCODE_UNBLOCKED = "passcode.unblocked"
    UNLOCK_ASKED = "unlock.asked"  # somebody else has to agree
    UNLOCK_CODE_MADE = "unlock-code.made"  # with which the holder's phone sets another PIN
    UNLOCK_CODE_WRONG = "unlock-code.wrong"
    UNLOCK_CODE_REFUSED = "unlock-code.refused"  # on a phone on which it does not count
    CARD_ORDERED = "card.ordered"  # its serial number is reserved, and making it begins
    CARD_FAILED = "card.failed"  # making it has stopped
    CARD_ISSUED = "card.issued"
    CARD_CANCELLED = "card.cancelled"  # it will not be issued
    CARD_ACTIVATED = "card.activated"
    CERTIFICATE_RECEIVED = "certificate.received"  # for a key, from an external authority
    CARD_COMPLETED = "card.completed"  # all its keys have certificates
    CARD_SUSPENDED = "card.suspended"
    CARD_RESUMED = "card.resumed"
    CARD_REPLACED = "card.replaced"  # there is another in its place
    RENEWAL_BEGUN = "renewal.begun"  # of a card; an external authority is asked
    CARD_RENEWED = "card.renewed"  # it has new keys, of which other entries tell
    CARD_MOVED = "card.moved"  # to another organisation
    CARD_REVOKED = "card.revoked"
    CARD_WRITTEN = "card.written"  # the card's administrator has stored an object
    CARD_READ = "card.read"  # an object that requires the PIN was given out
    CARD_RESET = "card.reset"
    ADMINISTRATOR_RIGHT = "administrator.right"
    ADMINISTRATOR_WRONG = "administrator.wrong"
    ADMINISTRATOR_REFUSED = "administrator.refused"  # the answer was not looked at
    MANAGEMENT_KEY_SET = "management-key.set"
    KEY_MADE = "key.made"
    KEY_IMPORTED = "key.imported"
    KEY_MOVED = "key.moved"
    KEY_DESTROYED = "key.destroyed"
    KEY_ATTESTED = "key.attested"
    SECURE_MESSAGING_AGREED = "secure-messaging.agreed"
    USER_ADDED = "user.added"
    USER_CHANGED = "user.changed"  # name, address, phone, or what cards are for
    USER_CLOSED = "user.closed"  # has left
    DIRECTORY_ENTRY_ADDED = "directory-entry.added"  # a directory says something of somebody
    DIRECTORY_ENTRY_REMOVED = "directory-entry.removed"
    GROUP_ADDED = "group.added"  # a directory keeps it
    GROUP_CHANGED = "group.changed"  # its names, or who is in it
    GROUP_REMOVED = "group.removed"
    GROUP_MAPPED = "group.mapped"  # to a role, which its members get if they are operators
    GROUP_UNMAPPED = "group.unmapped"
    OPERATOR_IDENTIFIED = "operator.identified"  # which person an operator is
    OPERATOR_FORGOTTEN = "operator.forgotten"  # that is said no more
    DIRECTORY_DECIDED = "directory.decided"  # whether what it says holds, or what was set by hand
    WINDOWS_ACCOUNT_ADDED = "windows-account.added"
    WINDOWS_ACCOUNT_ACTIVATED = "windows-account.activated"  # its holder has finished enrolling
    WINDOWS_ACCOUNT_CHANGED = "windows-account.changed"  # disabled, or back in use
    WINDOWS_ACCOUNT_REMOVED = "windows-account.removed"
    USERS_NUMBERED = "users.numbered"  # those from before people had a 12-digit UUID
    IDENTITY_INVITED = "identity.invited"
    SHORT_CODE_MADE = "short-code.made"  # which stands for an enrolment token
    SHORT_CODE_WRONG = "short-code.wrong"
    ENROLMENT_BEGUN = "enrolment.begun"  # at the pages, by a token, which is not spent
    IDENTITY_ENROLLED = "identity.enrolled"
    IDENTITY_RENEWED = "identity.renewed"  # it has a next certificate, which is not in use yet
    IDENTITY_REKEYED = "identity.rekeyed"  # its next certificate was used for the first time
    IDENTITY_REMOVED = "identity.removed"
    APP_PIN_SET = "app-pin.set"  # which a phone asks for before it approves
    APP_PIN_CHANGED = "app-pin.changed"
    APP_PIN_WRONG = "app-pin.wrong"
    APP_PIN_CODE_MADE = "app-pin-code.made"  # by which a holder chooses another one
    APP_PIN_CODE_WRONG = "app-pin-code.wrong"
    APP_PIN_RESET = "app-pin.reset"
    BELL_HUNG = "bell.hung"  # a device is rung while its page is closed
    BELL_GONE = "bell.gone"
    CLIENT_ADDED = "client.added"  # a program that calls the REST API
    WEBHOOK_ADDED = "webhook.added"  # an address at which an API client is told of things
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_ROTATED = "webhook.rotated"  # it has another secret
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_RETRIED = "webhook.retried"  # what has failed is sent again, and it is in use again
    WEBHOOK_DISABLED = "webhook.disabled"  # nothing was taken there
    IDENTITY_CHANGED = "identity.changed"  # the organisation to which it belongs
    ORGANISATION_ADDED = "organisation.added"
    ORGANISATION_CHANGED = "organisation.changed"  # name, place, or whom people ask for help
    ACCOUNT_DIRECTORY_CHANGED = "account-directory.changed"  # where Windows accounts are looked up
    EMAIL_DOMAIN_ADDED = "email-domain.added"  # addresses can have it
    EMAIL_DOMAIN_REMOVED = "email-domain.removed"
    ROLE_DEFINED = "role.defined"  # besides the built-in ones
    ROLE_CHANGED = "role.changed"
    ROLE_DELETED = "role.deleted"
    MEMBERSHIP_ADDED = "membership.added"  # a person belongs to one more organisation
    MEMBERSHIP_ENDED = "membership.ended"
    VISIT_ASKED = "visit.asked"  # a code to log in to the pages
    VISIT_BEGUN = "visit.begun"
    VISIT_ENDED = "visit.ended"
    LOG_IN_PASSKEY_ADDED = "log_in_passkey.added"  # by which an operator logs in to the pages
    LOG_IN_PASSKEY_REMOVED = "log_in_passkey.removed"
    LOG_IN_PASSKEY_COPIED = "log_in_passkey.copied"  # its counter went back, so it was removed
    PROFILE_DEFINED = "profile.defined"  # of cards, besides the built-in ones
    PROFILE_CHANGED = "profile.changed"
    PROFILE_DELETED = "profile.deleted"
    AUTHORITY_TRUSTED = "authority.trusted"  # an external one may certify cards
    AUTHORITY_DISTRUSTED = "authority.distrusted"
    EST_SERVER_CHANGED = "est-server.changed"  # where an external authority is asked
    EXTERNAL_LIST_CHANGED = "external-list.changed"  # where it is fetched, and what if it is stale
    TICKET_VALID = "ticket.valid"  # the session broker says that it is the holder's
    TICKET_REFUSED = "ticket.refused"  # it does not, or says nothing that counts
    NAME_KEPT = "name.kept"  # one that was given by hand, although another one is registered
    EXTERNAL_LIST_TAKEN = "external-list.taken"  # another one of an external authority
    ISSUER_CHOSEN = "issuer.chosen"  # which authority certifies new cards
    ROLE_GRANTED = "role.granted"
    ROLE_WITHDRAWN = "role.withdrawn"
    RIGHT_REFUSED = "right.refused"  # somebody asked for what no role allows them there
    FOUR_EYES_SET = "four-eyes.set"  # which operations another operator has to approve
    REQUEST_MADE = "request.made"  # an operation waits for another operator
    REQUEST_APPROVED = "request.approved"  # and done
    REQUEST_REFUSED = "request.refused"
    POLICY_SET = "policy.set"
    POLICY_INHERITED = "policy.inherited"  # because of one above, or of the place in the tree
    ALERT_RAISED = "alert.raised"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    NOTIFICATIONS_RETRIED = "notifications.retried"
    NOTIFICATION_TESTED = "notification.tested"
    PHONE_CODE_SENT = "phone-code.sent"
    PHONE_CODE_WRONG = "phone-code.wrong"
    PHONE_VERIFIED = "phone.verified"
    ADDRESS_LINK_SENT = "address-link.sent"
    ADDRESS_LINK_WRONG = "address-link.wrong"
    ADDRESS_CODE_SENT = "address-code.sent"
    ADDRESS_CODE_WRONG = "address-code.wrong"
    ADDRESS_VERIFIED = "address.verified"
    DEVICE_CODE_SENT = "device-code.sent"
    DEVICE_CODE_WRONG = "device-code.wrong"
    PORTAL_SET = "portal-password.set"
    PORTAL_RESET = "portal-password.reset"  # with a code by e-mail
    PORTAL_RIGHT = "portal-password.right"
    PORTAL_WRONG = "portal-password.wrong"  # or for a name that nobody has
    RESET_CODE_SENT = "reset-code.sent"  # or asked for in vain
    RESET_CODE_WRONG = "reset-code.wrong"
    LOG_IN_CODE_SENT = "log-in-code.sent"  # to a holder whose password was right
    LOG_IN_CODE_WRONG = "log-in-code.wrong"
    FACTOR_CODE_SENT = "factor-code.sent"
    FACTOR_CODE_WRONG = "factor-code.wrong"
    FACTOR_SET = "log-in-factor.set"  # what a log-in needs besides the password
    PORTAL_PASSKEY_ADDED = "portal-passkey.added"  # by which a holder logs in to the portal
    PORTAL_PASSKEY_REMOVED = "portal-passkey.removed"
    PORTAL_PASSKEY_COPIED = "portal-passkey.copied"  # its counter went back, so it was removed
    ASSENT_ASKED = "assent.asked"  # a phone, about what its holder does at the portal
    ASSENT_AGREED = "assent.agreed"
    ASSENT_DENIED = "assent.denied"  # or the number was wrong
    QUESTIONS_SET = "security-questions.set"
    ANSWERS_WRONG = "security-answers.wrong"
    FEEDBACK_GIVEN = "feedback.given"
    SURVEY_ANSWERED = "survey.answered"  # by a holder
    SURVEYS_REMOVED = "surveys.removed"  # feedback and answers that are kept no longer
    JOURNAL_READ = "journal.read"
    SEALING_KEY_ADDED = "sealing-key.added"
    SEALING_KEY_RETIRED = "sealing-key.retired"
    AUTHORITY_MADE = "authority.made"  # the successor of one that ends
    KEYSTORE_STARTED = "keystore.started"
    KEYSTORE_RESTORED = "keystore.restored"
    OBJECTS_SEALED = "objects.sealed"  # those from before objects were sealed
    RECORDS_AUTHENTICATED = "records.authenticated"  # those from before there were codes


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `details` are for people; `evidence` (payloads, signatures,
    certificates) proves it. Neither ever holds a document, a passcode or a private key.
    """

    kind: Kind
    time: datetime
    actor: Actor
    card_id: str | None = None
    user_id: str | None = None
    workstation_id: str | None = None
    device_id: str | None = None
    operation_id: str | None = None
    key_id: str | None = None
    trace_id: str = ""
    details: Mapping[str, Detail] = field(default_factory=lambda: MappingProxyType({}))
    evidence: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)


def identifiers(entry: Entry) -> list[str]:
    """The identifiers in an entry: of its actor and subjects, and those among its details."""
    subjects = [getattr(entry, name) for name in SUBJECTS]
    details = [
        value
        for value in entry.details.values()
        if isinstance(value, str) and len(value) == ID_LENGTH
    ]
    return list(dict.fromkeys(each for each in (entry.actor.id, *subjects, *details) if each))


def encode(entry: Entry) -> bytes:
    """Encode an entry as one line of JSON, with sorted keys and without empty fields."""
    fields: dict[str, object] = {
        "kind": entry.kind.value,
        "time": (entry.time - EPOCH) // MICROSECOND,
        "actor": str(entry.actor),
        "trace_id": entry.trace_id,
        "details": dict(entry.details),
        "evidence": {
            name: base64.b64encode(value).decode() for name, value in entry.evidence.items()
        },
    }
    fields |= {name: getattr(entry, name) for name in SUBJECTS}
    kept = {name: value for name, value in fields.items() if value not in (None, "", {})}
    return _ENCODER.encode(kept).encode()


def decode(line: bytes) -> Entry:
    """Decode a line; raises InvalidInput if it is not an entry."""
    try:
        kept = json.loads(line)
        subjects = {name: _text(kept.get(name)) for name in SUBJECTS}
        return Entry(
            kind=Kind(kept["kind"]),
            time=EPOCH + kept["time"] * MICROSECOND,
            actor=Actor.parse(kept["actor"]),
            trace_id=_text(kept.get("trace_id")) or "",
            details={name: _detail(value) for name, value in kept.get("details", {}).items()},
            evidence={
                name: base64.b64decode(value, validate=True)
                for name, value in kept.get("evidence", {}).items()
            },
            **subjects,
        )
    except (
        *(ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError),
        binascii.Error,
    ):
        raise InvalidInput("this is no entry of a journal") from None


def _text(value: object) -> str | None:
    """A text, or None; raises TypeError for anything else."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError


def _detail(value: object) -> Detail:
    """A word, number or flag; raises TypeError for anything else."""
    if isinstance(value, str | int):
        return value
    raise TypeError
