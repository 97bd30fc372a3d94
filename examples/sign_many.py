"""Signs many documents with a holder's card under one approval: a session, used at full speed.

python sign_many.py WORKSTATION_FOLDER CARD_SERIAL FILE...
"""

from __future__ import annotations

import getpass
import os
import sys
from hashlib import sha256
from pathlib import Path

import grpc

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.shared import identity
from reader_bridge.remote.uses import Uses


def open_session(channel: grpc.Channel, serial: str, uses: int) -> pb.Session:
    """Ask the card's holder for so many signatures within five minutes with its P-256 key 9A."""
    stub = WorkstationServiceStub(channel)
    passcode = getpass.getpass("Passcode: ").encode()
    checked = stub.VerifyPasscode(
        pb.VerifyPasscodeRequest(card_serial=serial, key_ref=0x80, passcode=passcode)
    ).result
    if not checked.passcode_proof:
        sys.exit(f"wrong passcode: {checked.tries_left} tries left")
    asked = pb.CreateOperationRequest(
        request_id=os.urandom(16),
        card_serial=serial,
        key_ref=0x9A,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        passcode_proof=checked.passcode_proof,
        session=approval_pb2.SessionTerms(most_uses=uses, seconds=300),
    )
    operation = stub.CreateOperation(asked).operation
    print(f"Type {operation.number} on the phone.", flush=True)
    for seen in stub.WatchOperation(pb.WatchOperationRequest(operation_id=operation.id)):
        state = seen.operation.state
    if state != approval_pb2.OPERATION_STATE_APPROVED:
        sys.exit("not approved")
    return stub.PerformOperation(pb.PerformOperationRequest(operation_id=operation.id)).session


def main(folder: str, serial: str, *names: str) -> None:
    """Write the signature of each file beside it."""
    paths = [Path(each) for each in names]
    with identity.channel(identity.load(Path(folder))) as channel, Uses(channel) as uses:
        session = open_session(channel, serial, len(paths))
        begun = [uses.use(session.id, [sha256(path.read_bytes()).digest()]) for path in paths]
        for path, use in zip(paths, begun, strict=True):
            (signature,) = use.result().results
            path.with_name(path.name + ".sig").write_bytes(signature)


if __name__ == "__main__":
    main(*sys.argv[1:])
