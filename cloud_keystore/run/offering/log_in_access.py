"""What whoever logs in as an operator can ask of custody, and what the process that asks an OpenID
provider can.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import NOBODY, Access

LOG_INS: Mapping[str, Access] = MappingProxyType(
    {
        "log_in_passkeys.ask": NOBODY,
        "log_in_passkeys.begin": NOBODY,  # a passkey says who logs in
        "card_log_ins.begin": NOBODY,  # a code says who has shown a card
        "oidc_log_ins.ask": NOBODY,
        "oidc_log_ins.bring": NOBODY,
        "oidc_log_ins.begin": NOBODY,  # an ID token says who logs in
    }
)
OIDC: Mapping[str, Access] = MappingProxyType(
    {
        "oidc_log_ins.learn": NOBODY,
        "oidc_log_ins.take": NOBODY,
        "oidc_log_ins.tell": NOBODY,
    }
)
