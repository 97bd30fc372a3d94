"""What gRPC for Python itself costs on this computer: a server that does nothing but answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.bench.certificates import HOST, own_certificate
from cloudcard_tools.bench.signing.crowd import Crowd, Session
from cloudcard_tools.shared.identity import CA, CERTIFICATE, KEY, Identity
from cloudcard_tools.shared.processes import Child, Nursery

SERVICE = pb.DESCRIPTOR.services_by_name["WorkstationService"].full_name
SERVER = "from cloudcard_tools.bench.signing.bare import main; main()"


def answering(key: ec.EllipticCurvePrivateKey) -> tuple[grpc.GenericRpcHandler, ...]:
    """Answers empty calls, and streams of uses with signatures of one P-256 key, since a client
    checks the first.
    """
    algorithm = ec.ECDSA(Prehashed(SHA256()))

    async def ping(_request: pb.PingRequest, _context: object) -> pb.PingResponse:
        return pb.PingResponse()

    async def use(
        requests: AsyncIterator[pb.UseSessionsRequest], _context: object
    ) -> AsyncIterator[pb.UseSessionsResponse]:
        async for each in requests:
            used = pb.UseSessionResponse(
                results=[key.sign(digest, algorithm) for digest in each.use.inputs]
            )
            yield pb.UseSessionsResponse(number=each.number, used=used)

    unary = grpc.unary_unary_rpc_method_handler(
        ping, pb.PingRequest.FromString, pb.PingResponse.SerializeToString
    )
    stream = grpc.stream_stream_rpc_method_handler(
        use, pb.UseSessionsRequest.FromString, pb.UseSessionsResponse.SerializeToString
    )
    return (
        grpc.method_handlers_generic_handler(SERVICE, {"Ping": unary}),
        grpc.method_handlers_generic_handler(SERVICE, {"UseSessions": stream}),
    )


@contextmanager
def running(nursery: Nursery, folder: Path, workstations: int) -> Iterator[tuple[Child, Crowd]]:
    """The server, until the end of the block, and workstations with a session each. They share one
    key and certificate with the server: nothing here is secret.
    """
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / KEY).write_bytes(pem)
    certificate = own_certificate(key).public_bytes(Encoding.PEM)
    for name in (CA, CERTIFICATE):
        (folder / name).write_bytes(certificate)
    child = nursery.start_python("bare", "-c", SERVER, str(folder))
    address = f"{HOST}:{child.wait_for('^[0-9]+$')[0]}"
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    places = [Identity(folder, "workstation", "", "", address, b"")] * workstations
    sessions = [Session(place, "p256", str(place), public_key) for place in range(workstations)]
    try:
        yield child, Crowd(tuple(places), tuple(sessions))
    finally:
        nursery.stop("bare")


async def serve(folder: Path) -> None:
    """Serve until the process ends, and print the port."""
    pem = (folder / KEY).read_bytes()
    certificate = (folder / CERTIFICATE).read_bytes()
    key = load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the key is P-256's")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(answering(key))
    credentials = grpc.ssl_server_credentials([(pem, certificate)], certificate, True)
    print(server.add_secure_port(f"{HOST}:0", credentials), flush=True)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """Serve with the files of a folder."""
    asyncio.run(serve(Path(sys.argv[1])))
