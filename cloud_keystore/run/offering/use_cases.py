"""The use cases of each port, and their making."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from cloud_keystore.audit.packs.packing import Packing
from cloud_keystore.audit.reading import Reading
from cloud_keystore.cards.administration import Administration
from cloud_keystore.cards.custom.custom_profiles import CustomProfiles
from cloud_keystore.cards.directories.groups import Groups
from cloud_keystore.cards.directories.provisioning import Provisioning
from cloud_keystore.cards.external.certifying import Certifying
from cloud_keystore.cards.external.est_servers import EstServers
from cloud_keystore.cards.external.external_lists import ExternalLists
from cloud_keystore.cards.external.trusting import Trusting
from cloud_keystore.cards.images import Images
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.leaving import Leaving
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.cards.reports import Reports
from cloud_keystore.cards.requests import Requests
from cloud_keystore.cards.showing import Showing
from cloud_keystore.cards.spares import Spares
from cloud_keystore.cards.spine.tickets import Tickets
from cloud_keystore.cards.succession import come_into_use
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.credentials.management_keys import ManagementKeys
from cloud_keystore.custody.credentials.passcodes import Passcodes, new_hasher
from cloud_keystore.custody.credentials.secure_messaging import SecureMessaging
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.custody.use.activation import Activation
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.mail.notifications import Notifications
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.admitting import Admitting
from cloud_keystore.operations.asking import Asking
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.operations.seating import Seating
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.operations.signing_in import SigningIn
from cloud_keystore.operations.validating import Validating
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.callers import Callers
from cloud_keystore.people.clients import Clients
from cloud_keystore.people.contacts.account_directories import AccountDirectories
from cloud_keystore.people.contacts.accounts import Accounts
from cloud_keystore.people.contacts.memberships import Memberships
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.domains import Domains
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.people.finding import Finding
from cloud_keystore.people.giving_feedback import GivingFeedback
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.importing import Importing
from cloud_keystore.people.migrating import Migrating
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.people import People
from cloud_keystore.people.phones import Phones
from cloud_keystore.people.policies.explaining import Explaining
from cloud_keystore.people.portal.bells import Bells
from cloud_keystore.people.programs.differences import Differences
from cloud_keystore.people.programs.mappings import Mappings
from cloud_keystore.people.programs.operators import Operators
from cloud_keystore.people.programs.repeats import Repeats
from cloud_keystore.people.programs.webhooks import Webhooks
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.people.rights.card_log_ins import CardLogIns
from cloud_keystore.people.rights.custom_roles import CustomRoles
from cloud_keystore.people.rights.four_eyes import FourEyes
from cloud_keystore.people.rights.log_in_passkeys import LogInPasskeys
from cloud_keystore.people.rights.oidc_log_ins import OidcLogIns
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.people.roles import Roles
from cloud_keystore.people.sharing.shared_devices import SharedDevices
from cloud_keystore.people.surveys import Surveys
from cloud_keystore.people.workstations.problems import Problems
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.pki.revocation.responding import Responding
from cloud_keystore.run.looks import Looks
from cloud_keystore.run.offering import hosts
from cloud_keystore.run.offering.portal import PortalUseCases, portal_use_cases
from cloud_keystore.run.opening import Parts


@dataclass(frozen=True, slots=True)
class MainUseCases(PortalUseCases):
    """Those of the main port, for enrolled clients."""

    callers: Callers
    announcing: Announcing
    publishing: Publishing
    looks: Looks
    images: Images
    data_objects: DataObjects
    passcodes: Passcodes
    asking: Asking
    signing_in: SigningIn
    activation: Activation
    using_sessions: UsingSessions
    secure_messaging: SecureMessaging
    management_keys: ManagementKeys
    administration: Administration
    cards: Life
    prolonging: Prolonging
    replacing: Replacing
    unlocking: Unlocking
    unlock_codes: UnlockCodes
    app_pins: AppPins
    alerts: Alerts
    deciding: Deciding
    admitting: Admitting
    sessions: Sessions
    people: People
    showing: Showing
    leaving: Leaving
    reports: Reports
    issuing: Issuing
    organisations: Organisations
    explaining: Explaining
    migrating: Migrating
    trusting: Trusting
    est_servers: EstServers
    external_lists: ExternalLists
    certifying: Certifying
    tickets: Tickets
    domains: Domains
    accounts: Accounts
    account_directories: AccountDirectories
    importing: Importing
    roles: Roles
    custom_roles: CustomRoles
    custom_profiles: CustomProfiles
    memberships: Memberships
    four_eyes: FourEyes
    requests: Requests
    devices: Devices
    identities: Identities
    shared_devices: SharedDevices
    seating: Seating
    seated: Deciding
    problems: Problems
    clients: Clients
    provisioning: Provisioning
    groups: Groups
    mappings: Mappings
    operators: Operators
    differences: Differences
    validating: Validating
    webhooks: Webhooks
    repeats: Repeats
    renewing: Renewing
    notifications: Notifications
    finding: Finding
    feedback: GivingFeedback
    surveys: Surveys
    phones: Phones
    bells: Bells
    reading: Reading
    packing: Packing
    visits: Visits
    log_in_passkeys: LogInPasskeys
    card_log_ins: CardLogIns
    oidc_log_ins: OidcLogIns


@dataclass(frozen=True, slots=True)
class EnrolmentUseCases:
    """Those of the enrolment port, for callers that have a token and no certificate yet."""

    enrolment: Enrolment
    announcing: Announcing


@dataclass(frozen=True, slots=True)
class EstUseCases:
    """Those of the port of EST, for workstations that have a token or a certificate."""

    callers: Callers
    announcing: Announcing
    enrolment: Enrolment
    renewing: Renewing


@dataclass(frozen=True, slots=True)
class StatusUseCases:
    """Those of the port for whoever checks cards, who says nothing of itself."""

    publishing: Publishing
    responding: Responding


def main_use_cases(
    parts: Parts, sessions: UsingSessions, publishing: Publishing, looks: Looks, wake: Wake
) -> MainUseCases:
    """Make the use cases of the main port from an open keystore."""
    database, seal, clock = parts.database, parts.seal, parts.clock
    passcodes = _passcodes(parts)
    management_keys = ManagementKeys(database=database, seal=seal, clock=clock, random=os.urandom)
    data_objects = _data_objects(parts)
    finding = Finding(database, clock)
    reading = Reading(database, clock, parts.log, finding.find)
    renewal = Renewal(
        clock, os.urandom, parts.authorities, data_objects, published=parts.settings.published
    )
    spares = new_spares(parts, sessions.process)
    issuing = new_issuing(parts, sessions.process, wake)
    cards = Life(database=database, clock=clock, wake=wake)
    replacing = Replacing(database, clock, os.urandom, issuing, wake)
    leaving = Leaving(database=database, clock=clock, wake=wake)
    roles = Roles(database=database, clock=clock, random=os.urandom)
    custom_roles = CustomRoles(database=database, clock=clock, random=os.urandom)
    mappings = Mappings(database=database, clock=clock, random=os.urandom)
    identified = Operators(database, clock, os.urandom, issuer=hosts.issuer(parts.settings))
    organisations = Organisations(database=database, clock=clock, random=os.urandom)
    four_eyes = FourEyes(database=database, clock=clock)
    ending = Sessions(database=database, clock=clock)
    visits = Visits(database, clock, os.urandom, hosts.log_in_page(parts.settings))
    admitting = Admitting(database, seal, clock, wake, os.urandom, parts.authorities)
    prolonging = Prolonging(database, clock, spares, renewal, wake)
    deciding = Deciding(database, seal, clock, wake, os.urandom, parts.authorities)
    identities = Identities(database=database, clock=clock, wake=wake)
    own = portal_use_cases(parts, passcodes, ending, admitting, prolonging, wake)
    return MainUseCases(
        **{each.name: getattr(own, each.name) for each in fields(own)},
        callers=Callers(database, clock),
        announcing=_announcing(parts),
        publishing=publishing,
        looks=looks,
        images=Images(database, management_keys),
        data_objects=data_objects,
        passcodes=passcodes,
        asking=Asking(database=database, seal=seal, clock=clock, random=os.urandom, wake=wake),
        signing_in=SigningIn(database, seal, clock, os.urandom, wake),
        activation=Activation(database, seal, clock, parts.custody, sessions.process),
        using_sessions=sessions,
        secure_messaging=SecureMessaging(database=database, clock=clock, custody=parts.custody),
        management_keys=management_keys,
        administration=Administration(
            database=database,
            seal=seal,
            clock=clock,
            random=os.urandom,
            spares=spares,
            renewal=renewal,
            management_keys=management_keys,
            passcodes=passcodes,
            wake=wake,
        ),
        cards=cards,
        prolonging=prolonging,
        replacing=replacing,
        unlocking=Unlocking(database=database, clock=clock, random=os.urandom, wake=wake),
        unlock_codes=UnlockCodes(passcodes, wake),
        app_pins=AppPins(passcodes),
        alerts=Alerts(database=database, clock=clock),
        deciding=deciding,
        admitting=admitting,
        sessions=ending,
        people=parts.people,
        showing=Showing(database=database, clock=clock),
        leaving=leaving,
        reports=Reports(database=database, clock=clock),
        issuing=issuing,
        organisations=organisations,
        explaining=Explaining(database=database, clock=clock),
        migrating=Migrating(database=database, clock=clock, random=os.urandom),
        trusting=Trusting(database=database, clock=clock, random=os.urandom),
        est_servers=EstServers(database, clock, os.urandom, seal, hosts.places(parts.settings)),
        external_lists=ExternalLists(database, clock, hosts.places(parts.settings)),
        certifying=Certifying(database, clock, parts.authorities, data_objects, renewal, wake),
        tickets=Tickets(database, clock, os.urandom, seal, parts.settings.spine is not None),
        domains=Domains(database=database, clock=clock, random=os.urandom),
        accounts=Accounts(database=database, clock=clock, random=os.urandom),
        account_directories=AccountDirectories(database=database, clock=clock, random=os.urandom),
        importing=Importing(parts.people),
        roles=roles,
        custom_roles=custom_roles,
        custom_profiles=CustomProfiles(database=database, clock=clock, random=os.urandom),
        memberships=Memberships(database=database, clock=clock, random=os.urandom),
        four_eyes=four_eyes,
        requests=Requests(
            database=database,
            clock=clock,
            cards=cards,
            replacing=replacing,
            leaving=leaving,
            roles=roles,
            custom_roles=custom_roles,
            organisations=organisations,
            four_eyes=four_eyes,
            mappings=mappings,
            operators=identified,
        ),
        devices=Devices(database=database, clock=clock, wake=wake, random=os.urandom),
        identities=identities,
        shared_devices=SharedDevices(parts.people, identities),
        seating=Seating(database, seal, clock, os.urandom, wake, parts.authorities),
        seated=deciding,
        problems=Problems(database=database, clock=clock),
        clients=Clients(database=database, clock=clock, random=os.urandom),
        provisioning=Provisioning(
            database, clock, os.urandom, parts.people, parts.settings.limits.leavers, wake
        ),
        groups=Groups(database=database, clock=clock, random=os.urandom),
        mappings=mappings,
        operators=identified,
        differences=Differences(database=database, clock=clock),
        validating=Validating(database, clock, seal, parts.people.enrolment_sha256),
        webhooks=Webhooks(database, clock, os.urandom, seal, parts.settings.webhooks.inside),
        repeats=Repeats(database=database, clock=clock, random=os.urandom),
        renewing=Renewing(database=database, clock=clock, authorities=parts.authorities),
        notifications=Notifications(
            database=database, clock=clock, sends=parts.settings.mail is not None
        ),
        finding=finding,
        feedback=GivingFeedback(database=database, clock=clock, random=os.urandom),
        surveys=Surveys(database=database, clock=clock, random=os.urandom),
        phones=Phones(database, clock, os.urandom, seal),
        bells=Bells(database, clock, seal, parts.settings.push),
        reading=reading,
        packing=Packing(reading),
        visits=visits,
        log_in_passkeys=LogInPasskeys(visits, seal, hosts.log_in_party(parts.settings)),
        card_log_ins=CardLogIns(visits, seal, parts.authorities),
        oidc_log_ins=OidcLogIns(visits, seal, *hosts.oidc_log_in(parts.settings)),
    )


def est_use_cases(main: MainUseCases, enrolment: EnrolmentUseCases) -> EstUseCases:
    """Those of the ports of gRPC that the port of EST has too."""
    return EstUseCases(main.callers, main.announcing, enrolment.enrolment, main.renewing)


def new_issuing(parts: Parts, process: int, wake: Wake) -> Issuing:
    """What makes cards in a process of this number."""
    return Issuing(
        database=parts.database,
        seal=parts.seal,
        clock=parts.clock,
        random=os.urandom,
        spares=new_spares(parts, process),
        authorities=parts.authorities,
        passcodes=_passcodes(parts),
        data_objects=_data_objects(parts),
        wake=wake,
        published=parts.settings.published,
    )


def _passcodes(parts: Parts) -> Passcodes:
    return Passcodes(
        database=parts.database,
        seal=parts.seal,
        clock=parts.clock,
        random=os.urandom,
        hasher=new_hasher(),
        activated=come_into_use,
    )


def _data_objects(parts: Parts) -> DataObjects:
    return DataObjects(parts.database, parts.seal, parts.clock, os.urandom)


def new_spares(parts: Parts, process: int) -> Spares:
    """The new keys of an open keystore, for a process of this number."""
    size = parts.settings.spare_keys
    return Spares(parts.database, parts.custody, parts.clock, os.urandom, size, process)


def enrolment_use_cases(parts: Parts) -> EnrolmentUseCases:
    """Make the use cases of the enrolment port from an open keystore."""
    settings = parts.settings
    enrolment = Enrolment(
        parts.database,
        parts.clock,
        parts.authorities,
        settings.relying_party,
        os.urandom,
        settings.attestation_roots,
    )
    return EnrolmentUseCases(enrolment, _announcing(parts))


def status_use_cases(parts: Parts, publishing: Publishing) -> StatusUseCases:
    """Make the use cases of the port for whoever checks cards from an open keystore."""
    return StatusUseCases(publishing, Responding(parts.database, parts.clock, parts.authorities))


def _announcing(parts: Parts) -> Announcing:
    settings = parts.settings
    return Announcing(parts.authorities, settings.relying_party, hosts.names(settings), parts.clock)
