"""What the process of the pages can ask of custody for the portal: a part of its table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import NOBODY, Access
from cloud_keystore.model.people import Role

HOLDER = Role.HOLDER

PORTAL: Mapping[str, Access] = MappingProxyType(
    {
        "portal_visits.look": NOBODY,
        "portal_visits.ask": NOBODY,  # a password says who logs in, and then a code
        "portal_visits.needed": NOBODY,
        "portal_visits.ask_passkey": NOBODY,
        "portal_visits.again": NOBODY,
        "portal_visits.begin": NOBODY,
        "portal_visits.find": NOBODY,
        "portal_visits.end": NOBODY,
        "portal_visits.end_others": HOLDER,
        "beginnings.begin": NOBODY,  # a token says who begins, and then a secret
        "beginnings.look": NOBODY,
        "beginnings.send_code": NOBODY,
        "beginnings.take_code": NOBODY,
        "beginnings.set_password": NOBODY,
        "beginnings.invite": NOBODY,
        "beginnings.end": NOBODY,
        "own_passwords.forget": NOBODY,
        "own_passwords.wanted": NOBODY,  # a code says whose
        "own_passwords.ask_passkey": NOBODY,
        "own_passwords.reset": NOBODY,
        "own_passwords.change": HOLDER,
        "own_passwords.choose_questions": HOLDER,
        "own_passwords.look": HOLDER,
        "log_in_factors.look": HOLDER,
        "log_in_factors.contact": HOLDER,
        "log_in_factors.ask": HOLDER,
        "log_in_factors.waiting": HOLDER,
        "log_in_factors.change": HOLDER,
        "portal_passkeys.list_own": HOLDER,
        "portal_passkeys.send_code": HOLDER,
        "portal_passkeys.ask_new": HOLDER,
        "portal_passkeys.add": HOLDER,
        "portal_passkeys.remove_own": HOLDER,
        "holdings.show": HOLDER,
        "holdings.events": HOLDER,
        "holdings.end_session": HOLDER,
        "holdings.end_sign_in": HOLDER,
        "holdings.end_seat": HOLDER,
        "passcode_resets.look": HOLDER,
        "passcode_resets.ask": HOLDER,
        "passcode_resets.choose": HOLDER,
        "own_renewals.look": HOLDER,
        "own_renewals.ask": HOLDER,
        "own_renewals.renew": HOLDER,
        "devices.remove_own": HOLDER,
        "addresses.send_own": HOLDER,
        "addresses.confirm_own": HOLDER,
        "phones.send_own": HOLDER,
        "phones.confirm_own": HOLDER,
    }
)
