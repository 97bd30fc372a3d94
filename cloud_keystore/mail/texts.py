"""What e-mails say: one text for each template, of which letters are made in both forms.

Words in braces are facts. A line is a paragraph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud_keystore.model.outbox.notifications import Template

NOT_YOURS = "If you did not expect this, tell your registration authority at once."


@dataclass(frozen=True, slots=True)
class Text:
    """What one kind of e-mail says. `action` is what its only link is called."""

    subject: str
    lines: tuple[str, ...]
    action: str


_OPEN = (
    "Open the page below on the phone that will be yours to approve with. If your authenticator "
    "asks for a token, it is:"
)
_ONCE = "The token is good once, until {until}. Give it to nobody: whoever has it can enrol."

# What goes to a phone or into a chat: one line each, without links.
MESSAGES: Mapping[Template, str] = MappingProxyType(
    {
        Template.PHONE_CODE: (
            "{code} is your code to verify this number for your card, until {until}. Type it into "
            "your authenticator, or tell it to the operator whom you have called."
        ),
        Template.VISIT_SMS: (
            "{code} is your code to log in to the page about your card, until {until}. Nobody asks "
            "you for it."
        ),
        Template.RESET_SMS: (
            "{code} is your code to set another password for the page about your card, until "
            "{until}. Nobody asks you for it."
        ),
        Template.ALERT: ('An alert "{kind}" was raised at {time}: see cloudcard ra alerts list.'),
    }
)
TEXTS: Mapping[Template, Text] = MappingProxyType(
    {
        Template.INVITED: Text(
            "Enrol your phone",
            (
                "You are invited to use a smartcard whose keys are kept in a keystore. You approve "
                "each use of it on your phone, which has to be enrolled first.",
                _OPEN,
                "{token}",
                _ONCE,
            ),
            "Enrol your phone",
        ),
        Template.REMINDER: Text(
            "Reminder: enrol your phone",
            (
                "You were invited to enrol your phone, and have not done so yet.",
                _OPEN,
                "{token}",
                _ONCE,
            ),
            "Enrol your phone",
        ),
        Template.DEVICE_ADDED: Text(
            "Your phone is enrolled",
            (
                'The phone "{device}" was enrolled for you at {time}, and can approve in your '
                "name.",
                NOT_YOURS,
            ),
            "What to do next",
        ),
        Template.DEVICE_REMOVED: Text(
            "Your phone was removed",
            (
                'The phone "{device}" was removed by your registration authority at {time}, and '
                "can no longer approve in your name. The reason given: {reason}.",
                NOT_YOURS,
            ),
            "How to enrol another phone",
        ),
        Template.DEVICE_REMOVED_OWN: Text(
            "Your phone was removed",
            (
                'The phone "{device}" was removed from {by} at {time}, and can no longer approve '
                "in your name.",
                "If it was not you, somebody else acts in your name: tell your registration "
                "authority at once.",
            ),
            "What to do if it was not you",
        ),
        Template.CARD_ISSUED: Text(
            "Your card is ready: choose a passcode",
            (
                "The {profile} card {card} was issued to you. Choose its passcode on your enrolled "
                "phone; until then it cannot be used. Nobody else ever learns the passcode.",
                NOT_YOURS,
            ),
            "How to choose a passcode",
        ),
        Template.CARD_ACTIVE: Text(
            "Your card is set up",
            (
                "The first passcode of the {profile} card {card} was chosen on your phone at "
                "{time}. The card is in use now.",
                NOT_YOURS,
            ),
            "How to use your card",
        ),
        Template.CARD_ENDS: Text(
            "Your card ends soon",
            (
                "The {profile} card {card} ends in {days} days, at {until}. After that it signs "
                "and signs in no longer.",
                "Ask your registration authority to renew it; the card keeps its passcode.",
            ),
            "How to renew your card",
        ),
        Template.CARD_RENEWED: Text(
            "Your card was renewed",
            (
                "The {profile} card {card} has new keys and certificates, and is good until "
                "{until}. Its passcode is the one before, and it still reads what was encrypted "
                "for it. Where you are signed in, the passcode is asked for again.",
                NOT_YOURS,
            ),
            "How to use your card",
        ),
        Template.LOCKED: Text(
            "Your card is locked: get a new passcode",
            (
                "A wrong {passcode} of the {profile} card {card} was given too often, last at "
                "{time}, and the card takes none any more.",
                "If it was you, and you know the PIN, ask your registration authority to unlock "
                "the card. If you have forgotten the PIN, choose a new one with the PUK.",
                "If it was not you, somebody has tried to guess your passcode: tell your "
                "registration authority at once.",
            ),
            "How to unlock your card",
        ),
        Template.UNLOCK_ASKED: Text(
            "Agree to unlock your card",
            (
                "Your registration authority wants to unlock the {profile} card {card}, as of "
                "{time}. Agree on your phone; if you do not, a second operator can.",
                "If you have not asked for this, do not agree, and tell your registration "
                "authority at once.",
            ),
            "How to agree",
        ),
        Template.UNLOCKED: Text(
            "Your card is unlocked",
            (
                "The {profile} card {card} was unlocked at {time}. Its passcode is the same as "
                "before.",
                NOT_YOURS,
            ),
            "How to use your card",
        ),
        Template.UNLOCK_CODE: Text(
            "An unlock code was made for your card",
            (
                "Your registration authority has made an unlock code for the {profile} card "
                "{card} at {time}, and tells you the code itself. With it you choose a new PIN on "
                "your phone, until {until}.",
                "Nobody needs to know the PIN that you choose, and nobody may ask you for the "
                "code.",
                NOT_YOURS,
            ),
            "How to use the code",
        ),
        Template.APP_PIN_CODE: Text(
            "A code was made for the PIN of your phone",
            (
                "Your registration authority has made a code for the PIN of your phone "
                '"{device}" at {time}, and tells you the code itself. With it you choose another '
                "PIN on that phone, until {until}.",
                "Nobody needs to know the PIN that you choose, and nobody may ask you for the "
                "code.",
                NOT_YOURS,
            ),
            "How to use the code",
        ),
        Template.CODE_USED_UP: Text(
            "Wrong unlock codes were given for your card",
            (
                "An unlock code for the {profile} card {card} has ended at {time}, because it was "
                "given wrong too often on a phone of yours. The PIN is the same as before.",
                "If it was you, ask your registration authority for another code. If it was not "
                "you, somebody else has that phone: tell your registration authority at once.",
            ),
            "What to do if it was not you",
        ),
        Template.ADDRESS_CODE: Text(
            "Your code to verify this address",
            (
                "You have asked on your phone to verify this e-mail address. Type this code into "
                "your authenticator:",
                "{code}",
                "It is good once, until {until}. Give it to nobody.",
                NOT_YOURS,
            ),
            "How to verify your address",
        ),
        Template.PASSWORD_CODE: Text(
            "Your code to set another password",
            (
                "Somebody has asked to set another password for your name at the portal. If it "
                "was you, type this code where you have asked for it:",
                "{code}",
                "It is good once, until {until}. Give it to nobody: nobody at your registration "
                "authority asks for it.",
                "If it was not you, do nothing: your password stays as it is.",
            ),
            "How to set another password",
        ),
        Template.DEVICE_CODE: Text(
            "Your code to enrol another phone",
            (
                "You have asked on your phone to enrol another one. Type this code into the "
                "authenticator that you have:",
                "{code}",
                "It is good once, until {until}. Give it to nobody: nobody at your registration "
                "authority asks for it.",
                "If it was not you, somebody else has your phone: tell your registration authority "
                "at once.",
            ),
            "How to enrol another phone",
        ),
        Template.VISIT_CODE: Text(
            "Your code to log in",
            (
                "Somebody has given your name and your password, to log in to the page on which "
                "you look after your card. If it was you, type this code there:",
                "{code}",
                "It is good once, until {until}. Give it to nobody: nobody at your registration "
                "authority asks for it.",
                "If it was not you, somebody knows your password: set another one at once, and "
                "tell your registration authority.",
            ),
            "How to set another password",
        ),
        Template.FACTOR_CODE: Text(
            "Your code to change how you log in",
            (
                "You have asked for another way to log in to the page on which you look after your "
                "card. Type this code there:",
                "{code}",
                "It is good once, until {until}. Give it to nobody: nobody at your registration "
                "authority asks for it.",
                "If it was not you, somebody has logged in with your password: set another one at "
                "once, and tell your registration authority.",
            ),
            "How to set another password",
        ),
        Template.PASSWORD_CHANGED: Text(
            "Your password was changed",
            ("The password for your name at the portal was changed at {time}.", NOT_YOURS),
            "What to do if it was not you",
        ),
        Template.PASSKEY_COPIED: Text(
            "A passkey of yours was removed",
            (
                "At {time} a passkey logged in with your name and password whose counter had gone "
                "back, so there may be a copy of it. It is removed, and you are logged out "
                "everywhere at the portal.",
                "Set another password, then log in and add another passkey. If it was not you, "
                "tell your registration authority at once.",
            ),
            "How to set another password",
        ),
        Template.PORTAL_LOCKED: Text(
            "Your password was given wrong too often",
            (
                "A wrong password was given for your name at the portal several times, last at "
                "{time}. The portal takes none for a while, which is longer each time.",
                "If it was you, and you have forgotten it, set another password: on your phone, "
                "or with a code by e-mail.",
                "If it was not you, somebody has tried to guess it: tell your registration "
                "authority.",
            ),
            "How to set another password",
        ),
        Template.PASSCODE_CHANGED: Text(
            "A passcode of your card was changed",
            ("The {passcode} of the {profile} card {card} was changed at {time}.", NOT_YOURS),
            "What to do if it was not you",
        ),
        Template.SUSPENDED: Text(
            "Your card is suspended",
            (
                "The {profile} card {card} was suspended at {time} by {who}, and cannot be used "
                "until it is put back in use.",
                NOT_YOURS,
            ),
            "What to do next",
        ),
        Template.RESUMED: Text(
            "Your card is back in use",
            ("The {profile} card {card} was put back in use at {time}.", NOT_YOURS),
            "How to use your card",
        ),
        Template.REVOKED: Text(
            "Your card is revoked",
            (
                "The {profile} card {card} was revoked by your registration authority at {time}. "
                "It can never be used again, and its keys are destroyed. The reason given: "
                "{reason}.",
                NOT_YOURS,
            ),
            "How to get another card",
        ),
        Template.NAME_CHANGED: Text(
            "Your name was changed",
            (
                "Your registration authority changed your name from {old} to {new} at {time}. "
                "Certificates keep the name under which they were issued.",
                NOT_YOURS,
            ),
            "What to do if this is wrong",
        ),
        Template.EMAIL_CHANGED: Text(
            "Your e-mail address was changed",
            (
                "Your registration authority changed your e-mail address at {time}. What concerns "
                "your cards is sent to the new address from now on.",
                NOT_YOURS,
            ),
            "What to do if this is wrong",
        ),
        Template.EMAIL_ASKED: Text(
            "Another e-mail address was given for you",
            (
                "Your registration authority has been given another e-mail address for you at "
                "{time}. Whoever reads what it gets has to say so first; until then, what concerns "
                "your cards is sent here.",
                NOT_YOURS,
            ),
            "What to do if this is wrong",
        ),
        Template.EMAIL_LINK: Text(
            "Verify your e-mail address",
            (
                "Your registration authority has been given this e-mail address for you. Open the "
                "page below and say that it is yours: what concerns your cards is sent here from "
                "then on.",
                "The link is good once, until {until}. On your phone you can verify the address "
                "too.",
                "If you have no card here, do nothing: nothing more will be sent to you.",
            ),
            "Verify this address",
        ),
        Template.LEFT: Text(
            "Your cards and phones are taken out of use",
            (
                "Your registration authority has noted at {time} that you have left. Your cards "
                "are revoked, their keys are destroyed, and your phones can no longer approve.",
                NOT_YOURS,
            ),
            "What to do if this is wrong",
        ),
        Template.FEEDBACK: Text(
            "Feedback about the card service",
            ("An operator has given feedback at {time}:", "{text}"),
            "The page for holders",
        ),
        Template.TEST: Text(
            "Test",
            ("An operator has asked at {time} for this e-mail, to see whether it arrives.",),
            "The page for holders",
        ),
    }
)
