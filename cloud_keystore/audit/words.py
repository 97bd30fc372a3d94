"""Entries of the journal in words, for people who look after users."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.model.actors import NAMELESS, Actor, ActorKind
from cloud_keystore.model.journal import Entry, Kind

WORD: Mapping[ActorKind, str] = MappingProxyType(
    {
        ActorKind.DEVICE: "phone",
        ActorKind.HOLDER: "",
        ActorKind.SHARED_DEVICE: "shared device",
        ActorKind.SEAT: "shared device",
    }
)

ROLES: Mapping[object, str] = MappingProxyType(
    {"device": "phone", "shared_device": "shared device"}
)
CHANGED: Mapping[str, str] = MappingProxyType(
    {
        "name": "the name",
        "email": "the e-mail address",
        "next_email": "the e-mail address that waits to be verified",
        "phone": "the phone number",
        "organisation": "the organisation",
        "profile": "the card profile",
    }
)
SENTENCES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.OPERATION_ASKED: "{who} asked to use key {key} of card {card}",
        Kind.OPERATION_CLAIMED: "{who} scanned the code of a request at {place}",
        Kind.OPERATION_APPROVED: "{who} approved a request at {place}",
        Kind.OPERATION_DENIED: "{who} denied a request at {place}",
        Kind.OPERATION_REPORTED: "{who} said that a request at {place} was not the holder's",
        Kind.OPERATION_EXPIRED: "a request at {place} expired",
        Kind.OPERATION_CANCELLED: "{who} withdrew a request at {place}{because}",
        Kind.OPERATION_USED: "{who} used key {key} of card {card}",
        Kind.OPERATION_FAILED: "the use of key {key} of card {card} failed",
        Kind.OPERATION_UNSETTLED: "nobody knows whether {place} got what key {key} made",
        Kind.SESSION_OPENED: "{who} opened a session of key {key} of card {card}",
        Kind.SESSION_USED: "{who} used key {key} of card {card} in a session",
        Kind.SESSION_ENDED: "a session at {place} ended{because}",
        Kind.SIGN_IN_ASKED: "{who} asked for a card to sign in",
        Kind.SIGN_IN_CLAIMED: "{who} scanned the code to sign in at {place}",
        Kind.SIGN_IN_APPROVED: "{who} approved to sign in at {place} with card {card}",
        Kind.SIGN_IN_DENIED: "{who} denied to sign in at {place}",
        Kind.SIGN_IN_REPORTED: "{who} said that signing in at {place} was not the holder's wish",
        Kind.SIGN_IN_ENDED: "the sign-in at {place} ended{because}",
        Kind.SEAT_CLAIMED: "{who} scanned the code of a shared device",
        Kind.SEAT_OPENED: "{who} approved to sign in to a shared device",
        Kind.SEAT_DENIED: "{who} denied to sign in to a shared device",
        Kind.SEAT_REPORTED: "{who} said that nobody was to sign in to a shared device",
        Kind.SEAT_ENDED: "somebody was signed out of a shared device{because}",
        Kind.PASSCODE_RIGHT: "the passcode of card {card} was right at {place}",
        Kind.PASSCODE_WRONG: "the passcode of card {card} was wrong at {place}",
        Kind.PASSCODE_BLOCKED: "the passcode of card {card} was locked at {place}",
        Kind.PASSCODE_SET: "{who} set a passcode of card {card}",
        Kind.PASSCODE_UNBLOCKED: "{who} unlocked card {card}",
        Kind.UNLOCK_ASKED: "{who} asked to unlock card {card}",
        Kind.UNLOCK_CODE_MADE: "{who} made an unlock code for card {card}",
        Kind.UNLOCK_CODE_WRONG: "{who} gave a wrong unlock code for card {card}",
        Kind.UNLOCK_CODE_REFUSED: "{who} was refused an unlock code for card {card}",
        Kind.CARD_ORDERED: "{who} began to issue card {card}",
        Kind.CARD_FAILED: "issuing card {card} failed{because}",
        Kind.CARD_ISSUED: "{who} issued card {card}",
        Kind.CARD_CANCELLED: "{who} cancelled the issuing of card {card}{because}",
        Kind.CARD_ACTIVATED: "{who} set the first passcode of card {card}, which is in use now",
        Kind.CERTIFICATE_RECEIVED: "{who} brought the certificate of key {key} of card {card}",
        Kind.CARD_COMPLETED: "card {card} has all its certificates",
        Kind.CARD_SUSPENDED: "{who} suspended card {card}{because}",
        Kind.CARD_RESUMED: "{who} put card {card} back in use",
        Kind.CARD_REPLACED: "{who} replaced card {card}{because}",
        Kind.RENEWAL_BEGUN: "{who} began to renew card {card}",
        Kind.CARD_RENEWED: "{who} renewed card {card}",
        Kind.CARD_MOVED: "{who} moved card {card} to another organisation",
        Kind.CARD_REVOKED: "{who} revoked card {card}{because}",
        Kind.CARD_WRITTEN: "{who} wrote an object on card {card}",
        Kind.CARD_READ: "{who} read an object of card {card} that requires the PIN",
        Kind.CARD_RESET: "{who} reset card {card}",
        Kind.ADMINISTRATOR_RIGHT: "the management key of card {card} was right at {place}",
        Kind.ADMINISTRATOR_WRONG: "the management key of card {card} was wrong at {place}",
        Kind.ADMINISTRATOR_REFUSED: "a management key of card {card} was not looked at",
        Kind.MANAGEMENT_KEY_SET: "{who} set the management key of card {card}",
        Kind.KEY_MADE: "{who} made key {key} of card {card}",
        Kind.KEY_IMPORTED: "{who} imported key {key} of card {card}",
        Kind.KEY_MOVED: "{who} moved key {key} of card {card}",
        Kind.KEY_DESTROYED: "key {key} of card {card} was destroyed",
        Kind.KEY_ATTESTED: "{who} had key {key} of card {card} attested",
        Kind.SECURE_MESSAGING_AGREED: "{who} protected its commands to card {card}",
        Kind.USER_ADDED: "{who} added the person",
        Kind.USER_CHANGED: "{who} changed the person{changes}",
        Kind.USER_CLOSED: "{who} closed the person{because}",
        Kind.DIRECTORY_ENTRY_ADDED: "{who} keeps the person as a directory does",
        Kind.DIRECTORY_ENTRY_REMOVED: "{who} keeps the person no more",
        Kind.GROUP_ADDED: "{who} keeps a group",
        Kind.GROUP_CHANGED: "{who} changed a group",
        Kind.GROUP_REMOVED: "{who} keeps a group no more",
        Kind.GROUP_MAPPED: "{who} mapped a group to a role",
        Kind.GROUP_UNMAPPED: "{who} took the role from a group",
        Kind.OPERATOR_IDENTIFIED: "{who} said which person {thing} is",
        Kind.OPERATOR_FORGOTTEN: "{who} took back which person {thing} is",
        Kind.DIRECTORY_DECIDED: "{who} decided what holds of what a directory says",
        Kind.WINDOWS_ACCOUNT_ADDED: "{who} gave the Windows account {account}",
        Kind.WINDOWS_ACCOUNT_ACTIVATED: "the Windows account {account} came into use",
        Kind.WINDOWS_ACCOUNT_CHANGED: "{who} changed the Windows account {account} to {state}",
        Kind.WINDOWS_ACCOUNT_REMOVED: "{who} took away the Windows account {account}",
        Kind.USERS_NUMBERED: "people got their 12-digit UUIDs",
        Kind.IDENTITY_INVITED: "{who} invited a {role}",
        Kind.SHORT_CODE_MADE: "{who} made a short code to enrol a phone",
        Kind.SHORT_CODE_WRONG: "a short code to enrol a phone was given wrong",
        Kind.ENROLMENT_BEGUN: "{who} began to enrol at the pages, by an invitation",
        Kind.IDENTITY_ENROLLED: "{who} was enrolled",
        Kind.APP_PIN_SET: "{who} asks for a PIN before it approves",
        Kind.APP_PIN_CHANGED: "{who} got another PIN",
        Kind.APP_PIN_WRONG: "a wrong PIN was given on {who}",
        Kind.APP_PIN_CODE_MADE: "{who} made a code for another PIN of {thing}",
        Kind.APP_PIN_CODE_WRONG: "a wrong code for another PIN was given on {who}",
        Kind.APP_PIN_RESET: "{who} got another PIN, by a code",
        Kind.IDENTITY_RENEWED: "{who} renewed its certificate",
        Kind.IDENTITY_REKEYED: "{who} uses its renewed certificate",
        Kind.IDENTITY_REMOVED: "{who} removed {thing}{because}",
        Kind.BELL_HUNG: "{who} is rung while its page is closed",
        Kind.BELL_GONE: "a phone is no longer rung while its page is closed",
        Kind.CLIENT_ADDED: "{who} added the API client {thing}",
        Kind.IDENTITY_CHANGED: "{who} moved {thing} to another organisation",
        Kind.ORGANISATION_ADDED: "{who} added an organisation",
        Kind.ORGANISATION_CHANGED: "{who} changed an organisation",
        Kind.ACCOUNT_DIRECTORY_CHANGED: "{who} changed where Windows accounts are looked up",
        Kind.EMAIL_DOMAIN_ADDED: "{who} allowed a domain of e-mail addresses",
        Kind.EMAIL_DOMAIN_REMOVED: "{who} took a domain of e-mail addresses from those allowed",
        Kind.ROLE_DEFINED: "{who} defined a role",
        Kind.ROLE_CHANGED: "{who} changed a role",
        Kind.ROLE_DELETED: "{who} deleted a role",
        Kind.MEMBERSHIP_ADDED: "{who} let the person join an organisation",
        Kind.MEMBERSHIP_ENDED: "{who} let the person leave an organisation",
        Kind.VISIT_ASKED: "{who} asked for a code to log in to the pages",
        Kind.VISIT_BEGUN: "{who} logged in to the pages",
        Kind.VISIT_ENDED: "{who} logged out of the pages",
        Kind.LOG_IN_PASSKEY_ADDED: "{who} added a passkey to log in to the pages",
        Kind.LOG_IN_PASSKEY_REMOVED: "{who} removed a passkey to log in to the pages",
        Kind.LOG_IN_PASSKEY_COPIED: "a passkey of {who} was removed: there may be a copy of it",
        Kind.PROFILE_DEFINED: "{who} defined a card profile",
        Kind.PROFILE_CHANGED: "{who} changed a card profile",
        Kind.PROFILE_DELETED: "{who} deleted a card profile",
        Kind.AUTHORITY_TRUSTED: "{who} trusted an external authority of cards",
        Kind.AUTHORITY_DISTRUSTED: "{who} took an external authority from those trusted",
        Kind.EST_SERVER_CHANGED: "{who} changed where an external authority is asked",
        Kind.EXTERNAL_LIST_CHANGED: "{who} changed how revocations of an external authority come",
        Kind.TICKET_VALID: "the session broker says that the log-in was the holder's",
        Kind.TICKET_REFUSED: "the session broker does not vouch for the log-in",
        Kind.NAME_KEPT: "{who} kept the name that was given by hand",
        Kind.EXTERNAL_LIST_TAKEN: "{who} brought a revocation list of an external authority",
        Kind.ISSUER_CHOSEN: "{who} chose who certifies new cards",
        Kind.ROLE_GRANTED: "{who} granted a role",
        Kind.ROLE_WITHDRAWN: "{who} withdrew a role",
        Kind.RIGHT_REFUSED: "{who} was refused: no role allows it",
        Kind.FOUR_EYES_SET: "{who} set which operations need another operator",
        Kind.REQUEST_MADE: "{who} asked for what another operator has to approve",
        Kind.REQUEST_APPROVED: "{who} approved what another operator had asked for",
        Kind.REQUEST_REFUSED: "{who} refused what an operator had asked for",
        Kind.POLICY_SET: "{who} set a policy",
        Kind.POLICY_INHERITED: "an organisation inherited a policy",
        Kind.ALERT_RAISED: "an alert was raised: {alert}",
        Kind.ALERT_ACKNOWLEDGED: "{who} acknowledged an alert: {alert}",
        Kind.NOTIFICATIONS_RETRIED: "{who} let e-mail be tried again that had failed",
        Kind.NOTIFICATION_TESTED: "{who} sent an e-mail as a test",
        Kind.PHONE_CODE_SENT: "{who} had a code sent to the phone number",
        Kind.PHONE_CODE_WRONG: "{who} gave a wrong code for the phone number",
        Kind.PHONE_VERIFIED: "{who} verified the phone number",
        Kind.ADDRESS_LINK_SENT: "{who} had a link sent to verify an e-mail address",
        Kind.ADDRESS_LINK_WRONG: "a wrong link was followed to verify an e-mail address",
        Kind.ADDRESS_CODE_SENT: "{who} had a code sent to the e-mail address",
        Kind.ADDRESS_CODE_WRONG: "{who} gave a wrong code for the e-mail address",
        Kind.ADDRESS_VERIFIED: "{who} verified the e-mail address",
        Kind.DEVICE_CODE_SENT: "{who} had a code sent to enrol another phone",
        Kind.DEVICE_CODE_WRONG: "{who} gave a wrong code to enrol another phone",
        Kind.PORTAL_SET: "{who} set the portal password",
        Kind.PORTAL_RESET: "the portal password was set with a code by e-mail",
        Kind.PORTAL_RIGHT: "the portal password was right",
        Kind.PORTAL_WRONG: "a portal password was wrong",
        Kind.RESET_CODE_SENT: "a code was asked for to set another portal password",
        Kind.RESET_CODE_WRONG: "a wrong code was given to set another portal password",
        Kind.LOG_IN_CODE_SENT: "the portal password was right, and a code was sent to log in",
        Kind.LOG_IN_CODE_WRONG: "a wrong code was given to log in to the portal",
        Kind.FACTOR_CODE_SENT: "{who} had a code sent to change how the log-in goes",
        Kind.FACTOR_CODE_WRONG: "{who} gave a wrong code to change how the log-in goes",
        Kind.FACTOR_SET: "{who} changed how the log-in goes{changes}",
        Kind.PORTAL_PASSKEY_ADDED: "{who} added a passkey to log in to the portal",
        Kind.PORTAL_PASSKEY_REMOVED: "{who} removed a passkey to log in to the portal",
        Kind.PORTAL_PASSKEY_COPIED: (
            "a passkey to log in to the portal was removed: there may be a copy of it"
        ),
        Kind.ASSENT_ASKED: "the phone was asked to agree to what is done at the portal",
        Kind.ASSENT_AGREED: "{who} agreed to what is done at the portal",
        Kind.ASSENT_DENIED: "{who} did not agree to what is done at the portal",
        Kind.QUESTIONS_SET: "{who} chose security questions",
        Kind.ANSWERS_WRONG: "security questions were answered wrong",
        Kind.WEBHOOK_ADDED: "{who} had itself told of what happens, at an address",
        Kind.WEBHOOK_REMOVED: "{who} ended what a program is told at an address",
        Kind.WEBHOOK_ROTATED: "{who} replaced the secret of a webhook",
        Kind.WEBHOOK_TESTED: "{who} tried a webhook",
        Kind.WEBHOOK_RETRIED: "{who} let what a program was not told be sent again",
        Kind.WEBHOOK_DISABLED: "a webhook was disabled, as nothing was taken there",
        Kind.FEEDBACK_GIVEN: "{who} gave feedback",
        Kind.SURVEY_ANSWERED: "{who} answered whether card {card} is recommended",
        Kind.SURVEYS_REMOVED: "feedback and answers were removed that are kept no longer",
        Kind.JOURNAL_READ: "{who} read the journal",
        Kind.SEALING_KEY_ADDED: "{who} added a sealing key",
        Kind.SEALING_KEY_RETIRED: "{who} retired a sealing key",
        Kind.AUTHORITY_MADE: "the keystore made a new authority",
        Kind.KEYSTORE_STARTED: "the keystore was started",
        Kind.KEYSTORE_RESTORED: "the keystore was restored from a backup",
        Kind.OBJECTS_SEALED: "objects of cards were sealed",
        Kind.RECORDS_AUTHENTICATED: "the records of the database got their codes",
    }
)


def sentence(entry: Entry, names: Mapping[str, str]) -> str:
    """What happened, with today's names; begins in upper case, and has no full stop."""
    said = entry.details
    place = _named(ActorKind.WORKSTATION, entry.workstation_id, names)
    device = _named(ActorKind.DEVICE, entry.device_id, names)
    why = said.get("reason") or said.get("why")
    text = SENTENCES[entry.kind].format(
        who=_actor(entry.actor, names),
        place=place or "a workstation",
        thing=device or place or str(said.get("name", "somebody")),
        card=names.get(entry.card_id or "", ""),
        key=names.get(entry.key_id or "", ""),
        role=ROLES.get(said.get("role", ""), said.get("role", "")),
        alert=said.get("alert", ""),
        account=said.get("account", ""),
        state=said.get("state", ""),
        because=f": {why}" if why else "",
        changes=_changes(said),
    )
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _actor(actor: Actor, names: Mapping[str, str]) -> str:
    if actor.kind is ActorKind.HOLDER:
        return names.get(actor.id, "the holder")
    return f"the {actor.kind}" if actor.kind in NAMELESS else _named(actor.kind, actor.id, names)


def _named(kind: ActorKind, identifier: str | None, names: Mapping[str, str]) -> str:
    """An identity by its kind and name; empty if there is none."""
    if identifier is None:
        return ""
    return " ".join(filter(None, (WORD.get(kind, kind.value), names.get(identifier, ""))))


def _changes(said: Mapping[str, object]) -> str:
    """What was changed of a user, old and new."""
    changed = (
        f"{word} from {said[f'old_{name}'] or 'none'} to {said[name] or 'none'}"
        for name, word in CHANGED.items()
        if f"old_{name}" in said and name in said
    )
    return "".join(f": {each}" for each in [", ".join(changed)] if each)
