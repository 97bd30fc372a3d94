"""API-01: the description of the REST API is valid, and each operation of registration authorities
has a path in it, or a reason why it has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from support.schema import METHODS, role_of

DESCRIBED = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
PATHS = {
    f"{method.upper()} {path}" for path, methods in DESCRIBED["paths"].items() for method in methods
}
SHARED_DEVICE = "/v1/shared-devices/{shared_device_id}"
# Operations of gRPC for operators, and the call of the REST API that does the same.
OFFERED: Mapping[str, str] = {
    "CardService.ListProfiles": "GET /v1/profiles",
    "CardService.IssueCard": "POST /v1/cards",
    "CardService.ListCards": "GET /v1/cards",
    "CardService.GetCard": "GET /v1/cards/{serial}",
    "CardService.UnlockCard": "POST /v1/cards/{serial}:unlock",
    "CardService.SuspendCard": "POST /v1/cards/{serial}:suspend",
    "CardService.ResumeCard": "POST /v1/cards/{serial}:resume",
    "CardService.ResumeIssuing": "POST /v1/cards/{serial}:resume-issuing",
    "CardService.CancelIssuing": "POST /v1/cards/{serial}:cancel-issuing",
    "CardService.RenewCard": "POST /v1/cards/{serial}:renew",
    "CardService.ReplaceCard": "POST /v1/cards/{serial}:replace",
    "CardService.RevokeCard": "POST /v1/cards/{serial}:revoke",
    "IdentityService.CreateDeviceToken": "POST /v1/users/{user_id}/invitations",
    "IdentityService.ListDevices": "GET /v1/users/{user_id}/devices",
    "IdentityService.GetDevice": "GET /v1/users/{user_id}/devices",
    "IdentityService.RemoveDevice": "POST /v1/devices/{device_id}:remove",
    "OrganisationService.CreateOrganisation": "POST /v1/organisations",
    "OrganisationService.ListOrganisations": "GET /v1/organisations",
    "OrganisationService.SetPolicy": "PUT /v1/organisations/{organisation_id}/policy",
    "OrganisationService.ExplainPolicy": "GET /v1/organisations/{organisation_id}/policy",
    "PeopleService.CreateUser": "POST /v1/users",
    "PeopleService.ListUsers": "GET /v1/users",
    "PeopleService.SearchUsers": "GET /v1/users",
    "PeopleService.GetUser": "GET /v1/users/{user_id}",
    "PeopleService.UpdateUser": "PATCH /v1/users/{user_id}",
    "PeopleService.CloseUser": "POST /v1/users/{user_id}:close",
    "PeopleService.ListPending": "GET /v1/pending",
    "PeopleService.ListExpiring": "GET /v1/expiring",
    "ProfileService.ListCustomProfiles": "GET /v1/custom-profiles",
    "ProfileService.CreateProfile": "POST /v1/custom-profiles",
    "ProfileService.UpdateProfile": "PATCH /v1/custom-profiles/{profile_id}",
    "ProfileService.DeleteProfile": "DELETE /v1/custom-profiles/{profile_id}",
    "SharedDeviceService.AddSharedDevice": "POST /v1/shared-devices",
    "SharedDeviceService.ListSharedDevices": "GET /v1/shared-devices",
    "SharedDeviceService.SignOutSharedDevice": f"POST {SHARED_DEVICE}:sign-out",
    "SharedDeviceService.RemoveSharedDevice": f"POST {SHARED_DEVICE}:remove",
    "WebhookService.CreateWebhook": "POST /v1/webhooks",
    "WebhookService.ListWebhooks": "GET /v1/webhooks",
    "WebhookService.RemoveWebhook": "DELETE /v1/webhooks/{webhook_id}",
    "WebhookService.RotateWebhook": "POST /v1/webhooks/{webhook_id}:rotate-secret",
    "WebhookService.TestWebhook": "POST /v1/webhooks/{webhook_id}:test",
    "WebhookService.ListDeliveries": "GET /v1/webhooks/{webhook_id}/deliveries",
    "WebhookService.RetryDeliveries": "POST /v1/webhooks/{webhook_id}:retry",
}
STAFF = "who has which rights is decided by people, whose certificates and hands are known"
RULES = "rules of the keystore are set by people, each change of which another can look at"
FACE = "somebody has to see the holder, or speak with them"
DIRECTORY = "directories have SCIM for it (docs/rest.md)"
# Why others have none: of a service, or of one operation.
REASONS: Mapping[str, str] = {
    "AccountService": "Windows' accounts are linked by whoever administers both",
    "AlertService": "alerts are for people, by e-mail and chat; programs have webhooks",
    "AuthorityService": "the port for whoever checks cards publishes it (docs/pki.md)",
    "CardService.CountCards": "a program counts what it lists",
    "CardService.CreateUnlockCode": FACE,
    "ClientService": STAFF,
    "DirectoryService": DIRECTORY,
    "DomainService": RULES,
    "ExternalService": RULES,
    "FeedbackService": "it is what staff say of the service",
    "FindingService": "people say names, where programs know identifiers",
    "IdentityService.CreateWorkstation": "workstations enrol by EST (docs/pki.md)",
    "IdentityService.ListWorkstations": "workstations enrol by EST (docs/pki.md)",
    "IdentityService.UpdateWorkstation": "workstations enrol by EST (docs/pki.md)",
    "IdentityService.RemoveWorkstation": "workstations enrol by EST (docs/pki.md)",
    **{
        f"IdentityService.{verb}{role}": STAFF
        for role in ("Operator", "Auditor")
        for verb in ("Create", "Update", "Remove")
    },
    "IdentityService.CreateShortCode": FACE,
    "IdentityService.CreateAppPinCode": FACE,
    "IdentityService.GetWorkstationReport": "it is read by whoever mends the workstation",
    "IdentityService.CreateVisitCode": "it is for the browser of the operator who asks",
    "IdentityService.ListOperators": STAFF,
    "IdentityService.ListAuditors": STAFF,
    "ImportService": DIRECTORY,
    "NotificationService": "webhooks tell programs themselves of what people are told",
    "OrganisationService.UpdateOrganisation": RULES,
    "OrganisationService.MigrateOrganisation": RULES,
    "OrganisationService.ListPolicies": RULES,
    "PeopleService.SendPhoneCode": FACE,
    "PeopleService.VerifyPhone": FACE,
    "PeopleService.SendAddressLink": "a change of the address sends it; asking again is for people",
    "PeopleService.JoinOrganisation": DIRECTORY,
    "PeopleService.LeaveOrganisation": DIRECTORY,
    "RequestService": "four eyes are those of two people",
    "RoleService": STAFF,
}
OPERATIONS = {
    f"{method.containing_service.name}.{method.name}"
    for method in METHODS
    if role_of(method.containing_service) == "operator"
}


def test_the_description_is_valid() -> None:
    """API-01, by a validator that has nothing to do with what writes it."""
    OpenAPIV31SpecValidator(DESCRIBED).validate()
    broken = {**DESCRIBED, "paths": {"/v1/users/{user_id}": {"get": {"responses": 200}}}}
    with pytest.raises(OpenAPIValidationError):
        OpenAPIV31SpecValidator(broken).validate()


def test_each_operation_is_offered_or_has_a_reason() -> None:
    """API-01."""
    reasoned = {
        each
        for each in OPERATIONS
        if each in REASONS or (each.partition(".")[0] in REASONS and each not in OFFERED)
    }
    assert OFFERED.keys() | reasoned == OPERATIONS
    assert not OFFERED.keys() & reasoned
    used = reasoned | {each.partition(".")[0] for each in reasoned}
    assert set(REASONS) <= used, "a reason for what is not there"
    assert all(REASONS.values())


def test_what_is_offered_is_described() -> None:
    """API-01."""
    assert set(OFFERED.values()) <= PATHS
