"""Builds the services of the ports from their use cases."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from cloud_keystore.custody.use.using_sessions import Used, UseRequest
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import Role
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.observability.traces import Traces
from cloud_keystore.rpc.administration import AdministrationServicer
from cloud_keystore.rpc.alerts import AlertServicer
from cloud_keystore.rpc.audit import AuditServicer
from cloud_keystore.rpc.authenticator import AuthenticatorServicer
from cloud_keystore.rpc.cards import CardServicer
from cloud_keystore.rpc.door import Door, Named
from cloud_keystore.rpc.enrolment import EnrolmentServicer, RenewalServicer
from cloud_keystore.rpc.finding import FindingServicer
from cloud_keystore.rpc.gathering import Ask, Gatherer
from cloud_keystore.rpc.holders.own import HolderServicer
from cloud_keystore.rpc.holders.pins import AppPinServicer
from cloud_keystore.rpc.identities import IdentityServicer
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.organisations import OrganisationServicer
from cloud_keystore.rpc.people import PeopleServicer
from cloud_keystore.rpc.registry.accounts import AccountServicer
from cloud_keystore.rpc.registry.authorities import AuthorityServicer
from cloud_keystore.rpc.registry.clients import ClientServicer
from cloud_keystore.rpc.registry.directories import DirectoryServicer
from cloud_keystore.rpc.registry.domains import DomainServicer
from cloud_keystore.rpc.registry.external import ExternalServicer
from cloud_keystore.rpc.registry.feedback import FeedbackServicer
from cloud_keystore.rpc.registry.importing import ImportServicer
from cloud_keystore.rpc.registry.notifications import NotificationServicer
from cloud_keystore.rpc.registry.profiles import ProfileServicer
from cloud_keystore.rpc.registry.requests import RequestServicer
from cloud_keystore.rpc.registry.roles import RoleServicer
from cloud_keystore.rpc.registry.shared_devices import SharedDeviceServicer
from cloud_keystore.rpc.registry.webhooks import WebhookServicer
from cloud_keystore.rpc.streaming.uses import UseStreams
from cloud_keystore.rpc.streaming.watches import WatchStreams
from cloud_keystore.rpc.workstation import WorkstationServicer
from cloud_keystore.run.offering.use_cases import EnrolmentUseCases, MainUseCases
from cloudcard.administration.v1 import administration_pb2, administration_pb2_grpc
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.authenticator.v1 import (
    authenticator_pb2,
    authenticator_pb2_grpc,
    holder_pb2,
    holder_pb2_grpc,
    pins_pb2,
    pins_pb2_grpc,
)
from cloudcard.enrolment.v1 import enrolment_pb2_grpc, renewal_pb2, renewal_pb2_grpc
from cloudcard.registry.v1 import (
    accounts_pb2,
    accounts_pb2_grpc,
    alerts_pb2,
    alerts_pb2_grpc,
    authorities_pb2,
    authorities_pb2_grpc,
    cards_pb2,
    cards_pb2_grpc,
    clients_pb2,
    clients_pb2_grpc,
    directories_pb2,
    directories_pb2_grpc,
    domains_pb2,
    domains_pb2_grpc,
    external_pb2,
    external_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    finding_pb2,
    finding_pb2_grpc,
    identities_pb2,
    identities_pb2_grpc,
    importing_pb2,
    importing_pb2_grpc,
    notifications_pb2,
    notifications_pb2_grpc,
    organisations_pb2,
    organisations_pb2_grpc,
    people_pb2,
    people_pb2_grpc,
    profiles_pb2,
    profiles_pb2_grpc,
    requests_pb2,
    requests_pb2_grpc,
    roles_pb2,
    roles_pb2_grpc,
    shared_devices_pb2,
    shared_devices_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc

FILES = (
    workstation_pb2,
    administration_pb2,
    authenticator_pb2,
    holder_pb2,
    pins_pb2,
    people_pb2,
    cards_pb2,
    organisations_pb2,
    identities_pb2,
    shared_devices_pb2,
    alerts_pb2,
    authorities_pb2,
    notifications_pb2,
    finding_pb2,
    domains_pb2,
    directories_pb2,
    accounts_pb2,
    external_pb2,
    importing_pb2,
    feedback_pb2,
    roles_pb2,
    profiles_pb2,
    clients_pb2,
    webhooks_pb2,
    requests_pb2,
    audit_pb2,
    renewal_pb2,
)
SERVICES = tuple(  # full names of the services on the main port
    service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values()
)


def add_services(
    server: grpc.aio.Server,
    use_cases: MainUseCases,
    limiter: Limiter,
    wakeups: Wakeups,
    clock: Clock,
    traces: Traces,
    metrics: Metrics,
    named: Named | None,
    ask_uses: Ask[UseRequest, Used] | None,
) -> None:
    """Add the services of the main port, for enrolled clients."""
    our, sessions = use_cases, use_cases.using_sessions
    session_uses = Gatherer(sessions.use_all, sessions.write_results, ask_uses)

    def door(role: Role | None) -> Door:
        return Door(callers=our.callers, limiter=limiter, role=role, traces=traces, named=named)

    workstations = door(Role.WORKSTATION)
    workstation_pb2_grpc.add_WorkstationServiceServicer_to_server(
        WorkstationServicer(
            door=workstations,
            images=our.images,
            data_objects=our.data_objects,
            passcodes=our.passcodes,
            asking=our.asking,
            activation=our.activation,
            sessions=sessions,
            session_uses=session_uses,
            use_streams=UseStreams(workstations, session_uses, wakeups, metrics),
            watch_streams=WatchStreams(workstations, our.asking, wakeups, metrics),
            secure_messaging=our.secure_messaging,
            tickets=our.tickets,
            signing_in=our.signing_in,
            problems=our.problems,
            wakeups=wakeups,
            clock=clock,
        ),
        server,
    )
    administration_pb2_grpc.add_AdministrationServiceServicer_to_server(
        AdministrationServicer(
            door=door(Role.WORKSTATION),
            management_keys=our.management_keys,
            administration=our.administration,
        ),
        server,
    )
    authenticator_pb2_grpc.add_AuthenticatorServiceServicer_to_server(
        AuthenticatorServicer(
            door=door(Role.DEVICE),
            cards=our.cards,
            unlocking=our.unlocking,
            unlock_codes=our.unlock_codes,
            surveys=our.surveys,
            phones=our.phones,
            alerts=our.alerts,
            assents=our.assents,
            passcodes=our.passcodes,
            deciding=our.deciding,
            admitting=our.admitting,
            sessions=our.sessions,
            wakeups=wakeups,
            clock=clock,
        ),
        server,
    )
    holder_pb2_grpc.add_HolderServiceServicer_to_server(
        HolderServicer(
            door=door(Role.DEVICE),
            devices=our.devices,
            second_phones=our.second_phones,
            addresses=our.addresses,
            portal_passwords=our.portal_passwords,
            security_questions=our.security_questions,
            assents=our.assents,
        ),
        server,
    )
    pins_pb2_grpc.add_AppPinServiceServicer_to_server(
        AppPinServicer(door=door(Role.DEVICE), pins=our.app_pins), server
    )
    operators = door(Role.OPERATOR)
    people_pb2_grpc.add_PeopleServiceServicer_to_server(
        PeopleServicer(
            door=operators,
            people=our.people,
            phones=our.phones,
            addresses=our.addresses,
            showing=our.showing,
            leaving=our.leaving,
            memberships=our.memberships,
            reports=our.reports,
            clock=clock,
        ),
        server,
    )
    cards_pb2_grpc.add_CardServiceServicer_to_server(
        CardServicer(
            door=operators,
            issuing=our.issuing,
            cards=our.cards,
            prolonging=our.prolonging,
            replacing=our.replacing,
            unlocking=our.unlocking,
            unlock_codes=our.unlock_codes,
            certifying=our.certifying,
            announcing=our.announcing,
        ),
        server,
    )
    organisations_pb2_grpc.add_OrganisationServiceServicer_to_server(
        OrganisationServicer(
            door=operators,
            organisations=our.organisations,
            migrating=our.migrating,
            explaining=our.explaining,
        ),
        server,
    )
    identities_pb2_grpc.add_IdentityServiceServicer_to_server(
        IdentityServicer(
            door=operators,
            people=our.people,
            short_codes=our.short_codes,
            app_pins=our.app_pins,
            devices=our.devices,
            identities=our.identities,
            problems=our.problems,
            visits=our.visits,
            clock=clock,
        ),
        server,
    )
    shared_devices_pb2_grpc.add_SharedDeviceServiceServicer_to_server(
        SharedDeviceServicer(door=operators, shared_devices=our.shared_devices, clock=clock),
        server,
    )
    domains_pb2_grpc.add_DomainServiceServicer_to_server(
        DomainServicer(door=operators, domains=our.domains), server
    )
    directories_pb2_grpc.add_DirectoryServiceServicer_to_server(
        DirectoryServicer(
            door=operators,
            differences=our.differences,
            mappings=our.mappings,
            operators=our.operators,
        ),
        server,
    )
    accounts_pb2_grpc.add_AccountServiceServicer_to_server(
        AccountServicer(door=operators, accounts=our.accounts, directories=our.account_directories),
        server,
    )
    importing_pb2_grpc.add_ImportServiceServicer_to_server(
        ImportServicer(door=operators, importing=our.importing), server
    )
    alerts_pb2_grpc.add_AlertServiceServicer_to_server(
        AlertServicer(door=operators, alerts=our.alerts), server
    )
    authorities_pb2_grpc.add_AuthorityServiceServicer_to_server(
        AuthorityServicer(door=operators, publishing=our.publishing), server
    )
    external_pb2_grpc.add_ExternalServiceServicer_to_server(
        ExternalServicer(
            door=operators,
            trusting=our.trusting,
            est_servers=our.est_servers,
            external_lists=our.external_lists,
            certifying=our.certifying,
        ),
        server,
    )
    notifications_pb2_grpc.add_NotificationServiceServicer_to_server(
        NotificationServicer(door=operators, notifications=our.notifications), server
    )
    renewal_pb2_grpc.add_RenewalServiceServicer_to_server(
        RenewalServicer(door=door(None), renewing=our.renewing, announcing=our.announcing),
        server,
    )
    finding_pb2_grpc.add_FindingServiceServicer_to_server(
        FindingServicer(door=operators, finding=our.finding), server
    )
    feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(
        FeedbackServicer(door=operators, feedback=our.feedback), server
    )
    roles_pb2_grpc.add_RoleServiceServicer_to_server(
        RoleServicer(door=operators, roles=our.roles, custom_roles=our.custom_roles, clock=clock),
        server,
    )
    profiles_pb2_grpc.add_ProfileServiceServicer_to_server(
        ProfileServicer(door=operators, custom_profiles=our.custom_profiles), server
    )
    clients_pb2_grpc.add_ClientServiceServicer_to_server(
        ClientServicer(door=operators, clients=our.clients, identities=our.identities, clock=clock),
        server,
    )
    webhooks_pb2_grpc.add_WebhookServiceServicer_to_server(
        WebhookServicer(door=operators, webhooks=our.webhooks), server
    )
    requests_pb2_grpc.add_RequestServiceServicer_to_server(
        RequestServicer(door=operators, requests=our.requests, four_eyes=our.four_eyes), server
    )
    audit_pb2_grpc.add_AuditServiceServicer_to_server(
        AuditServicer(door=door(Role.AUDITOR), reading=our.reading), server
    )


def add_reflection(server: grpc.aio.Server) -> None:
    """Add reflection, by which tools find the services and their messages; these are not secret."""
    names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)


def add_enrolment(
    server: grpc.aio.Server, use_cases: EnrolmentUseCases, limiter: Limiter, address: str
) -> None:
    """Add the service of the enrolment port, for callers that have only a token; `address` is where
    they find the others.
    """
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
        EnrolmentServicer(
            enrolment=use_cases.enrolment,
            announcing=use_cases.announcing,
            limiter=limiter,
            address=address,
        ),
        server,
    )
