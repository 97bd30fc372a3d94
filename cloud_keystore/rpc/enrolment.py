"""`EnrolmentService`: on a port of its own, for callers with a token and no certificate yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cloud_keystore.registry.authorities import Authorities
from cloud_keystore.registry.enrolment import Enrolment
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.rpc.refusals import Context, refuse
from cloudcard.enrolment.v1 import enrolment_pb2 as pb
from cloudcard.enrolment.v1 import enrolment_pb2_grpc


@dataclass(frozen=True, slots=True)
class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Translates between messages and the use case."""

    enrolment: Enrolment
    authorities: Authorities
    limiter: Limiter
    address: str  # of the keystore's services, "host:port"

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.EnrolResponse:
        try:
            self.limiter.admit("enrolment", _host(context.peer()))
            identity, certificate = await asyncio.to_thread(
                self.enrolment.enrol, request.token_secret, request.csr, request.device_name
            )
        except Exception as error:
            await refuse(context, error)
        return pb.EnrolResponse(
            role=pb.Role.ValueType(identity.role),
            id=identity.id,
            certificate=certificate,
            ca_certificate=self.authorities.transport.der,
            request_key=self.authorities.request_public_key(),
            address=self.address,
            display_name=identity.display_name,
        )


def _host(peer: str) -> str:
    """The caller's address without its port: "ipv4:10.0.0.7:51234" is one caller with all other
    ports.
    """
    return peer.rpartition(":")[0]
