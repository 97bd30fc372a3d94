"""The part of the site for holders."""

from __future__ import annotations

from cloud_keystore.model.people import Role
from cloud_keystore.model.rights.visits import OWN_PREFIX
from cloud_keystore.web.visiting import Area

AT = "/me"
LOG_IN, CODE, AGAIN = f"{AT}/log-in", f"{AT}/code", f"{AT}/code/again"
FORGOTTEN, ANSWERS, RESET = f"{AT}/forgotten", f"{AT}/forgotten/code", f"{AT}/forgotten/set"
HELP = f"{AT}/help"
AREA = Area(
    at=AT,
    cookie="__Host-cloudcard-me",
    prefix=OWN_PREFIX,
    role=Role.HOLDER,
    rate="device",
    open=frozenset({LOG_IN, CODE, AGAIN, FORGOTTEN, ANSWERS, RESET, HELP}),
)
STEP = "__Host-cloudcard-step"  # the cookie of whoever has given the password, and not yet the code
