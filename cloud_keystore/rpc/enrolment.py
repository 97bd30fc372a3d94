"""`EnrolmentService`, on a port of its own, for callers with a token, but no certificate yet; and
`RenewalService`, on the main port, for the next certificate of whoever calls.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from cloud_keystore.approval import passkeys
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Role
from cloud_keystore.people.enrolment import Enrolment, NativeRegistration, Registration
from cloud_keystore.people.renewing import Renewing
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.rpc.connections.addresses import network_of
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.peer import user_agent
from cloud_keystore.rpc.refusals import Context, refuse
from cloudcard.enrolment.v1 import enrolment_pb2 as pb
from cloudcard.enrolment.v1 import enrolment_pb2_grpc, renewal_pb2, renewal_pb2_grpc


@dataclass(frozen=True, slots=True)
class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Translates between messages and the use case."""

    enrolment: Enrolment
    announcing: Announcing
    limiter: Limiter
    address: str  # of the keystore's services, "host:port", several separated by commas

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.EnrolResponse:
        try:
            self.limiter.admit("enrolment", network_of(context.peer()))
            identity, certificate = await asyncio.to_thread(
                self.enrolment.enrol,
                request.token_secret,
                request.csr,
                request.device_name,
                _registration(request),
                _role(request),
                user_agent(context),
            )
            terms = await asyncio.to_thread(self.announcing.terms)
        except Exception as error:
            await refuse(context, error)
        issuer, *further = terms.transports
        return pb.EnrolResponse(
            role=pb.Role.ValueType(identity.role),
            id=identity.id,
            certificate=certificate,
            ca_certificate=issuer,
            request_key=terms.request_key,
            address=self.address,
            display_name=identity.display_name,
            further_ca_certificates=further,
        )

    async def GetPasskeyTerms(
        self, request: pb.GetPasskeyTermsRequest, context: Context
    ) -> pb.GetPasskeyTermsResponse:
        try:
            self.limiter.admit("enrolment", network_of(context.peer()))
            user = await asyncio.to_thread(self.enrolment.passkey_terms, request.token_secret)
            terms = await asyncio.to_thread(self.announcing.terms)
        except Exception as error:
            await refuse(context, error)
        relying_party = terms.relying_party
        return pb.GetPasskeyTermsResponse(
            rp_id=relying_party.id,
            origin=relying_party.origin,
            user_handle=UUID(user.id).bytes,
            user_name=user.display_name,
        )


@dataclass(frozen=True, slots=True)
class RenewalServicer(renewal_pb2_grpc.RenewalServiceServicer):
    """Translates between messages and the use case."""

    door: Door
    renewing: Renewing
    announcing: Announcing

    async def Renew(
        self, request: renewal_pb2.RenewRequest, context: Context
    ) -> renewal_pb2.RenewResponse:
        certificate, terms = await self.door.call(
            context,
            lambda caller: (
                self.renewing.renew(caller, request.csr, request.signature),
                self.announcing.terms(),
            ),
        )
        return renewal_pb2.RenewResponse(certificate=certificate, ca_certificates=terms.transports)


def _role(request: pb.EnrolRequest) -> Role:
    """The role that the caller wants; raises InvalidInput."""
    try:
        return Role(request.role)
    except ValueError:
        raise InvalidInput("role is missing or unknown: say what the token is for") from None


def _registration(request: pb.EnrolRequest) -> Registration | None:
    match request.WhichOneof("approval_key"):
        case "native_key":
            return NativeRegistration(request.native_key.public_key, request.native_key.signature)
        case "passkey":
            return passkeys.Registration(
                request.passkey.attestation_object,
                request.passkey.client_data_json,
                tuple(request.passkey.transports),
            )
        case _:
            return None
