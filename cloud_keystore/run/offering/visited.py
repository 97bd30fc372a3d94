"""What operators who visit the pages of administration can ask of custody."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import Access
from cloud_keystore.model.people import Role

OPERATOR = Role.OPERATOR
VISITED: Mapping[str, Access] = MappingProxyType(
    {
        "visits.places": OPERATOR,
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
        "alerts.list_all": OPERATOR,
        "alerts.acknowledge": OPERATOR,
        "cards.count": OPERATOR,
        "reports.pending": OPERATOR,
        "feedback.list_all": OPERATOR,
        "feedback.scores": OPERATOR,
        "requests.list_all": OPERATOR,
        "requests.approve": OPERATOR,
        "requests.refuse": OPERATOR,
    }
)
