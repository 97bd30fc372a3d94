"""What operators of the registration authority call, at one keystore."""

from __future__ import annotations

import grpc

from cloudcard.registry.v1.accounts_pb2_grpc import AccountServiceStub
from cloudcard.registry.v1.alerts_pb2_grpc import AlertServiceStub
from cloudcard.registry.v1.authorities_pb2_grpc import AuthorityServiceStub
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.registry.v1.clients_pb2_grpc import ClientServiceStub
from cloudcard.registry.v1.directories_pb2_grpc import DirectoryServiceStub
from cloudcard.registry.v1.domains_pb2_grpc import DomainServiceStub
from cloudcard.registry.v1.external_pb2_grpc import ExternalServiceStub
from cloudcard.registry.v1.feedback_pb2_grpc import FeedbackServiceStub
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.registry.v1.importing_pb2_grpc import ImportServiceStub
from cloudcard.registry.v1.notifications_pb2_grpc import NotificationServiceStub
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard.registry.v1.profiles_pb2_grpc import ProfileServiceStub
from cloudcard.registry.v1.requests_pb2_grpc import RequestServiceStub
from cloudcard.registry.v1.roles_pb2_grpc import RoleServiceStub
from cloudcard.registry.v1.shared_devices_pb2_grpc import SharedDeviceServiceStub
from cloudcard.registry.v1.webhooks_pb2_grpc import WebhookServiceStub


class Registry:
    """A stub of each service of the registry's, by its noun."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.people = PeopleServiceStub(channel)
        self.cards = CardServiceStub(channel)
        self.organisations = OrganisationServiceStub(channel)
        self.feedback = FeedbackServiceStub(channel)
        self.directories = DirectoryServiceStub(channel)
        self.domains = DomainServiceStub(channel)
        self.shared_devices = SharedDeviceServiceStub(channel)
        self.accounts = AccountServiceStub(channel)
        self.external = ExternalServiceStub(channel)
        self.importing = ImportServiceStub(channel)
        self.identities = IdentityServiceStub(channel)
        self.authorities = AuthorityServiceStub(channel)
        self.alerts = AlertServiceStub(channel)
        self.notifications = NotificationServiceStub(channel)
        self.roles = RoleServiceStub(channel)
        self.profiles = ProfileServiceStub(channel)
        self.clients = ClientServiceStub(channel)
        self.webhooks = WebhookServiceStub(channel)
        self.requests = RequestServiceStub(channel)
