"""A keystore whose people, computers and organisations have the longest names that are common."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path

import grpc

from cloud_keystore.model.rights.requests import HighRisk
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import (
    accounts_pb2,
    cards_pb2,
    clients_pb2,
    directories_pb2,
    domains_pb2,
    external_pb2,
    feedback_pb2,
    identities_pb2,
    organisations_pb2,
    people_pb2,
    requests_pb2,
    shared_devices_pb2,
    webhooks_pb2,
)
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.enrolment import spending
from cloudcard_tools.shared import identity
from support.external_ca import new_authority
from support.keystore_process import KeystoreProcess, Workstation

WIDE = "王" * 60
HOOK = f"https://{'hook-' * 10}of.example.org/{'told/' * 10}"
LATIN = "Wilhelmina Charlotte Theodora von und zu Hohenstaufen-Löwenst"
EMAIL = "wilhelmina.charlotte.theodora.von.und.zu.hohenstaufen@clinic.example.org"


def keystore_of_long_values(keystore: KeystoreProcess, rest: int) -> Mapping[str, Path]:
    """Fill a keystore, whose REST API has a port; return the folder of an identity of each role."""
    registry = keystore.registry
    user, phone = keystore.holder(WIDE)
    registry.people.CreateUser(people_pb2.CreateUserRequest(display_name=LATIN, email=EMAIL))
    registry.domains.AddDomain(domains_pb2.AddDomainRequest(name=EMAIL.partition("@")[2]))
    name = rf"{EMAIL.partition('@')[2]}\{LATIN[:20]}"
    account = accounts_pb2.AddAccountRequest(user_id=user, name=name, upn=EMAIL)
    registry.accounts.AddAccount(account)
    shared = shared_devices_pb2.AddSharedDeviceRequest(display_name=WIDE, site=LATIN)
    registry.shared_devices.AddSharedDevice(shared)
    registry.feedback.AddFeedback(feedback_pb2.AddFeedbackRequest(text=LATIN))
    client = registry.clients.CreateClient(
        clients_pb2.CreateClientRequest(display_name=WIDE, roles=["ra-agent-advanced", "support"])
    )
    _say_otherwise(keystore, rest, client.token)
    _map_group(keystore, client.client.id, user)
    hook = webhooks_pb2.CreateWebhookRequest(client_id=client.client.id, url=HOOK)
    told = registry.webhooks.CreateWebhook(hook).webhook.id
    registry.webhooks.TestWebhook(webhooks_pb2.TestWebhookRequest(webhook_id=told))
    registry.organisations.CreateOrganisation(
        organisations_pb2.CreateOrganisationRequest(name=LATIN)
    )
    terms = approval_pb2.SessionTerms(most_uses=100_000, seconds=43_200)
    registry.organisations.SetPolicy(
        organisations_pb2.SetPolicyRequest(
            profile="p256",
            policy=organisations_pb2.Policy(
                largest_batch=250,
                session=terms,
                channels=[approval_pb2.CHANNEL_PUSH, approval_pb2.CHANNEL_QR],
                passkeys=True,
            ),
        )
    )
    reported, serial = keystore.card(user, phone), keystore.card(user, phone)
    pc = keystore.workstation("SOUTH-BUILDING-INTENSIVE-CARE-UNIT-COMPUTER-17")
    auditor = registry.identities.CreateAuditor(
        identities_pb2.CreateAuditorRequest(display_name=LATIN)
    )
    reader = spending.enrol(auditor.token.text, keystore.folder / "auditor", "auditor")
    with identity.channel(pc) as connection, identity.channel(phone) as other:
        stub = workstation_pb2_grpc.WorkstationServiceStub(connection)
        own = Phone(phone, other)
        own.not_me(own.find(Workstation(stub, reported).create(os.urandom(16)).id))
        desk = Workstation(stub, serial)
        problem = workstation_pb2.Problem(
            check="c" * 64, name=WIDE[:64], cause="cause " * 83, fix="f" * 500
        )
        stub.ReportProblems(workstation_pb2.ReportProblemsRequest(problems=[problem]))
        request = workstation_pb2.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=serial,
            key_ref=0x9A,
            algorithm=approval_pb2.ALGORITHM_ECC_P256,
            key_use=approval_pb2.KEY_USE_SIGN,
            session=terms,
            passcode_proof=desk.proof(),
        )
        operation = stub.CreateOperation(request).operation
        own.approve(own.find(operation.id), operation.number)
        stub.PerformOperation(workstation_pb2.PerformOperationRequest(operation_id=operation.id))
        begun = stub.BeginSignIn(workstation_pb2.BeginSignInRequest(request_id=os.urandom(16)))
        own.approve(own.claim(begun.sign_in.qr_text, serial), "")
    trust = external_pb2.TrustAuthorityRequest(name=LATIN, certificate=new_authority(LATIN).der)
    registry.external.TrustAuthority(trust)
    chosen = external_pb2.IssuerChoice(profile="p256", authority=LATIN)
    registry.external.ChooseIssuer(external_pb2.ChooseIssuerRequest(choice=chosen))
    registry.cards.IssueCard(
        cards_pb2.IssueCardRequest(request_id=os.urandom(16), user_id=user, profile="p256")
    )
    _ask_another(keystore, serial)
    return {
        "ra": keystore.operator.folder,
        "audit": reader.folder,
        "authenticator": phone.folder,
        "keys": keystore.folder / "keystore",
    }


def _say_otherwise(keystore: KeystoreProcess, port: int, token: str) -> None:
    """Let a directory say something else of a person than an operator does."""
    tls = ssl.create_default_context(cafile=str(keystore.operator.folder / "ca.pem"))
    asking = HTTPSConnection("127.0.0.1", port, context=tls, timeout=60)
    schema = "urn:ietf:params:scim:schemas:core:2.0:User"
    said = {"schemas": [schema], "userName": EMAIL, "displayName": WIDE}
    asking.request("POST", "/scim/v2/Users", json.dumps(said), {"Authorization": f"Bearer {token}"})
    user = json.loads(asking.getresponse().read())["id"]
    asking.close()
    change = people_pb2.UpdateUserRequest(user_id=user, display_name=f"{LATIN}in")
    keystore.registry.people.UpdateUser(change)


def _map_group(keystore: KeystoreProcess, client: str, user: str) -> None:
    """Let a group give an operator a role."""
    registry = keystore.registry
    invited = identities_pb2.CreateOperatorRequest(display_name=f"{LATIN[:-1]}g")
    registry.identities.CreateOperator(invited)
    (listed,) = registry.identities.ListOperators(identities_pb2.ListOperatorsRequest())
    said = directories_pb2.SetOperatorPersonRequest(
        operator_id=listed.operators[-1].id, user_id=user
    )
    registry.directories.SetOperatorPerson(said)
    mapped = directories_pb2.MapGroupRequest(
        client_id=client, named_by="displayName", group=WIDE, role="ra-agent"
    )
    registry.directories.MapGroup(mapped)


def _ask_another(keystore: KeystoreProcess, serial: str) -> None:
    """Let a revocation wait for another operator."""
    registry = keystore.registry
    invited = identities_pb2.CreateOperatorRequest(display_name=LATIN)
    token = registry.identities.CreateOperator(invited).token.text
    spending.enrol(token, keystore.folder / "second", "operator")
    registry.requests.SetFourEyes(requests_pb2.SetFourEyesRequest(operations=list(HighRisk)))
    revoked = cards_pb2.RevokeCardRequest(card_serial=serial, reason=LATIN)
    with suppress(grpc.RpcError):
        registry.cards.RevokeCard(revoked)
