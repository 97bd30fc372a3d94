"""What operators who visit the pages can ask of custody."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import Access, Proven
from cloud_keystore.model.people import Role

OPERATOR = Role.OPERATOR
PROVEN = Proven(OPERATOR)  # what is of high risk; web/ra/proving.py has the pages
VISITED: Mapping[str, Access] = MappingProxyType(
    {
        "visits.places": OPERATOR,
        "visits.rights": OPERATOR,
        "visits.held": OPERATOR,
        "log_in_passkeys.ask_new": PROVEN,
        "log_in_passkeys.add": PROVEN,
        "log_in_passkeys.list_own": OPERATOR,
        "log_in_passkeys.remove_own": PROVEN,
        "people.list_users": OPERATOR,
        "people.add_user": OPERATOR,
        "people.invite_device": PROVEN,
        "reports.states": OPERATOR,
        "showing.show": OPERATOR,
        "leaving.foresee": OPERATOR,
        "leaving.close": PROVEN,
        "issuing.issue": OPERATOR,
        "issuing.resume": OPERATOR,
        "prolonging.foresee": OPERATOR,
        "prolonging.renew": OPERATOR,
        "replacing.replace": OPERATOR,
        "custom_profiles.offered": OPERATOR,
        "cards.find": OPERATOR,
        "cards.suspend": OPERATOR,
        "cards.resume": PROVEN,
        "cards.revoke": PROVEN,
        "unlock_codes.make": PROVEN,
        "app_pins.make_code": PROVEN,
        "accounts.add": OPERATOR,
        "accounts.remove": OPERATOR,
        "devices.remove": OPERATOR,
        "reports.expiring": OPERATOR,
        "notifications.list_all": OPERATOR,
        "notifications.retry": OPERATOR,
        "importing.import_users": OPERATOR,
        "reading.find": OPERATOR,
        "reading.sentences": OPERATOR,
        "packing.collect": OPERATOR,
        "packing.portion": OPERATOR,
        "organisations.add": OPERATOR,
        "organisations.change": PROVEN,
        "organisations.list_all": OPERATOR,
        "organisations.set_policy": PROVEN,
        "organisations.list_policies": OPERATOR,
        "explaining.of_organisation": OPERATOR,
        "domains.add": OPERATOR,
        "domains.remove": OPERATOR,
        "domains.list_all": OPERATOR,
        "roles.known": OPERATOR,
        "roles.list_all": OPERATOR,
        "roles.grant": PROVEN,
        "roles.withdraw": PROVEN,
        "custom_roles.define": PROVEN,
        "custom_roles.change": PROVEN,
        "custom_roles.delete": PROVEN,
        "custom_profiles.list_all": OPERATOR,
        "identities.list_of": OPERATOR,
        "identities.contacts": OPERATOR,
        "problems.counted": OPERATOR,
        "problems.of": OPERATOR,
        "alerts.list_all": OPERATOR,
        "alerts.acknowledge": OPERATOR,
        "cards.count": OPERATOR,
        "reports.pending": OPERATOR,
        "feedback.add": OPERATOR,
        "feedback.list_all": OPERATOR,
        "feedback.scores": OPERATOR,
        "requests.list_all": OPERATOR,
        "requests.approve": PROVEN,
        "requests.refuse": OPERATOR,
    }
)
