"""The use cases of the REST API, and their making."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cloud_keystore.cards.custom.custom_profiles import CustomProfiles
from cloud_keystore.cards.directories.groups import Groups
from cloud_keystore.cards.directories.provisioning import Provisioning
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.cards.reports import Reports
from cloud_keystore.cards.showing import Showing
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.operations.validating import Validating
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.people import People
from cloud_keystore.people.policies.explaining import Explaining
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.programs.repeats import Repeats
from cloud_keystore.people.programs.webhooks import Webhooks
from cloud_keystore.people.sharing.shared_devices import SharedDevices
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.run.offering.use_cases import MainUseCases


@dataclass(frozen=True, slots=True)
class RestUseCases:
    """Those of the REST API, for API clients."""

    callers: Callers
    announcing: Announcing
    people: People
    showing: Showing
    leaving: Leaving
    reports: Reports
    devices: Devices
    shared_devices: SharedDevices
    identities: Identities
    issuing: Issuing
    cards: Life
    prolonging: Prolonging
    replacing: Replacing
    unlocking: Unlocking
    organisations: Organisations
    explaining: Explaining
    custom_profiles: CustomProfiles
    provisioning: Provisioning
    groups: Groups
    addresses: Addresses
    portal_passwords: Passwords
    validating: Validating
    webhooks: Webhooks
    repeats: Repeats


def rest_use_cases(main: MainUseCases) -> RestUseCases:
    """Those of the main port that the REST API has too."""
    return RestUseCases(**{each.name: getattr(main, each.name) for each in fields(RestUseCases)})
