"""The use cases of the pages for people, and their making."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cloud_keystore.audit.packs.packing import Packing
from cloud_keystore.audit.reading import Reading
from cloud_keystore.cards.custom.custom_profiles import CustomProfiles
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.own.holdings import Holdings
from cloud_keystore.cards.own.renewals import Renewals
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.cards.reports import Reports
from cloud_keystore.cards.requests import Requests
from cloud_keystore.cards.showing import Showing
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.mail.notifications import Notifications
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.operations.admitting import Admitting
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.operations.seating import Seating
from cloud_keystore.operations.seats import Seats
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.contacts.accounts import Accounts
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.domains import Domains
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.people.giving_feedback import GivingFeedback
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.importing import Importing
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.people import People
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.policies.explaining import Explaining
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.beginnings import Beginnings
from cloud_keystore.people.portal.bells import Bells
from cloud_keystore.people.portal.factors import LogInFactors
from cloud_keystore.people.portal.own_passwords import OwnPasswords
from cloud_keystore.people.portal.passkeys import PortalPasskeys
from cloud_keystore.people.portal.resets import PasscodeResets
from cloud_keystore.people.portal.short_codes import ShortCodes
from cloud_keystore.people.portal.visits import PortalVisits
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.people.rights.card_log_ins import CardLogIns
from cloud_keystore.people.rights.custom_roles import CustomRoles
from cloud_keystore.people.rights.log_in_passkeys import LogInPasskeys
from cloud_keystore.people.rights.oidc_log_ins import OidcLogIns
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.people.roles import Roles
from cloud_keystore.people.sharing.shared_devices import SharedDevices
from cloud_keystore.people.surveys import Surveys
from cloud_keystore.people.workstations.problems import Problems
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.run.offering.use_cases import MainUseCases


@dataclass(frozen=True, slots=True)
class WebUseCases:
    """Those of the pages for people, whose browsers can be devices, and for operators and holders
    who visit.
    """

    callers: Callers
    announcing: Announcing
    enrolment: Enrolment
    addresses: Addresses
    short_codes: ShortCodes
    bells: Bells
    deciding: Deciding
    seated: Deciding
    seats: Seats
    seating: Seating
    shared_devices: SharedDevices
    admitting: Admitting
    alerts: Alerts
    cards: Life
    passcodes: Passcodes
    unlock_codes: UnlockCodes
    app_pins: AppPins
    unlocking: Unlocking
    sessions: Sessions
    visits: Visits
    log_in_passkeys: LogInPasskeys
    card_log_ins: CardLogIns
    oidc_log_ins: OidcLogIns
    assents: Assents
    log_in_factors: LogInFactors
    portal_passkeys: PortalPasskeys
    portal_visits: PortalVisits
    beginnings: Beginnings
    own_passwords: OwnPasswords
    holdings: Holdings
    passcode_resets: PasscodeResets
    own_renewals: Renewals
    phones: Phones
    people: People
    reports: Reports
    showing: Showing
    leaving: Leaving
    issuing: Issuing
    prolonging: Prolonging
    replacing: Replacing
    custom_profiles: CustomProfiles
    accounts: Accounts
    devices: Devices
    notifications: Notifications
    importing: Importing
    reading: Reading
    packing: Packing
    organisations: Organisations
    explaining: Explaining
    domains: Domains
    roles: Roles
    custom_roles: CustomRoles
    identities: Identities
    renewing: Renewing
    surveys: Surveys
    problems: Problems
    requests: Requests
    feedback: GivingFeedback

    def identify(self, fingerprint: bytes, role: Role | None) -> Identity:
        """The caller of a certificate, or of a visit: operators, and holders at the portal, are
        known here by their visits alone. Raises IdentityRejected.
        """
        if role is Role.OPERATOR:
            return self.visits.find(fingerprint)
        if role is Role.HOLDER:
            return self.portal_visits.find(fingerprint)
        return self.callers.identify(fingerprint, role)

    def prove(self, fingerprint: bytes) -> None:
        """Raise ProofNeeded if an operator's visit has begun too long ago for what is of high
        risk.
        """
        self.visits.prove(fingerprint)


def web_use_cases(main: MainUseCases, enrolment: Enrolment) -> WebUseCases:
    """Those of the main port that pages have too, and enrolment."""
    shared = [each.name for each in fields(WebUseCases) if each.name != "enrolment"]
    return WebUseCases(**{each: getattr(main, each) for each in shared}, enrolment=enrolment)
