"""Builds the use cases and the services from the parts of an open keystore."""

from __future__ import annotations

import os

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from cloud_keystore.audit.reading import Reading
from cloud_keystore.cards.administration import Administration
from cloud_keystore.cards.images import Images
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.credentials.data_objects import DataObjects
from cloud_keystore.custody.credentials.management_keys import ManagementKeys
from cloud_keystore.custody.credentials.passcodes import Passcodes, new_hasher
from cloud_keystore.custody.credentials.secure_messaging import SecureMessaging
from cloud_keystore.custody.use.activation import Activation
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.model.people import Role
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.operations.asking import Asking
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.people.finding import Finding
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.rpc.administration import AdministrationServicer
from cloud_keystore.rpc.alerts import AlertServicer
from cloud_keystore.rpc.audit import AuditServicer
from cloud_keystore.rpc.authenticator import AuthenticatorServicer
from cloud_keystore.rpc.cards import CardServicer
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.enrolment import EnrolmentServicer, RenewalServicer
from cloud_keystore.rpc.finding import FindingServicer
from cloud_keystore.rpc.gathering import Gatherer
from cloud_keystore.rpc.identities import IdentityServicer
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.organisations import OrganisationServicer
from cloud_keystore.rpc.people import PeopleServicer
from cloud_keystore.rpc.workstation import WorkstationServicer
from cloud_keystore.run.opening import Parts
from cloudcard.administration.v1 import administration_pb2, administration_pb2_grpc
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.authenticator.v1 import authenticator_pb2, authenticator_pb2_grpc
from cloudcard.enrolment.v1 import enrolment_pb2_grpc, renewal_pb2, renewal_pb2_grpc
from cloudcard.registry.v1 import (
    alerts_pb2,
    alerts_pb2_grpc,
    cards_pb2,
    cards_pb2_grpc,
    finding_pb2,
    finding_pb2_grpc,
    identities_pb2,
    identities_pb2_grpc,
    organisations_pb2,
    organisations_pb2_grpc,
    people_pb2,
    people_pb2_grpc,
)
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc

FILES = (
    workstation_pb2,
    administration_pb2,
    authenticator_pb2,
    people_pb2,
    cards_pb2,
    organisations_pb2,
    identities_pb2,
    alerts_pb2,
    finding_pb2,
    audit_pb2,
    renewal_pb2,
)
SERVICES = tuple(  # full names of the services on the main port
    service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values()
)


