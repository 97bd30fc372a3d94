"""Each call that changes something or uses a key leaves its entry in the journal: every method of
every service is in one of two tables, and those of the first are called at a real keystore.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.approval import statement
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.model.directories.entries import Said
from cloud_keystore.model.errors import KeyBackendUnavailable
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.rights.visits import OWN_PREFIX, text_sha256
from cloud_keystore.storage.engine import Database
from cloudcard.administration.v1 import administration_pb2, administration_pb2_grpc
from cloudcard.approval.v1 import approval_pb2
from cloudcard.audit.v1 import audit_pb2, audit_pb2_grpc
from cloudcard.authenticator.v1 import (
    authenticator_pb2,
    authenticator_pb2_grpc,
    holder_pb2,
    holder_pb2_grpc,
)
from cloudcard.enrolment.v1 import renewal_pb2, renewal_pb2_grpc
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
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.approving import sign
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import spending
from cloudcard_tools.enrolment.requests import fresh_key
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support import stepped_clock
from support.exports import checked, export_of
from support.external_ca import certify, empty_list, new_authority
from support.fake_token import on_token
from support.keystore_process import PASSCODE, KeystoreProcess, Workstation, administrator
from support.keystore_world import OPERATOR, World, new_world
from support.mail_server import MailServer, options_to, serving
from support.outbox import Told
from support.polling import until
from support.portal import EMAIL, OTHER, PASSWORD, QUESTIONS, Portal
from support.registry import Registry
from support.schema import METHODS

DIGEST = b"\x11" * 32
PIN, PUK = 0x80, 0x81
FACTORY_PIN, FACTORY_PUK = b"123456", b"12345678"
TERMS = approval_pb2.SessionTerms(most_uses=10, seconds=3600)
ENROL = "EnrolmentService.Enrol"
NOBODY = "127.0.0.1:9"  # no EST server is there

TOLD: dict[str, Kind] = {
    ENROL: Kind.IDENTITY_ENROLLED,
    "WorkstationService.VerifyPasscode": Kind.PASSCODE_RIGHT,
    "WorkstationService.ChangePasscode": Kind.PASSCODE_SET,
    "WorkstationService.ResetPasscode": Kind.PASSCODE_UNBLOCKED,
    "WorkstationService.ReadObject": Kind.CARD_READ,
    "WorkstationService.EstablishSessionKeys": Kind.SECURE_MESSAGING_AGREED,
    "WorkstationService.CreateOperation": Kind.OPERATION_ASKED,
    "WorkstationService.PerformOperation": Kind.OPERATION_USED,
    "WorkstationService.CancelOperation": Kind.OPERATION_CANCELLED,
    "WorkstationService.UseSession": Kind.SESSION_USED,
    "WorkstationService.UseSessions": Kind.SESSION_USED,
    "WorkstationService.EndSession": Kind.SESSION_ENDED,
    "WorkstationService.BeginSignIn": Kind.SIGN_IN_ASKED,
    "WorkstationService.EndSignIn": Kind.SIGN_IN_ENDED,
    "AuthenticatorService.EndSignIn": Kind.SIGN_IN_ENDED,
    "AuthenticatorService.ClaimQrCode": Kind.OPERATION_CLAIMED,
    "AuthenticatorService.Decide": Kind.OPERATION_APPROVED,
    "AuthenticatorService.EndSession": Kind.SESSION_ENDED,
    "AuthenticatorService.SetPasscode": Kind.CARD_ACTIVATED,
    "AuthenticatorService.ChangePasscode": Kind.PASSCODE_SET,
    "AuthenticatorService.ResetPasscode": Kind.PASSCODE_UNBLOCKED,
    "AuthenticatorService.SendPhoneCode": Kind.PHONE_CODE_SENT,
    "AuthenticatorService.VerifyPhone": Kind.PHONE_CODE_WRONG,
    "AuthenticatorService.AnswerSurvey": Kind.SURVEY_ANSWERED,
    "HolderService.RemoveDevice": Kind.IDENTITY_REMOVED,
    "HolderService.SendDeviceCode": Kind.DEVICE_CODE_SENT,
    "HolderService.InviteDevice": Kind.DEVICE_CODE_WRONG,
    "HolderService.SendAddressCode": Kind.ADDRESS_CODE_SENT,
    "HolderService.VerifyAddress": Kind.ADDRESS_CODE_WRONG,
    "HolderService.SetPortalPassword": Kind.PORTAL_SET,
    "HolderService.SetSecurityQuestions": Kind.QUESTIONS_SET,
    "AuthenticatorService.AgreeToUnlock": Kind.PASSCODE_UNBLOCKED,
    "AuthenticatorService.UseUnlockCode": Kind.PASSCODE_UNBLOCKED,
    "AdministrationService.AnswerChallenge": Kind.ADMINISTRATOR_RIGHT,
    "AdministrationService.WriteObject": Kind.CARD_WRITTEN,
    "AdministrationService.GenerateKey": Kind.KEY_MADE,
    "AdministrationService.ImportKey": Kind.KEY_IMPORTED,
    "AdministrationService.MoveKey": Kind.KEY_MOVED,
    "AdministrationService.SetManagementKey": Kind.MANAGEMENT_KEY_SET,
    "AdministrationService.SetTries": Kind.PASSCODE_SET,
    "AdministrationService.ResetCard": Kind.CARD_RESET,
    "AdministrationService.AttestKey": Kind.KEY_ATTESTED,
    "PeopleService.CreateUser": Kind.USER_ADDED,
    "PeopleService.GetUser": Kind.JOURNAL_READ,
    "PeopleService.UpdateUser": Kind.USER_CHANGED,
    "PeopleService.SendAddressLink": Kind.ADDRESS_LINK_SENT,
    "PeopleService.SendPhoneCode": Kind.PHONE_CODE_SENT,
    "PeopleService.VerifyPhone": Kind.PHONE_CODE_WRONG,
    "PeopleService.CloseUser": Kind.USER_CLOSED,
    "IdentityService.CreateDeviceToken": Kind.IDENTITY_INVITED,
    "IdentityService.CreateShortCode": Kind.SHORT_CODE_MADE,
    "IdentityService.CreateWorkstation": Kind.IDENTITY_INVITED,
    "IdentityService.UpdateWorkstation": Kind.IDENTITY_CHANGED,
    "IdentityService.UpdateOperator": Kind.IDENTITY_CHANGED,
    "IdentityService.UpdateAuditor": Kind.IDENTITY_CHANGED,
    "IdentityService.RemoveWorkstation": Kind.IDENTITY_REMOVED,
    "IdentityService.RemoveDevice": Kind.IDENTITY_REMOVED,
    "IdentityService.CreateOperator": Kind.IDENTITY_INVITED,
    "IdentityService.CreateVisitCode": Kind.VISIT_ASKED,
    "IdentityService.RemoveOperator": Kind.IDENTITY_REMOVED,
    "IdentityService.CreateAuditor": Kind.IDENTITY_INVITED,
    "IdentityService.RemoveAuditor": Kind.IDENTITY_REMOVED,
    "RenewalService.Renew": Kind.IDENTITY_RENEWED,
    "CardService.IssueCard": Kind.CARD_ISSUED,
    "CardService.UnlockCard": Kind.UNLOCK_ASKED,
    "CardService.CreateUnlockCode": Kind.UNLOCK_CODE_MADE,
    "CardService.SuspendCard": Kind.CARD_SUSPENDED,
    "CardService.ResumeCard": Kind.CARD_RESUMED,
    "CardService.RevokeCard": Kind.CARD_REVOKED,
    "CardService.ReplaceCard": Kind.CARD_REPLACED,
    "AlertService.AcknowledgeAlert": Kind.ALERT_ACKNOWLEDGED,
    "NotificationService.RetryNotifications": Kind.NOTIFICATIONS_RETRIED,
    "NotificationService.TestNotification": Kind.NOTIFICATION_TESTED,
    "OrganisationService.CreateOrganisation": Kind.ORGANISATION_ADDED,
    "OrganisationService.UpdateOrganisation": Kind.ORGANISATION_CHANGED,
    "OrganisationService.MigrateOrganisation": Kind.IDENTITY_CHANGED,
    "OrganisationService.SetPolicy": Kind.POLICY_SET,
    "ImportService.ImportUsers": Kind.USER_ADDED,
    "FeedbackService.AddFeedback": Kind.FEEDBACK_GIVEN,
    "ClientService.CreateClient": Kind.CLIENT_ADDED,
    "ClientService.RemoveClient": Kind.IDENTITY_REMOVED,
    "WebhookService.CreateWebhook": Kind.WEBHOOK_ADDED,
    "WebhookService.RotateWebhook": Kind.WEBHOOK_ROTATED,
    "WebhookService.TestWebhook": Kind.WEBHOOK_TESTED,
    "WebhookService.RetryDeliveries": Kind.WEBHOOK_RETRIED,
    "WebhookService.RemoveWebhook": Kind.WEBHOOK_REMOVED,
    "AccountService.AddAccount": Kind.WINDOWS_ACCOUNT_ADDED,
    "AccountService.UpdateAccount": Kind.WINDOWS_ACCOUNT_CHANGED,
    "AccountService.RemoveAccount": Kind.WINDOWS_ACCOUNT_REMOVED,
    "AccountService.SetAccountDirectory": Kind.ACCOUNT_DIRECTORY_CHANGED,
    "SharedDeviceService.AddSharedDevice": Kind.IDENTITY_INVITED,
    "SharedDeviceService.RemoveSharedDevice": Kind.IDENTITY_REMOVED,
    "DomainService.AddDomain": Kind.EMAIL_DOMAIN_ADDED,
    "DomainService.RemoveDomain": Kind.EMAIL_DOMAIN_REMOVED,
    "RequestService.SetFourEyes": Kind.FOUR_EYES_SET,
    "RequestService.ApproveRequest": Kind.REQUEST_APPROVED,
    "RequestService.RefuseRequest": Kind.REQUEST_REFUSED,
    "PeopleService.JoinOrganisation": Kind.MEMBERSHIP_ADDED,
    "PeopleService.LeaveOrganisation": Kind.MEMBERSHIP_ENDED,
    "RoleService.CreateRole": Kind.ROLE_DEFINED,
    "RoleService.UpdateRole": Kind.ROLE_CHANGED,
    "RoleService.DeleteRole": Kind.ROLE_DELETED,
    "ProfileService.CreateProfile": Kind.PROFILE_DEFINED,
    "ProfileService.UpdateProfile": Kind.PROFILE_CHANGED,
    "ProfileService.DeleteProfile": Kind.PROFILE_DELETED,
    "ExternalService.TrustAuthority": Kind.AUTHORITY_TRUSTED,
    "ExternalService.DistrustAuthority": Kind.AUTHORITY_DISTRUSTED,
    "ExternalService.UseEstServer": Kind.EST_SERVER_CHANGED,
    "ExternalService.StopEstServer": Kind.EST_SERVER_CHANGED,
    "ExternalService.BringList": Kind.EXTERNAL_LIST_TAKEN,
    "ExternalService.UseList": Kind.EXTERNAL_LIST_CHANGED,
    "ExternalService.ChooseIssuer": Kind.ISSUER_CHOSEN,
    "ExternalService.ImportCertificates": Kind.CERTIFICATE_RECEIVED,
    "DirectoryService.MapGroup": Kind.GROUP_MAPPED,
    "DirectoryService.UnmapGroup": Kind.GROUP_UNMAPPED,
    "DirectoryService.SetOperatorPerson": Kind.OPERATOR_IDENTIFIED,
    "RoleService.GrantRole": Kind.ROLE_GRANTED,
    "RoleService.WithdrawRole": Kind.ROLE_WITHDRAWN,
    "AuditService.GetJournal": Kind.JOURNAL_READ,
    "AuditService.SearchEntries": Kind.JOURNAL_READ,
    "AuditService.FindSubjects": Kind.JOURNAL_READ,
    "AuditService.ExportEntries": Kind.JOURNAL_READ,
    "AuditService.ListCheckpoints": Kind.JOURNAL_READ,
    "AuditService.ProveInclusion": Kind.JOURNAL_READ,
    "AuditService.ProveConsistency": Kind.JOURNAL_READ,
}

# What is called at a keystore whose clock is stepped.
TOLD_LATER: dict[str, Kind] = {"CardService.RenewCard": Kind.CARD_RENEWED}

# What is called about a card of which the token has not made the keys.
TOLD_OF_FAILED: dict[str, Kind] = {
    "CardService.CancelIssuing": Kind.CARD_CANCELLED,
    "CardService.ResumeIssuing": Kind.CARD_ISSUED,
}

# What is called about somebody of whom a directory says something.
TOLD_OF_DIRECTORIES: dict[str, Kind] = {
    "DirectoryService.DecideDifference": Kind.DIRECTORY_DECIDED,
}

# What is called about a phone that asks for a PIN.
TOLD_OF_PINS: dict[str, Kind] = {
    "AppPinService.ChooseAppPin": Kind.APP_PIN_SET,
    "AppPinService.ChangeAppPin": Kind.APP_PIN_CHANGED,
    "AppPinService.CheckAppPin": Kind.APP_PIN_WRONG,
    "AppPinService.ResetAppPin": Kind.APP_PIN_RESET,
    "IdentityService.CreateAppPinCode": Kind.APP_PIN_CODE_MADE,
}

# What a phone is asked about the portal.
TOLD_OF_PORTAL: dict[str, Kind] = {"HolderService.AnswerPortalQuestion": Kind.ASSENT_AGREED}

UNTOLD: dict[str, str] = {
    "AdministrationService.RequestChallenge": "opens nothing; its answer is told",
    "EnrolmentService.GetPasskeyTerms": "reads; enrolment is told",
    "WorkstationService.ReportTicket": "what the broker says of the ticket is told, later",
    "WorkstationService.ReportProblems": "tells what is wrong at the caller's own computer",
    "IdentityService.GetWorkstationReport": "reads",
    **{
        f"WorkstationService.{name}": "reads"
        for name in (
            *("GetCard", "GetPasscodeStatus", "WatchOperation", "WatchOperations", "WatchSignIn"),
            "Ping",
        )
    },
    **{
        f"AuthenticatorService.{name}": "reads"
        for name in (
            *("WatchRequests", "GetRequest", "ListCards", "ListSessions", "ListSignIns"),
            "GetSurvey",
        )
    },
    "HolderService.GetPortalAccess": "reads",
    "HolderService.ListDevices": "reads",
    "HolderService.ListPortalQuestions": "reads",
    "AppPinService.GetAppPin": "reads",
    **{
        f"PeopleService.{name}": "reads"
        for name in ("ListUsers", "SearchUsers", "ListPending", "ListExpiring")
    },
    "FindingService.Find": "reads",
    "DomainService.ListDomains": "reads",
    "SharedDeviceService.ListSharedDevices": "reads",
    "SharedDeviceService.SignOutSharedDevice": "tells of whoever was signed in, if anybody was",
    **{
        f"DirectoryService.List{name}": "reads"
        for name in ("Differences", "GroupMappings", "OperatorPersons")
    },
    **{f"FeedbackService.{name}": "reads" for name in ("ListFeedback", "GetScores")},
    "ClientService.ListClients": "reads",
    **{f"WebhookService.List{name}": "reads" for name in ("Webhooks", "Deliveries")},
    **{
        f"AccountService.{name}": "reads"
        for name in ("ListAccounts", "GetAccountDirectory", "ListHeldAccounts")
    },
    **{
        f"ExternalService.List{name}": "reads"
        for name in ("ExternalAuthorities", "IssuerChoices", "CardRequests")
    },
    **{f"AuthorityService.{name}": "reads" for name in ("ListAuthorities", "ExportRevocationList")},
    "AlertService.ListAlerts": "reads",
    "NotificationService.ListNotifications": "reads",
    **{
        f"CardService.{name}": "reads"
        for name in ("ListProfiles", "ListCards", "CountCards", "GetCard")
    },
    **{f"OrganisationService.List{name}": "reads" for name in ("Organisations", "Policies")},
    "OrganisationService.ExplainPolicy": "reads",
    **{f"RequestService.List{name}": "reads" for name in ("Requests", "FourEyes")},
    **{f"RoleService.List{name}": "reads" for name in ("Roles", "Assignments")},
    "ProfileService.ListCustomProfiles": "reads",
    "IdentityService.GetDevice": "reads",
    **{
        f"IdentityService.List{name}": "reads"
        for name in ("Workstations", "Devices", "Operators", "Auditors")
    },
}


UNDELIVERED = b'"alert":"undelivered"'


def test_every_method_is_in_a_table() -> None:
    methods = {f"{method.containing_service.name}.{method.name}" for method in METHODS}
    tables = (
        *(TOLD, TOLD_LATER, TOLD_OF_FAILED, TOLD_OF_DIRECTORIES, TOLD_OF_PINS, TOLD_OF_PORTAL),
        UNTOLD,
    )
    assert sorted(methods) == sorted(name for table in tables for name in table)


@dataclass
class Journal(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Notes what each method that succeeds leaves in a keystore's journal."""

    database: Path
    found: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @contextmanager
    def during(self, method: str) -> Iterator[None]:
        """Entries that are written in the block are the method's."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            (last,) = connection.execute("select max(id) from journal").fetchone()
            yield
            new = connection.execute("select kind, entry from journal where id > ?", (last,))
            # Mail that nobody takes is told of whenever it is tried.
            self.found[method].update(kind for kind, entry in new if UNDELIVERED not in entry)

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, object], grpc.Call],
        details: grpc.ClientCallDetails,
        request: object,
    ) -> grpc.Call:
        with self.during(_name(details)):
            call = continuation(details, request)
            call.result()
        return call

    def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.ClientCallDetails, object], Iterator[object]],
        details: grpc.ClientCallDetails,
        request: object,
    ) -> Iterator[object]:
        with self.during(_name(details)):
            return iter(list(continuation(details, request)))

    def intercept_stream_stream(
        self,
        continuation: Callable[[grpc.ClientCallDetails, object], Iterator[object]],
        details: grpc.ClientCallDetails,
        requests: object,
    ) -> Iterator[object]:
        return self.intercept_unary_stream(continuation, details, requests)


def _name(details: grpc.ClientCallDetails) -> str:
    return details.method.rpartition(".")[2].replace("/", ".")


@dataclass
class Place:
    """A keystore, and channels to it that are listened to."""

    keystore: KeystoreProcess
    journal: Journal
    open_: ExitStack

    def channel(self, own: identity.Identity) -> grpc.Channel:
        channel = self.open_.enter_context(identity.channel(own))
        return grpc.intercept_channel(channel, self.journal)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with (
        serving(MailServer(to_recipients=["550 Unknown"])) as mail,
        Nursery(tmp_path / "logs") as nursery,
        ExitStack() as open_,
    ):
        sms = ("--sms-file", str(tmp_path / "sms"))
        keystore = KeystoreProcess(
            tmp_path, nursery, (*options_to(mail), *sms, "--ca-host", NOBODY)
        )
        place = Place(keystore, Journal(tmp_path / "keystore" / "keystore.db"), open_)
        keystore.registry = Registry(place.channel(keystore.operator))
        yield place


def test_every_change_and_every_use_is_told(place: Place) -> None:
    keystore = place.keystore
    user_id, own_phone = keystore.holder("Ada", EMAIL)
    with place.journal.during(ENROL):
        own_pc = keystore.workstation("PC1")
    pc_channel, phone_channel = place.channel(own_pc), place.channel(own_phone)
    pc = workstation_pb2_grpc.WorkstationServiceStub(pc_channel)
    device = authenticator_pb2_grpc.AuthenticatorServiceStub(phone_channel)
    phone = Phone(own_phone, phone_channel)
    registry = keystore.registry
    registry.organisations.SetPolicy(
        organisations_pb2.SetPolicyRequest(
            policy=organisations_pb2.Policy(
                largest_batch=1, session=TERMS, survey_after=1, portal_passwords=True
            )
        )
    )
    organisation = organisations_pb2.CreateOrganisationRequest(name="St Elsewhere")
    number = people_pb2.UpdateUserRequest(user_id=user_id, phone="+447700900123")
    registry.people.UpdateUser(number)
    registry.people.SendPhoneCode(people_pb2.SendPhoneCodeRequest(user_id=user_id))
    registry.people.VerifyPhone(people_pb2.VerifyPhoneRequest(user_id=user_id, code="none"))
    device.SendPhoneCode(authenticator_pb2.SendPhoneCodeRequest())
    device.VerifyPhone(authenticator_pb2.VerifyPhoneRequest(code="none"))
    own = holder_pb2_grpc.HolderServiceStub(phone_channel)
    own.SendDeviceCode(holder_pb2.SendDeviceCodeRequest())
    own.InviteDevice(holder_pb2.InviteDeviceRequest(code="none"))
    own.SendAddressCode(holder_pb2.SendAddressCodeRequest())
    own.VerifyAddress(holder_pb2.VerifyAddressRequest(code="none"))
    registry.people.UpdateUser(
        people_pb2.UpdateUserRequest(user_id=user_id, email="ada.king@example.org")
    )
    registry.people.SendAddressLink(people_pb2.SendAddressLinkRequest(user_id=user_id))
    own.SetPortalPassword(holder_pb2.SetPortalPasswordRequest(password=OTHER))
    questions = [
        holder_pb2.SecurityQuestion(question=each.text, answer=each.answer) for each in QUESTIONS
    ]
    own.SetSecurityQuestions(holder_pb2.SetSecurityQuestionsRequest(questions=questions))
    another = identities_pb2.CreateDeviceTokenRequest(user_id=user_id)
    registry.identities.CreateDeviceToken(another)
    theirs = identities_pb2.ListDevicesRequest(user_id=user_id)
    known = [each for page in registry.identities.ListDevices(theirs) for each in page.devices]
    (invited,) = [each.id for each in known if each.id != own_phone.id]
    own.RemoveDevice(holder_pb2.RemoveDeviceRequest(device_id=invited))
    registry.feedback.AddFeedback(feedback_pb2.AddFeedbackRequest(text="good"))
    made = registry.organisations.CreateOrganisation(organisation).organisation
    registry.organisations.UpdateOrganisation(
        organisations_pb2.UpdateOrganisationRequest(organisation_id=made.id, help_contact="Otto")
    )
    registry.identities.UpdateWorkstation(
        identities_pb2.UpdateWorkstationRequest(workstation_id=own_pc.id, organisation_id=made.id)
    )
    empty = organisations_pb2.CreateOrganisationRequest(name="Old")
    old = registry.organisations.CreateOrganisation(empty).organisation
    for at in (old, made):
        registry.identities.UpdateWorkstation(
            identities_pb2.UpdateWorkstationRequest(workstation_id=own_pc.id, organisation_id=at.id)
        )
    registry.organisations.MigrateOrganisation(
        organisations_pb2.MigrateOrganisationRequest(
            organisation_id=made.id, to_organisation_id=old.id
        )
    )
    shared = registry.shared_devices.AddSharedDevice(
        shared_devices_pb2.AddSharedDeviceRequest(display_name="Tablet")
    ).device.id
    registry.shared_devices.RemoveSharedDevice(
        shared_devices_pb2.RemoveSharedDeviceRequest(device_id=shared, reason="lost")
    )
    registry.domains.AddDomain(domains_pb2.AddDomainRequest(name="example.org"))
    registry.domains.RemoveDomain(domains_pb2.RemoveDomainRequest(name="example.org"))
    own = {"user_id": user_id, "name": r"CORP\ada"}
    registry.accounts.AddAccount(accounts_pb2.AddAccountRequest(**own))
    registry.accounts.UpdateAccount(accounts_pb2.UpdateAccountRequest(**own, disabled=True))
    assert list(registry.accounts.ListAccounts(accounts_pb2.ListAccountsRequest(user_id=user_id)))
    assert not list(registry.accounts.ListHeldAccounts(accounts_pb2.ListHeldAccountsRequest()))
    registry.accounts.RemoveAccount(accounts_pb2.RemoveAccountRequest(**own))
    corp = accounts_pb2.AccountDirectory(
        url="ldaps://dc1.corp.example", bind_dn="cn=ra", base_dn="dc=corp", domain="CORP"
    )
    registry.accounts.SetAccountDirectory(accounts_pb2.SetAccountDirectoryRequest(directory=corp))
    registry.accounts.GetAccountDirectory(accounts_pb2.GetAccountDirectoryRequest())
    candidate = importing_pb2.Candidate(name="Bo", email="bo@example.org")
    registry.importing.ImportUsers(importing_pb2.ImportUsersRequest(candidates=[candidate]))

    _certify_elsewhere(keystore, user_id)
    serial, puk = _issued(place, user_id, phone, "sm-cs2")
    _use_passcodes(pc, serial, puk)
    _use_passcodes_on_the_phone(phone, serial, puk.decode())
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    pc.EstablishSessionKeys(
        workstation_pb2.EstablishSessionKeysRequest(
            card_serial=serial,
            cipher_suite=0x27,
            point=point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        )
    )
    pc.ReadObject(
        workstation_pb2.ReadObjectRequest(
            card_serial=serial, tag=0x5FC109, passcode_proof=Workstation(pc, serial).proof()
        )
    )
    _use_keys(Workstation(pc, serial), phone, device)
    _sign_in(Workstation(pc, serial), phone, device)
    _administer(pc_channel, keystore.developer_card(user_id))
    _renew(pc_channel, own_pc)
    journal = _audit(place)
    phone.not_me(phone.find(Workstation(pc, serial).create(os.urandom(16)).id))
    _operate(registry, phone, user_id, serial)
    _ask_another(place)
    _notify(place)
    gone = identities_pb2.RemoveDeviceRequest(device_id=own_phone.id, reason="lost")
    registry.identities.RemoveDevice(gone)
    gone_too = identities_pb2.RemoveWorkstationRequest(workstation_id=own_pc.id, reason="stolen")
    registry.identities.RemoveWorkstation(gone_too)
    registry.people.GetUser(people_pb2.GetUserRequest(user_id=user_id))
    renamed = people_pb2.UpdateUserRequest(user_id=user_id, display_name="Ada King")
    registry.people.UpdateUser(renamed)
    registry.people.CloseUser(people_pb2.CloseUserRequest(user_id=user_id, reason="left"))

    missing = {
        name: kind for name, kind in TOLD.items() if kind not in place.journal.found.get(name, ())
    }
    assert not missing
    assert not {name: place.journal.found[name] for name in UNTOLD if place.journal.found[name]}
    keystore.child.stop()  # all entries get their places
    with closing(Database(f"sqlite:///{place.journal.database}")) as database:
        result = checked(export_of(database, journal.origin, journal.public_key))
    assert result.findings == []
    assert result.unshown == {}


def _notify(place: Place) -> None:
    """Send an e-mail that the server refuses, and let it be tried again."""
    registry = place.keystore.registry
    test = notifications_pb2.TestNotificationRequest(address="ada@example.org")
    registry.notifications.TestNotification(test)
    failed = notifications_pb2.ListNotificationsRequest(failed=True)
    # Not over the channel that is listened to: the alert about it is written meanwhile.
    with identity.channel(place.keystore.operator) as channel:
        until(lambda: bool(list(Registry(channel).notifications.ListNotifications(failed))))
    assert list(registry.notifications.ListNotifications(failed))
    again = notifications_pb2.RetryNotificationsRequest()
    assert registry.notifications.RetryNotifications(again).retried == 1


def test_what_is_called_years_later_is_told(tmp_path: Path) -> None:
    with Nursery(tmp_path / "logs") as nursery:
        keystore, own = stepped_clock.start(nursery, tmp_path, tmp_path)
        journal = Journal(tmp_path / "keystore" / "keystore.db")
        with identity.channel(own) as channel:
            registry = Registry(grpc.intercept_channel(channel, journal))
            added = registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"))
            device = spending.enrol(added.device_token.text, tmp_path / "phone", "authenticator")
            asked = cards_pb2.IssueCardRequest(
                request_id=os.urandom(16), user_id=added.user.id, profile="p256"
            )
            serial = registry.cards.IssueCard(asked).card.serial
            with identity.channel(device) as theirs:
                Phone(device, theirs).set_passcode(serial, PASSCODE)
            stepped_clock.step(keystore, 700)
            registry.cards.RenewCard(cards_pb2.RenewCardRequest(card_serial=serial))
        assert {name: journal.found[name] & {kind} for name, kind in TOLD_LATER.items()} == {
            name: {kind} for name, kind in TOLD_LATER.items()
        }


def test_what_becomes_of_a_failed_card_is_told(tmp_path: Path) -> None:
    calls = {
        "CardService.CancelIssuing": Issuing.cancel,
        "CardService.ResumeIssuing": Issuing.resume,
    }
    world = new_world(tmp_path)
    with closing(world.database):
        token, (user, _) = on_token(world), world.user()
        token.away = True
        with pytest.raises(KeyBackendUnavailable):
            world.issuing.issue(os.urandom(16), user.id, "p256", actor=OPERATOR)
        token.away = False
        [failed] = world.cards.list_all(actor=OPERATOR)
        for name, kind in TOLD_OF_FAILED.items():
            calls[name](world.issuing, failed.card.serial, actor=OPERATOR)
            assert [entry.actor for entry in world.journal(kind)] == [OPERATOR]


def test_what_is_decided_about_a_directory_is_told(world: World) -> None:
    directory = world.clients.add("HR", ["ra-agent"], actor=OPERATOR).listing.client.actor
    made = world.provisioning.create(Said(user_name="ada", name="Ada"), actor=directory)
    world.people.change_user(made.id, "Ada Byron", None, actor=OPERATOR)
    world.differences.decide(made.id, "name", take=True, actor=OPERATOR)
    for kind in TOLD_OF_DIRECTORIES.values():
        assert [entry.actor for entry in world.journal(kind)] == [OPERATOR]


def test_the_pins_of_phones_are_told(world: World) -> None:
    _, phone = world.user()
    own = phone.identity
    world.app_pins.choose(b"246802", own)
    world.app_pins.change(b"246802", b"975310", own)
    world.app_pins.check(b"246802", "a request", own)
    code = world.app_pins.make_code(own.id, actor=OPERATOR).code
    world.app_pins.reset(code.encode(), b"246802", own)
    for kind in TOLD_OF_PINS.values():
        actor = OPERATOR if kind is Kind.APP_PIN_CODE_MADE else own.actor
        assert [entry.actor for entry in world.journal(kind)] == [actor]


def test_answers_to_the_portal_are_told(world: World) -> None:
    portal = Portal.open(Told(world))
    step = world.portal_visits.ask(EMAIL, PASSWORD)
    assert step is not None
    secret = world.portal_visits.begin(step.text, portal.code()).secret
    holder = world.portal_visits.find(text_sha256(OWN_PREFIX, secret) or b"")
    assert portal.say_yes(world.log_in_factors.ask(Factor.PHONE, holder).number)
    for kind in TOLD_OF_PORTAL.values():
        assert [entry.actor for entry in world.journal(kind)] == [portal.phone.identity.actor]


def _renew(channel: grpc.Channel, own: identity.Identity) -> None:
    """Ask for the next certificate, which is not used."""
    (key, certificate), (_, csr) = own.pair(), fresh_key()
    present = sha256(certificate.public_bytes(Encoding.DER)).digest()
    signature = sign(key, statement.renewal(present, csr))
    renewal_pb2_grpc.RenewalServiceStub(channel).Renew(
        renewal_pb2.RenewRequest(csr=csr, signature=signature)
    )


def _certify_elsewhere(keystore: KeystoreProcess, user_id: str) -> None:
    """Have a card certified by another authority."""
    registry, trust, other = keystore.registry, new_authority("Trust"), new_authority("Other")
    for name, der in (("Trust", trust.der), ("Other", other.der)):
        asked = external_pb2.TrustAuthorityRequest(name=name, certificate=der)
        registry.external.TrustAuthority(asked)
    chosen = external_pb2.IssuerChoice(profile="p384", authority="Trust")
    registry.external.ChooseIssuer(external_pb2.ChooseIssuerRequest(choice=chosen))
    server = external_pb2.EstServer(url=f"https://{NOBODY}", user="ra")
    registry.external.UseEstServer(
        external_pb2.UseEstServerRequest(authority="Other", server=server, password="open sesame")
    )
    registry.external.UseList(external_pb2.UseListRequest(authority="Other", stops=True))
    registry.external.BringList(
        external_pb2.BringListRequest(authority="Other", document=empty_list(other))
    )
    registry.external.StopEstServer(external_pb2.StopEstServerRequest(authority="Other"))
    registry.external.DistrustAuthority(external_pb2.DistrustAuthorityRequest(name="Other"))
    registry.cards.IssueCard(
        cards_pb2.IssueCardRequest(request_id=os.urandom(16), user_id=user_id, profile="p384")
    )
    (page,) = registry.external.ListCardRequests(external_pb2.ListCardRequestsRequest())
    made = [certify(trust, each.csr) for each in page.requests]
    request = external_pb2.ImportCertificatesRequest(certificates=made)
    assert registry.external.ImportCertificates(request).done


def _issued(place: Place, user_id: str, phone: Phone, profile: str) -> tuple[str, bytes]:
    """Serial number and PUK of a new card."""
    asked = cards_pb2.IssueCardRequest(request_id=os.urandom(16), user_id=user_id, profile=profile)
    serial = place.keystore.registry.cards.IssueCard(asked).card.serial
    return serial, phone.set_passcode(serial, PASSCODE).encode()


def _use_passcodes(
    pc: workstation_pb2_grpc.WorkstationServiceStub, serial: str, puk: bytes
) -> None:
    own, other = PASSCODE.encode(), b"864209"
    pc.ChangePasscode(
        workstation_pb2.ChangePasscodeRequest(
            card_serial=serial, key_ref=PIN, old_passcode=own, new_passcode=other
        )
    )
    pc.ResetPasscode(
        workstation_pb2.ResetPasscodeRequest(card_serial=serial, puk=puk, new_passcode=own)
    )


def _use_passcodes_on_the_phone(phone: Phone, serial: str, puk: str) -> None:
    assert phone.change_passcode(serial, PASSCODE, "864209").is_set
    assert phone.reset_passcode(serial, puk, PASSCODE).is_set


def _use_keys(
    pc: Workstation,
    phone: Phone,
    device: authenticator_pb2_grpc.AuthenticatorServiceStub,
) -> None:
    operation = _ask(pc, inputs=[DIGEST], channels=[approval_pb2.CHANNEL_QR])
    phone.approve(phone.claim(operation.qr_text), operation.number)
    pc.perform(operation.id)
    unwanted = pc.create(os.urandom(16))
    pc.stub.CancelOperation(workstation_pb2.CancelOperationRequest(operation_id=unwanted.id))
    session_id = _session(pc, phone)
    one, other = (
        workstation_pb2.UseSessionRequest(
            session_id=session_id, request_id=os.urandom(16), inputs=[DIGEST]
        )
        for _ in range(2)
    )
    pc.stub.UseSession(one)
    (outcome,) = pc.stub.UseSessions(iter([workstation_pb2.UseSessionsRequest(use=other)]))
    assert outcome.used.results
    pc.stub.EndSession(workstation_pb2.EndSessionRequest(session_id=session_id))
    another = authenticator_pb2.EndSessionRequest(session_id=_session(pc, phone))
    device.EndSession(another)
    device.AnswerSurvey(authenticator_pb2.AnswerSurveyRequest(score=9))


def _sign_in(
    pc: Workstation, phone: Phone, device: authenticator_pb2_grpc.AuthenticatorServiceStub
) -> None:
    """Sign in twice, and leave at the workstation and on the phone."""
    for leaves in (False, True):
        asked = workstation_pb2.BeginSignInRequest(request_id=os.urandom(16))
        begun = pc.stub.BeginSignIn(asked).sign_in
        phone.approve(phone.claim(begun.qr_text), "")
        if leaves:
            pc.stub.EndSignIn(workstation_pb2.EndSignInRequest(sign_in_id=begun.id))
        else:
            device.EndSignIn(authenticator_pb2.EndSignInRequest(sign_in_id=begun.id))


def _ask(pc: Workstation, **more: object) -> workstation_pb2.Operation:
    asked = workstation_pb2.CreateOperationRequest(
        request_id=os.urandom(16),
        card_serial=pc.serial,
        key_ref=0x9A,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        passcode_proof=pc.proof(),
        **more,
    )
    return pc.stub.CreateOperation(asked).operation


def _session(pc: Workstation, phone: Phone) -> str:
    operation = _ask(pc, session=TERMS)
    phone.approve(phone.find(operation.id), operation.number)
    done = workstation_pb2.PerformOperationRequest(operation_id=operation.id)
    session_id: str = pc.stub.PerformOperation(done).session.id
    return session_id


def _administer(channel: grpc.Channel, serial: str) -> None:
    stub = administration_pb2_grpc.AdministrationServiceStub(channel)
    pc = workstation_pb2_grpc.WorkstationServiceStub(channel)
    who = {"card_serial": serial, "proof": administrator(channel, serial)}
    p256 = approval_pb2.ALGORITHM_ECC_P256
    pb = administration_pb2
    stub.GenerateKey(pb.GenerateKeyRequest(**who, key_ref=0x9A, algorithm=p256))
    stub.AttestKey(pb.AttestKeyRequest(card_serial=serial, key_ref=0x9A))
    stub.ImportKey(
        pb.ImportKeyRequest(**who, key_ref=0x9C, algorithm=p256, private_key=bytes(range(1, 33)))
    )
    stub.MoveKey(pb.MoveKeyRequest(**who, source=0x9C, destination=0x82))
    stub.WriteObject(pb.WriteObjectRequest(**who, tag=0x5FC105, contents=b"contents"))
    stub.SetManagementKey(
        pb.SetManagementKeyRequest(**who, algorithm=0x0A, key=bytes(range(101, 125)))
    )
    proved = pc.VerifyPasscode(
        workstation_pb2.VerifyPasscodeRequest(card_serial=serial, key_ref=PIN, passcode=FACTORY_PIN)
    )
    proof = proved.result.passcode_proof
    stub.SetTries(pb.SetTriesRequest(**who, passcode_proof=proof, pin_tries=1, puk_tries=1))
    for key_ref in (PIN, PUK):
        pc.ChangePasscode(
            workstation_pb2.ChangePasscodeRequest(
                card_serial=serial, key_ref=key_ref, old_passcode=b"999999", new_passcode=b"864209"
            )
        )
    stub.ResetCard(pb.ResetCardRequest(card_serial=serial))


def _audit(place: Place) -> audit_pb2.GetJournalResponse:
    asked = identities_pb2.CreateAuditorRequest(display_name="Grace")
    token = place.keystore.registry.identities.CreateAuditor(asked).token.text
    own = spending.enrol(token, place.keystore.folder / "auditor", "auditor")
    stub = audit_pb2_grpc.AuditServiceStub(place.channel(own))
    while not (journal := stub.GetJournal(audit_pb2.GetJournalRequest())).checkpoint:
        time.sleep(0.1)  # the first comes about a second after the start
    stub.SearchEntries(audit_pb2.SearchEntriesRequest())
    stub.FindSubjects(audit_pb2.FindSubjectsRequest(sort=finding_pb2.SORT_USER, text="Ada"))
    list(stub.ExportEntries(audit_pb2.ExportEntriesRequest(end_index=1)))
    stub.ListCheckpoints(audit_pb2.ListCheckpointsRequest())
    stub.ProveInclusion(audit_pb2.ProveInclusionRequest(size=1, indices=[0]))
    stub.ProveConsistency(audit_pb2.ProveConsistencyRequest(old_size=1, size=1))
    identities, organisations = (
        place.keystore.registry.identities,
        place.keystore.registry.organisations,
    )
    (found,) = organisations.ListOrganisations(organisations_pb2.ListOrganisationsRequest())
    elsewhere = next(each.id for each in found.organisations if each.parent_id)
    identities.UpdateAuditor(
        identities_pb2.UpdateAuditorRequest(auditor_id=own.id, organisation_id=elsewhere)
    )
    identities.RemoveAuditor(identities_pb2.RemoveAuditorRequest(auditor_id=own.id, reason="done"))
    return journal


def _ask_another(place: Place) -> None:
    """Let another operator approve one of two policies, and refuse the other."""
    keystore, policy = place.keystore, organisations_pb2.Policy(largest_batch=1, session=TERMS)
    invited = identities_pb2.CreateOperatorRequest(display_name="Olga")
    token = keystore.registry.identities.CreateOperator(invited).token.text
    second = Registry(
        place.channel(spending.enrol(token, keystore.folder / "second", "operator"))
    ).requests
    keystore.registry.requests.SetFourEyes(requests_pb2.SetFourEyesRequest(operations=["policy"]))
    for profile in ("v1", "v2"):
        with pytest.raises(grpc.RpcError):
            keystore.registry.organisations.SetPolicy(
                organisations_pb2.SetPolicyRequest(profile=profile, policy=policy)
            )
    (waiting,) = second.ListRequests(requests_pb2.ListRequestsRequest())
    approved, refused = (each.id for each in waiting.requests)
    second.ApproveRequest(requests_pb2.ApproveRequestRequest(request_id=approved))
    second.RefuseRequest(requests_pb2.RefuseRequestRequest(request_id=refused))
    list(second.ListFourEyes(requests_pb2.ListFourEyesRequest()))


def _tell_programs(registry: Registry, client_id: str) -> None:
    """Let an API client be told of things at a webhook, which wants nothing: it is disabled, and
    used again.
    """
    pb, stub = webhooks_pb2, registry.webhooks
    asked = pb.CreateWebhookRequest(client_id=client_id, url="https://hr.example.org/")
    own = stub.CreateWebhook(asked).webhook.id
    stub.RotateWebhook(pb.RotateWebhookRequest(webhook_id=own))
    stub.TestWebhook(pb.TestWebhookRequest(webhook_id=own))
    list(stub.ListWebhooks(pb.ListWebhooksRequest()))
    list(stub.ListDeliveries(pb.ListDeliveriesRequest(webhook_id=own)))
    stub.RetryDeliveries(pb.RetryDeliveriesRequest(webhook_id=own))
    stub.RemoveWebhook(pb.RemoveWebhookRequest(webhook_id=own))


def _map_group(registry: Registry, client_id: str, user_id: str) -> None:
    (listed,) = registry.identities.ListOperators(identities_pb2.ListOperatorsRequest())
    operator, directories = listed.operators[-1].id, registry.directories
    directories.SetOperatorPerson(
        directories_pb2.SetOperatorPersonRequest(operator_id=operator, user_id=user_id)
    )
    wanted = directories_pb2.MapGroupRequest(
        client_id=client_id, named_by="displayName", group="Agents", role="ra-agent"
    )
    mapped = directories.MapGroup(wanted).mapping
    directories.UnmapGroup(directories_pb2.UnmapGroupRequest(mapping_id=mapped.id))
    directories.SetOperatorPerson(directories_pb2.SetOperatorPersonRequest(operator_id=operator))


def _operate(registry: Registry, phone: Phone, user_id: str, serial: str) -> None:
    identities, cards, alerts = registry.identities, registry.cards, registry.alerts
    identities.CreateOperator(identities_pb2.CreateOperatorRequest(display_name="Otto"))
    identities.CreateVisitCode(identities_pb2.CreateVisitCodeRequest())
    asked = clients_pb2.CreateClientRequest(display_name="HR system", roles=["ra-agent"])
    client = registry.clients.CreateClient(asked).client
    list(registry.clients.ListClients(clients_pb2.ListClientsRequest()))
    _tell_programs(registry, client.id)
    _map_group(registry, client.id, user_id)
    registry.clients.RemoveClient(
        clients_pb2.RemoveClientRequest(client_id=client.id, reason="replaced")
    )
    (listed,) = identities.ListOperators(identities_pb2.ListOperatorsRequest())
    invited = listed.operators[-1]
    granted = registry.roles.GrantRole(
        roles_pb2.GrantRoleRequest(identity_id=invited.id, role="sponsor")
    )
    withdrawn = roles_pb2.WithdrawRoleRequest(assignment_id=granted.assignment.id)
    registry.roles.WithdrawRole(withdrawn)
    defined = roles_pb2.CreateRoleRequest(name="ward-clerk", rights=["view"])
    role = registry.roles.CreateRole(defined).role
    registry.roles.UpdateRole(roles_pb2.UpdateRoleRequest(role_id=role.id, name="clerk"))
    registry.roles.DeleteRole(roles_pb2.DeleteRoleRequest(role_id=role.id))
    variant = profiles_pb2.CreateProfileRequest(name="series-8", base="v2")
    profile = registry.profiles.CreateProfile(variant).profile
    registry.profiles.UpdateProfile(
        profiles_pb2.UpdateProfileRequest(profile_id=profile.id, revision=1, name="eight")
    )
    registry.profiles.DeleteProfile(profiles_pb2.DeleteProfileRequest(profile_id=profile.id))
    (places,) = registry.organisations.ListOrganisations(
        organisations_pb2.ListOrganisationsRequest()
    )
    elsewhere = next(each.id for each in places.organisations if each.parent_id)
    registry.people.JoinOrganisation(
        people_pb2.JoinOrganisationRequest(user_id=user_id, organisation_id=elsewhere)
    )
    registry.people.LeaveOrganisation(
        people_pb2.LeaveOrganisationRequest(user_id=user_id, organisation_id=elsewhere)
    )
    identities.UpdateOperator(
        identities_pb2.UpdateOperatorRequest(operator_id=invited.id, organisation_id=elsewhere)
    )
    identities.RemoveOperator(
        identities_pb2.RemoveOperatorRequest(operator_id=invited.id, reason="left")
    )
    cards.UnlockCard(cards_pb2.UnlockCardRequest(card_serial=serial))
    phone.unlock(serial)
    made = cards.CreateUnlockCode(cards_pb2.CreateUnlockCodeRequest(card_serial=serial))
    phone.use_code(serial, made.code, PASSCODE)
    (found,) = alerts.ListAlerts(alerts_pb2.ListAlertsRequest())
    (alert,) = (each for each in found.alerts if each.kind == "not-me")  # has suspended the card
    alerts.AcknowledgeAlert(alerts_pb2.AcknowledgeAlertRequest(alert_id=alert.id))
    cards.ResumeCard(cards_pb2.ResumeCardRequest(card_serial=serial))
    cards.SuspendCard(cards_pb2.SuspendCardRequest(card_serial=serial))
    lost = cards_pb2.REPLACEMENT_REASON_LOST
    cards.ReplaceCard(cards_pb2.ReplaceCardRequest(card_serial=serial, reason=lost))
    cards.RevokeCard(cards_pb2.RevokeCardRequest(card_serial=serial, reason="left"))
    identities.CreateDeviceToken(identities_pb2.CreateDeviceTokenRequest(user_id=user_id))
    identities.CreateShortCode(identities_pb2.CreateShortCodeRequest(user_id=user_id))
