"""What operators who visit the pages can ask of custody."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import Access
from cloud_keystore.model.people import Role

OPERATOR = Role.OPERATOR
VISITED: Mapping[str, Access] = MappingProxyType(
    {
        "visits.places": OPERATOR,
        "visits.rights": OPERATOR,
        "visits.held": OPERATOR,
        "log_in_passkeys.ask_new": OPERATOR,
        "log_in_passkeys.add": OPERATOR,
        "log_in_passkeys.list_own": OPERATOR,
        "log_in_passkeys.remove_own": OPERATOR,
        "people.list_users": OPERATOR,
        "people.add_user": OPERATOR,
        "people.invite_device": OPERATOR,
        "reports.states": OPERATOR,
        "showing.show": OPERATOR,
        "leaving.foresee": OPERATOR,
        "leaving.close": OPERATOR,
        "issuing.issue": OPERATOR,
        "issuing.resume": OPERATOR,
        "prolonging.foresee": OPERATOR,
        "prolonging.renew": OPERATOR,
        "replacing.replace": OPERATOR,
        "custom_profiles.offered": OPERATOR,
        "cards.find": OPERATOR,
        "cards.suspend": OPERATOR,
        "cards.resume": OPERATOR,
        "cards.revoke": OPERATOR,
        "unlock_codes.make": OPERATOR,
        "accounts.add": OPERATOR,
        "accounts.remove": OPERATOR,
        "devices.remove": OPERATOR,
        "reports.expiring": OPERATOR,
        "notifications.list_all": OPERATOR,
        "notifications.retry": OPERATOR,
        "importing.import_users": OPERATOR,
        "reading.sentences": OPERATOR,
        "organisations.add": OPERATOR,
        "organisations.change": OPERATOR,
        "organisations.list_all": OPERATOR,
        "organisations.set_policy": OPERATOR,
        "organisations.list_policies": OPERATOR,
        "explaining.of_organisation": OPERATOR,
        "domains.add": OPERATOR,
        "domains.remove": OPERATOR,
        "domains.list_all": OPERATOR,
        "roles.known": OPERATOR,
        "roles.list_all": OPERATOR,
        "roles.grant": OPERATOR,
        "roles.withdraw": OPERATOR,
        "custom_roles.define": OPERATOR,
        "custom_roles.change": OPERATOR,
        "custom_roles.delete": OPERATOR,
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
        "requests.approve": OPERATOR,
        "requests.refuse": OPERATOR,
    }
)
