"""What operators and auditors may do: every call of theirs x every built-in role and one that an
organisation has defined x an organisation of their own, one below it, and another one, at a real
keystore. A call that is in no row fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from cloud_keystore.model.rights import roles
from cloud_keystore.model.rights.roles import BuiltIn, Right
from cloud_keystore.people.migrating import NEEDED
from cloudcard.audit.v1 import audit_pb2
from cloudcard.registry.v1 import (
    accounts_pb2,
    alerts_pb2,
    cards_pb2,
    clients_pb2,
    directories_pb2,
    domains_pb2,
    external_pb2,
    feedback_pb2,
    finding_pb2,
    identities_pb2,
    importing_pb2,
    notifications_pb2,
    organisations_pb2,
    people_pb2,
    profiles_pb2,
    requests_pb2,
    roles_pb2,
    shared_devices_pb2,
    webhooks_pb2,
)
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.refusals import reason
from support.external_ca import empty_list, new_authority
from support.keystore_process import KeystoreProcess
from support.mail_server import MailServer, options_to, serving
from support.schema import METHODS, role_of

NOBODY = "127.0.0.1:9"  # no EST server is there
CUSTOM = "registrar"  # of rights that no built-in role has alone
RIGHTS: Mapping[str, frozenset[Right]] = {
    **roles.RIGHTS,
    CUSTOM: frozenset({Right.VIEW, Right.PEOPLE, Right.REVOKE, Right.POLICY}),
}
OPERATORS_ROLES = [each for each in RIGHTS if each not in (BuiltIn.AUDITOR, BuiltIn.PORTAL)]
PASSED = {grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION}  # of what was done before


@dataclass(frozen=True)
class Place:
    """An organisation, and something of each sort that belongs to it. All their names end with
    that of the place.
    """

    name: str
    organisation: str
    user: str
    card: str
    device: str
    workstation: str
    tablet: str
    operator: str
    auditor: str
    assignment: str
    role: str
    profile: str
    alert: str
    client: str
    webhook: str
    mapping: str
    spare: str  # an organisation below it
    approvable: str = ""  # requests of the RA manager of the whole
    refusable: str = ""

    @property
    def said(self) -> list[str]:
        """What must not be in an answer to somebody who does not see the place."""
        return [value for each in fields(self) if (value := getattr(self, each.name))]


@dataclass(frozen=True)
class Row:
    """What a call needs. `shown_by`: with one of these rights it is refused, and not hidden."""

    right: Right
    request: Callable[[Place], Message]
    shown_by: frozenset[Right] = frozenset({Right.VIEW, Right.JOURNAL})


TRUST, TRUSTED = "Trust", new_authority("Trust").der
STAFF = frozenset({Right.ROLES, Right.JOURNAL})
GRANTING = frozenset({Right.ROLES})
READING = frozenset({Right.JOURNAL})
HOOK = "https://hr.example.org/hook"
staff = identities_pb2

# No card of the town ends soon enough to be renewed, and all are issued; no directory has a word.
NEVER = {
    *("CardService.RenewCard", "CardService.ResumeIssuing", "CardService.CancelIssuing"),
    "ProfileService.DeleteProfile",  # a card is of it
    "DirectoryService.DecideDifference",
    "PeopleService.LeaveOrganisation",  # it is the last one
    "PeopleService.SendAddressLink",  # no address waits
    "IdentityService.CreateAppPinCode",  # its phones, which are no pages, ask for no PIN
}

# Calls about one thing, or that make something in an organisation. Those that end things are last.
THINGS: Mapping[str, Row] = {
    "PeopleService.CreateUser": Row(
        Right.PEOPLE,
        lambda at: people_pb2.CreateUserRequest(
            display_name="Eve", email=f"{uuid4()}@example.org", organisation_id=at.organisation
        ),
    ),
    "PeopleService.JoinOrganisation": Row(
        Right.PEOPLE,
        lambda at: people_pb2.JoinOrganisationRequest(
            user_id=at.user, organisation_id=at.organisation
        ),
    ),
    "PeopleService.LeaveOrganisation": Row(
        Right.PEOPLE,
        lambda at: people_pb2.LeaveOrganisationRequest(
            user_id=at.user, organisation_id=at.organisation
        ),
    ),
    "PeopleService.GetUser": Row(Right.VIEW, lambda at: people_pb2.GetUserRequest(user_id=at.user)),
    # Before there is an address to which few links go
    "PeopleService.SendAddressLink": Row(
        Right.PEOPLE, lambda at: people_pb2.SendAddressLinkRequest(user_id=at.user)
    ),
    "PeopleService.UpdateUser": Row(
        Right.PEOPLE,
        lambda at: people_pb2.UpdateUserRequest(user_id=at.user, email=f"{uuid4()}@example.org"),
    ),
    "AccountService.AddAccount": Row(
        Right.PEOPLE,
        lambda at: accounts_pb2.AddAccountRequest(user_id=at.user, name=rf"{at.name}\ada"),
    ),
    "AccountService.ListAccounts": Row(
        Right.VIEW, lambda at: accounts_pb2.ListAccountsRequest(user_id=at.user)
    ),
    "AccountService.SetAccountDirectory": Row(
        Right.POLICY,
        lambda at: accounts_pb2.SetAccountDirectoryRequest(
            organisation_id=at.organisation,
            directory=accounts_pb2.AccountDirectory(
                url=f"ldaps://{at.name.lower()}.example",
                bind_dn="cn=ra",
                base_dn="dc=corp",
                domain=at.name,
            ),
        ),
    ),
    "AccountService.GetAccountDirectory": Row(
        Right.VIEW,
        lambda at: accounts_pb2.GetAccountDirectoryRequest(organisation_id=at.organisation),
    ),
    "DirectoryService.MapGroup": Row(
        Right.ROLES,
        lambda at: directories_pb2.MapGroupRequest(
            client_id=at.client,
            named_by="displayName",
            group=f"Support {at.name}",
            role=BuiltIn.SUPPORT,
            organisation_id=at.organisation,
        ),
    ),
    "DirectoryService.SetOperatorPerson": Row(
        Right.ROLES,
        lambda at: directories_pb2.SetOperatorPersonRequest(
            operator_id=at.operator, user_id=at.user, organisation_id=at.organisation
        ),
    ),
    "DirectoryService.DecideDifference": Row(
        Right.PEOPLE,
        lambda at: directories_pb2.DecideDifferenceRequest(user_id=at.user, field="name"),
    ),
    "PeopleService.SendPhoneCode": Row(
        Right.PEOPLE, lambda at: people_pb2.SendPhoneCodeRequest(user_id=at.user)
    ),
    "PeopleService.VerifyPhone": Row(
        Right.PEOPLE, lambda at: people_pb2.VerifyPhoneRequest(user_id=at.user, code="none")
    ),
    "IdentityService.CreateWorkstation": Row(
        Right.WORKSTATIONS,
        lambda at: staff.CreateWorkstationRequest(
            display_name="PC", organisation_id=at.organisation
        ),
    ),
    "IdentityService.CreateDeviceToken": Row(
        Right.DEVICES, lambda at: staff.CreateDeviceTokenRequest(user_id=at.user)
    ),
    "IdentityService.CreateShortCode": Row(
        Right.DEVICES, lambda at: staff.CreateShortCodeRequest(user_id=at.user)
    ),
    "SharedDeviceService.AddSharedDevice": Row(
        Right.WORKSTATIONS,
        lambda at: shared_devices_pb2.AddSharedDeviceRequest(
            display_name="Tablet", organisation_id=at.organisation
        ),
    ),
    "SharedDeviceService.SignOutSharedDevice": Row(
        Right.WORKSTATIONS,
        lambda at: shared_devices_pb2.SignOutSharedDeviceRequest(device_id=at.tablet),
    ),
    "IdentityService.GetWorkstationReport": Row(
        Right.VIEW, lambda at: staff.GetWorkstationReportRequest(workstation_id=at.workstation)
    ),
    "IdentityService.CreateAppPinCode": Row(
        Right.DEVICES, lambda at: staff.CreateAppPinCodeRequest(device_id=at.device)
    ),
    "IdentityService.GetDevice": Row(
        Right.VIEW, lambda at: staff.GetDeviceRequest(device_id=at.device)
    ),
    "IdentityService.ListDevices": Row(
        Right.VIEW, lambda at: staff.ListDevicesRequest(user_id=at.user)
    ),
    "IdentityService.CreateOperator": Row(
        Right.ROLES,
        lambda at: staff.CreateOperatorRequest(
            display_name="Otto", role=BuiltIn.SUPPORT, organisation_id=at.organisation
        ),
    ),
    "IdentityService.CreateAuditor": Row(
        Right.ROLES,
        lambda at: staff.CreateAuditorRequest(display_name="Aude", organisation_id=at.organisation),
    ),
    "CardService.IssueCard": Row(
        Right.ISSUE,
        lambda at: cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=at.user, profile="p256"
        ),
    ),
    "CardService.GetCard": Row(
        Right.VIEW, lambda at: cards_pb2.GetCardRequest(card_serial=at.card)
    ),
    "CardService.RenewCard": Row(
        Right.ISSUE, lambda at: cards_pb2.RenewCardRequest(card_serial=at.card)
    ),
    "NotificationService.ListNotifications": Row(
        Right.VIEW, lambda at: notifications_pb2.ListNotificationsRequest(user_id=at.user)
    ),
    "NotificationService.RetryNotifications": Row(
        Right.PEOPLE, lambda at: notifications_pb2.RetryNotificationsRequest(user_id=at.user)
    ),
    "CardService.UnlockCard": Row(
        Right.UNLOCK, lambda at: cards_pb2.UnlockCardRequest(card_serial=at.card)
    ),
    "CardService.CreateUnlockCode": Row(
        Right.UNLOCK, lambda at: cards_pb2.CreateUnlockCodeRequest(card_serial=at.card)
    ),
    "OrganisationService.CreateOrganisation": Row(
        Right.POLICY,
        lambda at: organisations_pb2.CreateOrganisationRequest(
            name=str(uuid4()), parent_id=at.organisation
        ),
    ),
    "OrganisationService.UpdateOrganisation": Row(
        Right.POLICY,
        lambda at: organisations_pb2.UpdateOrganisationRequest(
            organisation_id=at.organisation, help_contact=str(uuid4())
        ),
    ),
    "OrganisationService.SetPolicy": Row(
        Right.POLICY,
        lambda at: organisations_pb2.SetPolicyRequest(
            organisation_id=at.organisation, policy=organisations_pb2.Policy(largest_batch=2)
        ),
    ),
    "OrganisationService.ExplainPolicy": Row(
        Right.VIEW,
        lambda at: organisations_pb2.ExplainPolicyRequest(organisation_id=at.organisation),
    ),
    "ExternalService.ChooseIssuer": Row(
        Right.POLICY,
        lambda at: external_pb2.ChooseIssuerRequest(
            choice=external_pb2.IssuerChoice(organisation_id=at.organisation, profile="p384")
        ),
    ),
    "AlertService.AcknowledgeAlert": Row(
        Right.ALERTS, lambda at: alerts_pb2.AcknowledgeAlertRequest(alert_id=at.alert)
    ),
    "RoleService.GrantRole": Row(
        Right.ROLES,
        lambda at: roles_pb2.GrantRoleRequest(
            identity_id=at.operator, role=BuiltIn.SPONSOR, organisation_id=at.organisation
        ),
    ),
    "RoleService.CreateRole": Row(
        Right.ROLES,
        lambda at: roles_pb2.CreateRoleRequest(
            name=f"a{uuid4().hex[:8]}", rights=["view"], organisation_id=at.organisation
        ),
    ),
    "RoleService.UpdateRole": Row(
        Right.ROLES,
        lambda at: roles_pb2.UpdateRoleRequest(role_id=at.role, rights=["view", "people"]),
    ),
    "RoleService.DeleteRole": Row(
        Right.ROLES, lambda at: roles_pb2.DeleteRoleRequest(role_id=at.role)
    ),
    "ProfileService.CreateProfile": Row(
        Right.POLICY,
        lambda at: profiles_pb2.CreateProfileRequest(
            name=f"a{uuid4().hex[:8]}", base="v2", organisation_id=at.organisation
        ),
    ),
    "ProfileService.UpdateProfile": Row(
        Right.POLICY,
        lambda at: profiles_pb2.UpdateProfileRequest(profile_id=at.profile, revision=1),
    ),
    "ProfileService.DeleteProfile": Row(
        Right.POLICY, lambda at: profiles_pb2.DeleteProfileRequest(profile_id=at.profile)
    ),
    "RequestService.SetFourEyes": Row(
        Right.POLICY,
        lambda at: requests_pb2.SetFourEyesRequest(
            operations=["revoke-compromised"], organisation_id=at.organisation
        ),
    ),
    "RequestService.ApproveRequest": Row(
        Right.REVOKE, lambda at: requests_pb2.ApproveRequestRequest(request_id=at.approvable)
    ),
    "RequestService.RefuseRequest": Row(
        Right.REVOKE, lambda at: requests_pb2.RefuseRequestRequest(request_id=at.refusable)
    ),
    "CardService.SuspendCard": Row(
        Right.SUSPEND, lambda at: cards_pb2.SuspendCardRequest(card_serial=at.card)
    ),
    "CardService.ResumeCard": Row(
        Right.REVOKE, lambda at: cards_pb2.ResumeCardRequest(card_serial=at.card)
    ),
    "CardService.ResumeIssuing": Row(
        Right.ISSUE, lambda at: cards_pb2.ResumeIssuingRequest(card_serial=at.card)
    ),
    "CardService.CancelIssuing": Row(
        Right.ISSUE, lambda at: cards_pb2.CancelIssuingRequest(card_serial=at.card)
    ),
    "CardService.RevokeCard": Row(
        Right.REVOKE, lambda at: cards_pb2.RevokeCardRequest(card_serial=at.card, reason="left")
    ),
    "CardService.ReplaceCard": Row(
        Right.ISSUE,
        lambda at: cards_pb2.ReplaceCardRequest(
            card_serial=at.card, reason=cards_pb2.REPLACEMENT_REASON_LOST
        ),
    ),
    "DirectoryService.UnmapGroup": Row(
        Right.ROLES,
        lambda at: directories_pb2.UnmapGroupRequest(mapping_id=at.mapping),
        GRANTING,
    ),
    "RoleService.WithdrawRole": Row(
        Right.ROLES,
        lambda at: roles_pb2.WithdrawRoleRequest(assignment_id=at.assignment),
        GRANTING,
    ),
    "IdentityService.UpdateWorkstation": Row(
        Right.WORKSTATIONS,
        lambda at: staff.UpdateWorkstationRequest(
            workstation_id=at.workstation, organisation_id=at.organisation
        ),
    ),
    "IdentityService.UpdateOperator": Row(
        Right.ROLES,
        lambda at: staff.UpdateOperatorRequest(
            operator_id=at.operator, organisation_id=at.organisation
        ),
        STAFF,
    ),
    "IdentityService.UpdateAuditor": Row(
        Right.ROLES,
        lambda at: staff.UpdateAuditorRequest(
            auditor_id=at.auditor, organisation_id=at.organisation
        ),
        STAFF,
    ),
    "IdentityService.RemoveDevice": Row(
        Right.DEVICES, lambda at: staff.RemoveDeviceRequest(device_id=at.device, reason="lost")
    ),
    "IdentityService.RemoveWorkstation": Row(
        Right.WORKSTATIONS,
        lambda at: staff.RemoveWorkstationRequest(workstation_id=at.workstation, reason="old"),
    ),
    "SharedDeviceService.RemoveSharedDevice": Row(
        Right.WORKSTATIONS,
        lambda at: shared_devices_pb2.RemoveSharedDeviceRequest(device_id=at.tablet, reason="old"),
    ),
    "IdentityService.RemoveOperator": Row(
        Right.ROLES,
        lambda at: staff.RemoveOperatorRequest(operator_id=at.operator, reason="left"),
        STAFF,
    ),
    "IdentityService.RemoveAuditor": Row(
        Right.ROLES,
        lambda at: staff.RemoveAuditorRequest(auditor_id=at.auditor, reason="left"),
        STAFF,
    ),
    "ClientService.CreateClient": Row(
        Right.ROLES,
        lambda at: clients_pb2.CreateClientRequest(
            display_name="HR", roles=[BuiltIn.SUPPORT], organisation_id=at.organisation
        ),
    ),
    "WebhookService.CreateWebhook": Row(
        Right.ROLES,
        lambda at: webhooks_pb2.CreateWebhookRequest(client_id=at.client, url=HOOK),
        STAFF,
    ),
    "WebhookService.RotateWebhook": Row(
        Right.ROLES, lambda at: webhooks_pb2.RotateWebhookRequest(webhook_id=at.webhook), STAFF
    ),
    "WebhookService.TestWebhook": Row(
        Right.ROLES, lambda at: webhooks_pb2.TestWebhookRequest(webhook_id=at.webhook), STAFF
    ),
    "WebhookService.ListDeliveries": Row(
        Right.ROLES, lambda at: webhooks_pb2.ListDeliveriesRequest(webhook_id=at.webhook), STAFF
    ),
    "WebhookService.RetryDeliveries": Row(
        Right.ROLES, lambda at: webhooks_pb2.RetryDeliveriesRequest(webhook_id=at.webhook), STAFF
    ),
    "WebhookService.RemoveWebhook": Row(
        Right.ROLES, lambda at: webhooks_pb2.RemoveWebhookRequest(webhook_id=at.webhook), STAFF
    ),
    "ClientService.RemoveClient": Row(
        Right.ROLES,
        lambda at: clients_pb2.RemoveClientRequest(client_id=at.client, reason="old"),
        STAFF,
    ),
    "AccountService.UpdateAccount": Row(
        Right.PEOPLE,
        lambda at: accounts_pb2.UpdateAccountRequest(
            user_id=at.user, name=rf"{at.name}\eve", disabled=True
        ),
    ),
    "AccountService.RemoveAccount": Row(
        Right.PEOPLE,
        lambda at: accounts_pb2.RemoveAccountRequest(user_id=at.user, name=rf"{at.name}\ada"),
    ),
    "PeopleService.CloseUser": Row(
        Right.REVOKE, lambda at: people_pb2.CloseUserRequest(user_id=at.user, reason="left")
    ),
    "AuditService.SearchEntries": Row(
        Right.JOURNAL, lambda at: audit_pb2.SearchEntriesRequest(user_id=at.user), READING
    ),
}

# Calls that show things of several organisations: of those that the caller sees alone.
LISTS: Mapping[str, tuple[Right, Message]] = {
    "PeopleService.ListUsers": (Right.VIEW, people_pb2.ListUsersRequest()),
    "PeopleService.SearchUsers": (Right.VIEW, people_pb2.SearchUsersRequest(text="Ada")),
    "PeopleService.ListPending": (Right.VIEW, people_pb2.ListPendingRequest()),
    "PeopleService.ListExpiring": (Right.VIEW, people_pb2.ListExpiringRequest(days=3650)),
    "IdentityService.ListWorkstations": (Right.VIEW, staff.ListWorkstationsRequest()),
    "SharedDeviceService.ListSharedDevices": (
        Right.VIEW,
        shared_devices_pb2.ListSharedDevicesRequest(),
    ),
    "IdentityService.ListOperators": (Right.ROLES, staff.ListOperatorsRequest()),
    "IdentityService.ListAuditors": (Right.ROLES, staff.ListAuditorsRequest()),
    "CardService.CountCards": (Right.VIEW, cards_pb2.CountCardsRequest()),
    "CardService.ListCards": (Right.VIEW, cards_pb2.ListCardsRequest()),
    "WebhookService.ListWebhooks": (Right.ROLES, webhooks_pb2.ListWebhooksRequest()),
    "ClientService.ListClients": (Right.ROLES, clients_pb2.ListClientsRequest()),
    "OrganisationService.ListOrganisations": (
        Right.VIEW,
        organisations_pb2.ListOrganisationsRequest(),
    ),
    "OrganisationService.ListPolicies": (
        Right.VIEW,
        organisations_pb2.ListPoliciesRequest(include_earlier=True),
    ),
    "ExternalService.ListIssuerChoices": (Right.VIEW, external_pb2.ListIssuerChoicesRequest()),
    "ExternalService.ListCardRequests": (Right.VIEW, external_pb2.ListCardRequestsRequest()),
    "AlertService.ListAlerts": (
        Right.VIEW,
        alerts_pb2.ListAlertsRequest(include_acknowledged=True),
    ),
    "AccountService.ListHeldAccounts": (Right.VIEW, accounts_pb2.ListHeldAccountsRequest()),
    "RoleService.ListRoles": (Right.VIEW, roles_pb2.ListRolesRequest()),
    "ProfileService.ListCustomProfiles": (
        Right.VIEW,
        profiles_pb2.ListCustomProfilesRequest(),
    ),
    "DirectoryService.ListGroupMappings": (
        Right.ROLES,
        directories_pb2.ListGroupMappingsRequest(),
    ),
    "DirectoryService.ListOperatorPersons": (
        Right.ROLES,
        directories_pb2.ListOperatorPersonsRequest(),
    ),
    "RoleService.ListAssignments": (Right.ROLES, roles_pb2.ListAssignmentsRequest()),
    "RequestService.ListRequests": (
        Right.VIEW,
        requests_pb2.ListRequestsRequest(include_decided=True),
    ),
    "RequestService.ListFourEyes": (Right.VIEW, requests_pb2.ListFourEyesRequest()),
    "FindingService.Find": (
        Right.VIEW,
        finding_pb2.FindRequest(sort=finding_pb2.SORT_USER, text="Ada"),
    ),
    "AuditService.FindSubjects": (
        Right.JOURNAL,
        audit_pb2.FindSubjectsRequest(sort=finding_pb2.SORT_CARD, text="Ada"),
    ),
}

# Calls that tell nothing of anybody, but are for those who have a role.
GENERAL: Mapping[str, tuple[Right, Message]] = {
    "DomainService.ListDomains": (Right.VIEW, domains_pb2.ListDomainsRequest()),
    "IdentityService.CreateVisitCode": (Right.VIEW, staff.CreateVisitCodeRequest()),
    # There are none here; test_differences.py has some.
    "DirectoryService.ListDifferences": (
        Right.VIEW,
        directories_pb2.ListDifferencesRequest(),
    ),
    "FeedbackService.AddFeedback": (Right.VIEW, feedback_pb2.AddFeedbackRequest(text="good")),
    "ExternalService.ListExternalAuthorities": (
        Right.VIEW,
        external_pb2.ListExternalAuthoritiesRequest(),
    ),
    "AuditService.GetJournal": (Right.JOURNAL, audit_pb2.GetJournalRequest()),
    "AuditService.ListCheckpoints": (Right.JOURNAL, audit_pb2.ListCheckpointsRequest()),
    "AuditService.ProveInclusion": (
        Right.JOURNAL,
        audit_pb2.ProveInclusionRequest(size=1, indices=[0]),
    ),
    "AuditService.ProveConsistency": (
        Right.JOURNAL,
        audit_pb2.ProveConsistencyRequest(old_size=1, size=1),
    ),
}

OTHER = new_authority("Other")  # an external one
# Calls for the whole alone.
WHOLE: Mapping[str, tuple[Right, Message]] = {
    "AuditService.ExportEntries": (Right.JOURNAL, audit_pb2.ExportEntriesRequest(end_index=1)),
    "DomainService.AddDomain": (Right.DOMAINS, domains_pb2.AddDomainRequest(name="a.example")),
    "DomainService.RemoveDomain": (
        Right.DOMAINS,
        domains_pb2.RemoveDomainRequest(name="a.example"),
    ),
    "FeedbackService.ListFeedback": (Right.VIEW, feedback_pb2.ListFeedbackRequest()),
    "FeedbackService.GetScores": (Right.VIEW, feedback_pb2.GetScoresRequest(days=90)),
    "ExternalService.TrustAuthority": (
        Right.POLICY,
        external_pb2.TrustAuthorityRequest(name="Other", certificate=OTHER.der),
    ),
    "ExternalService.UseEstServer": (
        Right.POLICY,
        external_pb2.UseEstServerRequest(
            authority="Other",
            server=external_pb2.EstServer(url=f"https://{NOBODY}", user="ra"),
            password="open sesame",
        ),
    ),
    "ExternalService.StopEstServer": (
        Right.POLICY,
        external_pb2.StopEstServerRequest(authority="Other"),
    ),
    "ExternalService.BringList": (
        Right.POLICY,
        external_pb2.BringListRequest(authority="Other", document=empty_list(OTHER)),
    ),
    "ExternalService.UseList": (
        Right.POLICY,
        external_pb2.UseListRequest(authority="Other", stops=True),
    ),
    "ExternalService.DistrustAuthority": (
        Right.POLICY,
        external_pb2.DistrustAuthorityRequest(name="Other"),
    ),
    "NotificationService.TestNotification": (
        Right.POLICY,
        notifications_pb2.TestNotificationRequest(address="ada@example.org"),
    ),
}

# Calls about many things, of which they tell one by one.
IMPORT = "ImportService.ImportUsers"
IMPORTS = {IMPORT, "ExternalService.ImportCertificates"}  # that one: cards/test_certifying.py
# A call about all that belongs to an organisation, which needs several rights, in another one too.
MIGRATE = "OrganisationService.MigrateOrganisation"

# What the keystore tells everybody else too (docs/pki.md), or is a part of the program.
PUBLIC = {
    "CardService.ListProfiles",
    "AuthorityService.ListAuthorities",
    "AuthorityService.ExportRevocationList",
}

CALLS: Mapping[str, MethodDescriptor] = {
    f"{method.containing_service.name}.{method.name}": method
    for method in METHODS
    if role_of(method.containing_service) in ("operator", "auditor")
}


def test_every_call_of_operators_and_auditors_is_in_a_table() -> None:
    tables = [set(each) for each in (THINGS, LISTS, GENERAL, WHOLE, PUBLIC, IMPORTS, {MIGRATE})]
    assert set().union(*tables) == CALLS.keys()
    assert sum(map(len, tables)) == len(CALLS)


@dataclass
class Town:
    """A keystore with organisations, and somebody of each role in one of them."""

    places: Mapping[str, Place]
    staff: Mapping[str, grpc.Channel]  # by role: it holds in "own"
    of_all: Mapping[str, grpc.Channel]  # of an RA manager and an auditor of the whole, by service


MISSING = Place("nowhere", *(str(uuid4()) for _ in range(16)))


def ask(channel: grpc.Channel, call: str, request: Message) -> list[Message]:
    """The responses to a call."""
    method = CALLS[call]
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    answer = kind(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )(request, timeout=60)
    return list(answer) if method.server_streaming else [answer]


def outcome(channel: grpc.Channel, call: str, request: Message) -> tuple[grpc.StatusCode, str, str]:
    """Status, reason and text of a call; random identifiers are left out of the text."""
    try:
        ask(channel, call, request)
    except grpc.RpcError as error:
        return error.code(), reason(error), error.details() or ""
    return grpc.StatusCode.OK, "", ""


def unnamed(told: tuple[grpc.StatusCode, str, str], at: Place) -> tuple[grpc.StatusCode, str, str]:
    """An outcome without what it says of the thing that was asked for."""
    text = told[2]
    for each in at.said:
        text = text.replace(each, "…")
    return told[0], told[1], text


def new_place(keystore: KeystoreProcess, name: str, parent: str, inviter: grpc.Channel) -> Place:
    registry, identities = keystore.registry, keystore.registry.identities
    asked = organisations_pb2.CreateOrganisationRequest(name=f"At {name}", parent_id=parent)
    own = registry.organisations.CreateOrganisation(asked).organisation.id
    people = registry.people
    made = people.CreateUser(
        people_pb2.CreateUserRequest(display_name=f"Ada {name}", organisation_id=own)
    )
    people.CreateUser(people_pb2.CreateUserRequest(display_name=f"Bo {name}", organisation_id=own))
    spending.enrol(made.device_token.text, keystore.folder / f"a-{name}", "authenticator", "phone")
    account = accounts_pb2.AddAccountRequest(user_id=made.user.id, name=rf"{name}\eve")
    registry.accounts.AddAccount(account)
    second = staff.CreateDeviceTokenRequest(user_id=made.user.id)
    # An alert tells of it, and codes of those whom the RA manager has invited count on it.
    (invited,) = ask(inviter, "IdentityService.CreateDeviceToken", second)
    assert isinstance(invited, staff.CreateDeviceTokenResponse)
    token = invited.device_token.text
    spending.enrol(token, keystore.folder / f"b-{name}", "authenticator", "phone")
    card = registry.cards.IssueCard(
        cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=made.user.id, profile="developer"
        )
    ).card
    trust = external_pb2.TrustAuthorityRequest(name=TRUST, certificate=TRUSTED)
    registry.external.TrustAuthority(trust)
    chosen = external_pb2.IssuerChoice(organisation_id=own, profile="p256", authority=TRUST)
    registry.external.ChooseIssuer(external_pb2.ChooseIssuerRequest(choice=chosen))
    registry.cards.IssueCard(
        cards_pb2.IssueCardRequest(request_id=os.urandom(16), user_id=made.user.id, profile="p256")
    )
    pc = identities.CreateWorkstation(
        staff.CreateWorkstationRequest(display_name=f"PC {name}", organisation_id=own)
    ).workstation
    tablet = registry.shared_devices.AddSharedDevice(
        shared_devices_pb2.AddSharedDeviceRequest(
            display_name=f"Tablet {name}", organisation_id=own
        )
    ).device
    identities.CreateOperator(
        staff.CreateOperatorRequest(
            display_name=f"Olga {name}", role=BuiltIn.SUPPORT, organisation_id=own
        )
    )
    identities.CreateAuditor(
        staff.CreateAuditorRequest(display_name=f"Aude {name}", organisation_id=own)
    )
    client = registry.clients.CreateClient(
        clients_pb2.CreateClientRequest(
            display_name=f"HR {name}", roles=[BuiltIn.SUPPORT], organisation_id=own
        )
    ).client
    hook = webhooks_pb2.CreateWebhookRequest(client_id=client.id, url=HOOK)
    policy = organisations_pb2.Policy(largest_batch=1)
    registry.organisations.SetPolicy(
        organisations_pb2.SetPolicyRequest(organisation_id=own, policy=policy)
    )
    asked_role = roles_pb2.CreateRoleRequest(
        name=f"clerk-{name}", rights=["view"], organisation_id=own
    )
    role = registry.roles.CreateRole(asked_role).role
    variant = profiles_pb2.CreateProfileRequest(
        name=f"series-{name}", base="v1", organisation_id=own
    )
    profile = registry.profiles.CreateProfile(variant).profile
    registry.cards.IssueCard(
        cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=made.user.id, profile=profile.name
        )
    )
    (operators,) = identities.ListOperators(staff.ListOperatorsRequest())
    (auditors,) = identities.ListAuditors(staff.ListAuditorsRequest())
    (devices,) = identities.ListDevices(staff.ListDevicesRequest(user_id=made.user.id))
    (alerts,) = registry.alerts.ListAlerts(alerts_pb2.ListAlertsRequest(include_acknowledged=True))
    (granted,) = registry.roles.ListAssignments(roles_pb2.ListAssignmentsRequest())
    operator = operators.operators[-1].id
    is_person = directories_pb2.SetOperatorPersonRequest(
        operator_id=operator, user_id=made.user.id, organisation_id=own
    )
    registry.directories.SetOperatorPerson(is_person)
    mapped = registry.directories.MapGroup(
        directories_pb2.MapGroupRequest(
            client_id=client.id,
            named_by="externalId",
            group=f"g-{name}",
            role=BuiltIn.SUPPORT,
            organisation_id=own,
        )
    )
    spare = organisations_pb2.CreateOrganisationRequest(name=f"Spare {name}", parent_id=own)
    digits = 100 + sum(map(ord, name)) % 900
    number = people_pb2.UpdateUserRequest(user_id=made.user.id, phone=f"+447700900{digits}")
    registry.people.UpdateUser(number)
    return Place(
        name=name,
        organisation=own,
        user=made.user.id,
        card=card.serial,
        device=devices.devices[-1].id,
        workstation=pc.id,
        tablet=tablet.id,
        operator=operator,
        auditor=auditors.auditors[-1].id,
        assignment=next(each.id for each in granted.assignments if each.identity_id == operator),
        role=role.id,
        profile=profile.id,
        alert=alerts.alerts[-1].id,
        client=client.id,
        mapping=mapped.mapping.id,
        webhook=registry.webhooks.CreateWebhook(hook).webhook.id,
        spare=registry.organisations.CreateOrganisation(spare).organisation.id,
    )


def with_requests(keystore: KeystoreProcess, at: Place) -> Place:
    """A place with two requests, about cards that no other call is about."""
    registry = keystore.registry
    registry.requests.SetFourEyes(THINGS["RequestService.SetFourEyes"].request(at))
    for _ in range(2):
        asked = cards_pb2.IssueCardRequest(
            request_id=os.urandom(16), user_id=at.user, profile="p256"
        )
        card = registry.cards.IssueCard(asked).card
        revoked = cards_pb2.RevokeCardRequest(
            card_serial=card.serial,
            reason="stolen",
            code=cards_pb2.REVOCATION_REASON_KEY_COMPROMISE,
        )
        with pytest.raises(grpc.RpcError) as refused:
            registry.cards.RevokeCard(revoked)
        assert reason(refused.value) == "SECOND_NEEDED"
    (found,) = registry.requests.ListRequests(requests_pb2.ListRequestsRequest())
    approvable, refusable = (each.id for each in found.requests[-2:])
    return replace(at, approvable=approvable, refusable=refusable)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("rights")
    with Nursery(folder / "logs") as nursery, ExitStack() as open_:
        mail = open_.enter_context(serving(MailServer()))
        sms = ("--sms-file", str(folder / "sms"))
        keystore = KeystoreProcess(folder, nursery, (*options_to(mail), *sms, "--ca-host", NOBODY))
        identities = keystore.registry.identities

        def enrolled(name: str, token: str, role: str) -> grpc.Channel:
            who = spending.enrol(token, folder / name, role)
            return open_.enter_context(identity.channel(who))

        # Somebody who could approve, anywhere.
        asked_second = staff.CreateOperatorRequest(display_name="second")
        second = enrolled("second", identities.CreateOperator(asked_second).token.text, "operator")
        own = new_place(keystore, "zzown", "", second)
        child = new_place(keystore, "zzchild", own.organisation, second)
        other = new_place(keystore, "zzother", "", second)
        defined = roles_pb2.CreateRoleRequest(
            name=CUSTOM, rights=sorted(RIGHTS[CUSTOM]), organisation_id=own.organisation
        )
        keystore.registry.roles.CreateRole(defined)
        channels = {
            each: enrolled(
                each,
                identities.CreateOperator(
                    staff.CreateOperatorRequest(
                        display_name=each, role=each, organisation_id=own.organisation
                    )
                ).token.text,
                "operator",
            )
            for each in OPERATORS_ROLES
        }
        asked = staff.CreateAuditorRequest(display_name="own", organisation_id=own.organisation)
        token = identities.CreateAuditor(asked).token.text
        channels[BuiltIn.AUDITOR] = enrolled("auditor", token, "auditor")
        token = identities.CreateAuditor(staff.CreateAuditorRequest(display_name="all")).token.text
        places = {
            name: with_requests(keystore, at)
            for name, at in (("own", own), ("child", child), ("other", other))
        }
        operator = open_.enter_context(identity.channel(keystore.operator))
        of_all = {"operator": operator, "auditor": enrolled("all", token, "auditor")}
        yield Town(places, channels, of_all)


def roles_of(call: str) -> list[str]:
    """The roles of those who get into a service at all."""
    audits = role_of(CALLS[call].containing_service) == "auditor"
    return [BuiltIn.AUDITOR] if audits else OPERATORS_ROLES


# Before anything ends by the calls below.
@pytest.mark.parametrize("call", LISTS)
def test_a_list_shows_what_the_caller_sees_and_no_word_of_the_rest(town: Town, call: str) -> None:
    """USER-13: one list over all organisations that the caller may see."""
    right, request = LISTS[call]
    for role in roles_of(call):
        channel = town.staff[role]
        if right not in RIGHTS[role]:
            assert outcome(channel, call, request)[1] == "NOT_ALLOWED", role
            continue
        said = "".join(map(str, ask(channel, call, request)))
        own, child, other = (town.places[each].said for each in ("own", "child", "other"))
        assert any(word in said for word in own), role
        assert any(word in said for word in child), role
        assert not [word for word in other if word in said], role


@pytest.mark.parametrize("call", THINGS)
def test_a_thing_is_touched_with_the_right_alone_and_elsewhere_it_does_not_exist(
    town: Town, call: str
) -> None:
    """CARD-08: also a card is issued for another organisation with the right there alone."""
    row = THINGS[call]
    answered = set()
    # Those who may do least come first, before anything ends.
    for role in sorted(roles_of(call), key=lambda each: len(RIGHTS[each])):
        channel, rights = town.staff[role], RIGHTS[role]
        nothing = unnamed(outcome(channel, call, row.request(MISSING)), MISSING)
        assert nothing[0] is grpc.StatusCode.NOT_FOUND, (role, nothing)
        for where, at in town.places.items():
            told = outcome(channel, call, row.request(at))
            if where == "other" or not rights & row.shown_by:
                assert unnamed(told, at) == nothing, (role, where)
            elif row.right in rights:
                assert told[0] in PASSED, (role, where, told)
                answered.add(told[0])
            else:
                assert told[:2] == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"), (role, where)
    assert grpc.StatusCode.OK in answered or call in NEVER


@pytest.mark.parametrize("call", GENERAL)
def test_who_has_a_role_may_ask_in_general(town: Town, call: str) -> None:
    _, request = GENERAL[call]
    for role in roles_of(call):
        told = outcome(town.staff[role], call, request)
        assert told[0] in {grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND}, (role, told)


@pytest.mark.parametrize("call", WHOLE)
def test_what_is_about_everybody_is_for_those_of_the_whole(town: Town, call: str) -> None:
    _, request = WHOLE[call]
    for role in roles_of(call):
        assert outcome(town.staff[role], call, request)[1] == "NOT_ALLOWED", role
    of_all = town.of_all[role_of(CALLS[call].containing_service) or ""]
    assert outcome(of_all, call, request)[1] in {"", "ENTRY_NOT_FOUND"}


def test_people_are_imported_into_organisations_where_the_right_is_held(town: Town) -> None:
    """An organisation elsewhere is as one that does not exist, and nobody there is named."""

    def ask_for(role: str, organisation: str, email: str = "") -> importing_pb2.ImportedUser:
        said = importing_pb2.Candidate(
            name="Eve", email=email or f"{uuid4()}@example.org", organisation=organisation
        )
        request = importing_pb2.ImportUsersRequest(candidates=[said])
        [answer] = ask(town.staff[role], IMPORT, request)
        return answer.users[0]  # type: ignore[attr-defined]

    taken = f"{uuid4()}@example.org"
    asked = people_pb2.CreateUserRequest(
        display_name="Zora",
        email=taken,
        organisation_id=town.places["other"].organisation,
    )
    ask(town.of_all["operator"], "PeopleService.CreateUser", asked)
    nobody = importing_pb2.ImportUsersRequest()
    for role in OPERATORS_ROLES:
        if Right.PEOPLE not in RIGHTS[role]:
            assert outcome(town.staff[role], IMPORT, nobody)[1] == "NOT_ALLOWED", role
            continue
        own, child, other, missing = (
            ask_for(role, each)
            for each in (*(at.organisation for at in town.places.values()), str(uuid4()))
        )
        added = importing_pb2.IMPORT_OUTCOME_ADDED
        assert (own.outcome, child.outcome) == (added, added), role
        assert other.outcome == importing_pb2.IMPORT_OUTCOME_REFUSED
        assert other == missing
        refused = ask_for(role, town.places["own"].organisation, taken)
        assert refused.outcome == importing_pb2.IMPORT_OUTCOME_REFUSED
        assert "Zora" not in str(refused)


def test_who_moves_all_of_an_organisation_may_do_so_with_each_part(town: Town) -> None:
    """USER-25: in both organisations; of another one, nobody learns whether it is there."""

    def ask_for(role: str, from_: Place, to: Place) -> tuple[grpc.StatusCode, str, str]:
        request = organisations_pb2.MigrateOrganisationRequest(
            organisation_id=from_.spare, to_organisation_id=to.organisation
        )
        return outcome(town.staff[role], MIGRATE, request)

    own, other = town.places["own"], town.places["other"]
    for role in OPERATORS_ROLES:
        if set(NEEDED) <= RIGHTS[role]:
            assert ask_for(role, own, own)[0] is grpc.StatusCode.OK, role
            hidden = [ask_for(role, own, each) for each in (other, MISSING)]
            there, nowhere = (unnamed(*each) for each in zip(hidden, (other, MISSING), strict=True))
            assert there == nowhere, role
        else:
            assert ask_for(role, own, own)[1] == "NOT_ALLOWED", role
        there, nowhere = (unnamed(ask_for(role, each, own), each) for each in (other, MISSING))
        assert there == nowhere, role
        assert there[0] is not grpc.StatusCode.OK