def add_services(
    server: grpc.aio.Server,
    parts: Parts,
    limiter: Limiter,
    sessions: UsingSessions,
    wakeups: Wakeups,
) -> None:
    """Add the services of the main port, for enrolled clients."""
    database, seal, clock, wake = parts.database, parts.seal, parts.clock, wakeups.wake
    passcodes = Passcodes(
        database=database, seal=seal, clock=clock, random=os.urandom, hasher=new_hasher()
    )
    cards = Life(database=database, clock=clock, wake=wake)
    unlocking = Unlocking(database=database, clock=clock, random=os.urandom, wake=wake)
    alerts = Alerts(database=database, clock=clock)
    data_objects = DataObjects(database=database, seal=seal, clock=clock, random=os.urandom)
    management_keys = ManagementKeys(database=database, seal=seal, clock=clock, random=os.urandom)

    def door(role: Role | None) -> Door:
        return Door(database=database, limiter=limiter, clock=clock, role=role, traces=parts.traces)

    workstation_pb2_grpc.add_WorkstationServiceServicer_to_server(
        WorkstationServicer(
            door=door(Role.WORKSTATION),
            images=Images(database, management_keys),
            data_objects=data_objects,
            passcodes=passcodes,
            asking=Asking(database=database, seal=seal, clock=clock, random=os.urandom, wake=wake),
            activation=Activation(
                database=database,
                seal=seal,
                clock=clock,
                custody=parts.custody,
                process=sessions.process,
            ),
            sessions=sessions,
            session_uses=Gatherer(run=sessions.use_all, tidy=sessions.write_results),
            secure_messaging=SecureMessaging(database=database, clock=clock, custody=parts.custody),
            wakeups=wakeups,
            clock=clock,
        ),
        server,
    )
    administration_pb2_grpc.add_AdministrationServiceServicer_to_server(
        AdministrationServicer(
            door=door(Role.WORKSTATION),
            management_keys=management_keys,
            administration=Administration(
                database=database,
                seal=seal,
                clock=clock,
                random=os.urandom,
                custody=parts.custody,
                renewal=Renewal(
                    clock=clock,
                    random=os.urandom,
                    authorities=parts.authorities,
                    data_objects=data_objects,
                    published=parts.settings.published,
                ),
                management_keys=management_keys,
                passcodes=passcodes,
                wake=wake,
            ),
        ),
        server,
    )
    authenticator_pb2_grpc.add_AuthenticatorServiceServicer_to_server(
        AuthenticatorServicer(
            door=door(Role.DEVICE),
            cards=cards,
            unlocking=unlocking,
            alerts=alerts,
            passcodes=passcodes,
            deciding=Deciding(
                database=database, seal=seal, clock=clock, wake=wake, random=os.urandom
            ),
            sessions=Sessions(database=database, clock=clock),
            authorities=parts.authorities,
            wakeups=wakeups,
            clock=clock,
        ),
        server,
    )
    operators = door(Role.OPERATOR)
    people_pb2_grpc.add_PeopleServiceServicer_to_server(
        PeopleServicer(door=operators, people=parts.people), server
    )
    cards_pb2_grpc.add_CardServiceServicer_to_server(
        CardServicer(
            door=operators,
            issuing=Issuing(
                database=database,
                seal=seal,
                clock=clock,
                random=os.urandom,
                custody=parts.custody,
                authorities=parts.authorities,
                passcodes=passcodes,
                data_objects=data_objects,
                published=parts.settings.published,
            ),
            cards=cards,
            unlocking=unlocking,
        ),
        server,
    )
    organisations_pb2_grpc.add_OrganisationServiceServicer_to_server(
        OrganisationServicer(
            door=operators,
            organisations=Organisations(database=database, clock=clock, random=os.urandom),
        ),
        server,
    )
    identities_pb2_grpc.add_IdentityServiceServicer_to_server(
        IdentityServicer(
            door=operators,
            people=parts.people,
            devices=Devices(database=database, clock=clock, wake=wake),
            identities=Identities(database=database, clock=clock, wake=wake),
        ),
        server,
    )
    alerts_pb2_grpc.add_AlertServiceServicer_to_server(
        AlertServicer(door=operators, alerts=alerts), server
    )
    renewal_pb2_grpc.add_RenewalServiceServicer_to_server(
        RenewalServicer(
            door=door(None),
            renewing=Renewing(database=database, clock=clock, authorities=parts.authorities),
        ),
        server,
    )
    finding = Finding(database)
    finding_pb2_grpc.add_FindingServiceServicer_to_server(
        FindingServicer(door=operators, finding=finding), server
    )
    audit_pb2_grpc.add_AuditServiceServicer_to_server(
        AuditServicer(
            door=door(Role.AUDITOR),
            reading=Reading(database=database, clock=clock, log=parts.log, finding=finding.find),
        ),
        server,
    )


def add_reflection(server: grpc.aio.Server) -> None:
    """Add reflection, by which tools find the services and their messages; these are not secret."""
    names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)


def add_enrolment(server: grpc.aio.Server, parts: Parts, limiter: Limiter) -> None:
    """Add the service of the enrolment port, for callers that have only a token."""
    settings = parts.settings
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
        EnrolmentServicer(
            enrolment=Enrolment(
                database=parts.database,
                clock=parts.clock,
                authorities=parts.authorities,
                relying_party=settings.relying_party,
                random=os.urandom,
                attestation_roots=settings.attestation_roots,
            ),
            authorities=parts.authorities,
            limiter=limiter,
            address=",".join(map(str, settings.service_addresses)),
        ),
        server,
    )
