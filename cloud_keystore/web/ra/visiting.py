"""The part of the site for operators."""

from __future__ import annotations

from cloud_keystore.model.people import Role
from cloud_keystore.model.rights.visits import SECRET_PREFIX
from cloud_keystore.web.visiting import Area

AT = "/ra"
LOG_IN = f"{AT}/log-in"
IMPORT = f"{AT}/import"
PASSKEY = f"{LOG_IN}/passkey"
PASSKEY_ASKED = f"{PASSKEY}/asked"
CARD = f"{LOG_IN}/card"
CARD_CODE = f"{CARD}/code"
OIDC = f"{LOG_IN}/openid"
OIDC_ANSWER = f"{OIDC}/answer"
OIDC_WAIT = f"{OIDC}/wait"
AREA = Area(
    at=AT,
    cookie="__Host-cloudcard-visit",
    prefix=SECRET_PREFIX,
    role=Role.OPERATOR,
    rate="operator",
    open=frozenset({LOG_IN, PASSKEY, PASSKEY_ASKED, CARD, CARD_CODE, OIDC, OIDC_ANSWER, OIDC_WAIT}),
    counted=frozenset({OIDC_ANSWER}),
    uploads=frozenset({IMPORT}),
)
