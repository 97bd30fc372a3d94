"""Builds the use cases and the services from the parts of a running keystore."""

from __future__ import annotations

import os
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from cloud_keystore.audit.reading import Reading
from cloud_keystore.audit.sequencing import Log
from cloud_keystore.cards.administration import Administration
from cloud_keystore.cards.cards import Cards
from cloud_keystore.cards.renewal import Renewal
from cloud_keystore.config import Settings
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.credentials.management_keys import ManagementKeys
from cloud_keystore.custody.credentials.passcodes import Passcodes, new_hasher
from cloud_keystore.custody.credentials.secure_messaging import SecureMessaging
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.activation import Activation
from cloud_keystore.custody.use.using_sessions import UsingSessions
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import Role
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.traces import Traces
from cloud_keystore.operations.asking import Asking
from cloud_keystore.operations.deciding import Deciding
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.people.alerts import Alerts
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.people import People
from cloud_keystore.pki.authorities import Authorities
from cloud_keystore.rpc.administration import AdministrationServicer
from cloud_keystore.rpc.audit import AuditServicer
from cloud_keystore.rpc.authenticator import AuthenticatorServicer
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.enrolment import EnrolmentServicer
from cloud_keystore.rpc.gathering import Gatherer
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.registry import RegistryServicer
from cloud_keystore.rpc.workstation import WorkstationServicer
from cloud_keystore.storage.engine import Database
from cloudcard.administration.v1 import administration_pb2, administration_pb2_grpc
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.authenticator.v1 import authenticator_pb2, authenticator_pb2_grpc
from cloudcard.enrolment.v1 import enrolment_pb2_grpc
from cloudcard.registry.v1 import registry_pb2, registry_pb2_grpc
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc

SERVICES = tuple(  # of the main port, by their full names
    service.full_name
    for file in (workstation_pb2, administration_pb2, authenticator_pb2, registry_pb2, audit_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What use cases are made of, each part once in a process."""

    settings: Settings
    clock: Clock
    database: Database
    seal: Seal
    custody: Keys
    sessions: UsingSessions
    authorities: Authorities
    log: Log
    people: People
    limiter: Limiter
    traces: Traces


def add_services(server: grpc.aio.Server, parts: Parts, wakeups: Wakeups) -> None:
    """What enrolled clients call: the services of the main port."""
    database, seal, clock = parts.database, parts.seal, parts.clock
    passcode = Passcodes(database, seal, clock, os.urandom, new_hasher())
    cards = Cards(
        database,
        seal,
        clock,
        os.urandom,
        parts.custody,
        parts.authorities,
        passcode,
        wakeups.wake,
        parts.settings.crl_url,
    )
    workstation_pb2_grpc.add_WorkstationServiceServicer_to_server(
        WorkstationServicer(
            Door(database, parts.limiter, Role.WORKSTATION, parts.traces),
            cards,
            passcode,
            Asking(database, seal, clock, os.urandom, wakeups.wake),
            Activation(database, seal, clock, parts.custody),
            parts.sessions,
            Gatherer(parts.sessions.use_all, parts.sessions.write_results),
            SecureMessaging(database, clock, parts.custody),
            wakeups,
            clock,
        ),
        server,
    )
    renewal = Renewal(clock, os.urandom, parts.authorities, parts.settings.crl_url)
    management_keys = ManagementKeys(database, seal, clock, os.urandom)
    administration_pb2_grpc.add_AdministrationServiceServicer_to_server(
        AdministrationServicer(
            Door(database, parts.limiter, Role.WORKSTATION, parts.traces),
            management_keys,
            Administration(
                database,
                seal,
                clock,
                os.urandom,
                parts.custody,
                renewal,
                management_keys,
                passcode,
                wakeups.wake,
            ),
        ),
        server,
    )
    authenticator_pb2_grpc.add_AuthenticatorServiceServicer_to_server(
        AuthenticatorServicer(
            Door(database, parts.limiter, Role.DEVICE, parts.traces),
            cards,
            passcode,
            Deciding(database, seal, clock, wakeups.wake, os.urandom),
            Sessions(database, clock),
            parts.authorities,
            wakeups,
            clock,
        ),
        server,
    )
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(
        RegistryServicer(
            Door(database, parts.limiter, Role.OPERATOR, parts.traces),
            parts.people,
            cards,
            Devices(database, clock, wakeups.wake),
            Identities(database, clock, wakeups.wake),
            Alerts(database, clock),
            Organisations(database, clock, os.urandom),
        ),
        server,
    )
    audit_pb2_grpc.add_AuditServiceServicer_to_server(
        AuditServicer(
            Door(database, parts.limiter, Role.AUDITOR, parts.traces),
            Reading(database, clock, parts.log),
        ),
        server,
    )


def add_reflection(server: grpc.aio.Server) -> None:
    """What tools ask for the services and their messages, which are no secret."""
    names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)


def add_enrolment(server: grpc.aio.Server, parts: Parts) -> None:
    """What callers with nothing but a token call: the service of the enrolment port."""
    settings = parts.settings
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
        EnrolmentServicer(
            Enrolment(
                parts.database,
                parts.clock,
                parts.authorities.transport,
                settings.relying_party,
            ),
            parts.authorities,
            parts.limiter,
            ",".join(map(str, settings.service_addresses)),
        ),
        server,
    )
