"""The part of the site for holders."""

from __future__ import annotations

from cloud_keystore.model.people import Role
from cloud_keystore.model.rights.visits import OWN_PREFIX
from cloud_keystore.web.visiting import Area

AT = "/me"
LOG_IN, CODE, AGAIN = f"{AT}/log-in", f"{AT}/code", f"{AT}/code/again"
CODE_ASKED = f"{AT}/code/asked"  # where a script learns what to ask a passkey
FORGOTTEN, ANSWERS, RESET = f"{AT}/forgotten", f"{AT}/forgotten/code", f"{AT}/forgotten/set"
RESET_AGAIN, RESET_ASKED = f"{AT}/forgotten/again", f"{AT}/forgotten/asked"
HELP = f"{AT}/help"
BEGIN, TASKS = f"{AT}/begin", f"{AT}/begin/tasks"
EMAIL, EMAIL_SEND = f"{AT}/begin/email", f"{AT}/begin/email/send"
FIRST_PASSWORD = f"{AT}/begin/password"
PHONE, LETTERS = f"{AT}/begin/phone", f"{AT}/begin/phone/letters"
PASSCODE, LEAVE = f"{AT}/begin/passcode", f"{AT}/begin/leave"
BEGINNING = frozenset(
    {BEGIN, TASKS, EMAIL, EMAIL_SEND, FIRST_PASSWORD, PHONE, LETTERS, PASSCODE, LEAVE}
)
ENTERING = frozenset({LOG_IN, CODE, CODE_ASKED, AGAIN, HELP})
RESETTING = frozenset({FORGOTTEN, ANSWERS, RESET, RESET_AGAIN, RESET_ASKED})
AREA = Area(
    at=AT,
    cookie="__Host-cloudcard-me",
    prefix=OWN_PREFIX,
    role=Role.HOLDER,
    rate="device",
    open=ENTERING | RESETTING | BEGINNING,
)
BEGUN = "__Host-cloudcard-begin"  # the cookie of whoever begins by an invitation
STEP = "__Host-cloudcard-step"  # the cookie of whoever has given the password, and not yet the code
