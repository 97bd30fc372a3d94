"""A short run of the keystore's fuzzing; `make fuzz` goes on for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz import rpc

SECONDS = 6.0


def test_no_call_finds_an_error_of_the_keystores_own(tmp_path: Path) -> None:
    fuzzed = rpc.fuzz(tmp_path, SECONDS, seed=2)
    assert fuzzed.codes["OK"] > 0
    assert fuzzed.codes["INVALID_ARGUMENT"] > 0


def test_every_method_is_called() -> None:
    assert len(rpc.METHODS) == len({method.full_name for method in rpc.METHODS})
    assert {method.containing_service.name for method in rpc.METHODS} == {
        "WorkstationService",
        "AdministrationService",
        "AuthenticatorService",
        "HolderService",
        "AppPinService",
        "PeopleService",
        "CardService",
        "ClientService",
        "OrganisationService",
        "IdentityService",
        "AlertService",
        "AuditService",
        "AuthorityService",
        "DomainService",
        "DirectoryService",
        "AccountService",
        "ExternalService",
        "ImportService",
        "NotificationService",
        "ProfileService",
        "EnrolmentService",
        "FindingService",
        "FeedbackService",
        "RenewalService",
        "RequestService",
        "RoleService",
        "SharedDeviceService",
        "WebhookService",
    }


def test_bytes_that_are_no_message_are_the_callers_fault(tmp_path: Path) -> None:
    with rpc.target(tmp_path) as fuzzed:
        channel = fuzzed.channels["operator"]
        call = channel.unary_unary("/cloudcard.registry.v1.PeopleService/CreateUser")
        with pytest.raises(rpc.grpc.RpcError) as refused:
            call(b"\xff\xff\xff", timeout=60)
        assert rpc.code(refused.value) is rpc.grpc.StatusCode.INVALID_ARGUMENT
