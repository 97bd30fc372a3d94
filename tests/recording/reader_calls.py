"""Records what the reader of a commit calls at its own keystore:
`git archive COMMIT | tar x -C OLD`, this file and tests/support/reader_calls.py copied to it, then
`PYTHONPATH=OLD:OLD/proto/gen:OLD/tools:OLD/tests python -m recording.reader_calls COMMIT FILE`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import grpc

from cloudcard.registry.v1 import organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.remote.keys import RemoteKeys
from support.keystore_process import KeystoreProcess
from support.reader_calls import NOBODY, TERMS, Holder, Recording, Tape, schema, visit

SECONDS = 60.0


def main(commit: str, file: Path) -> None:
    """Record a card's visit, and a sign-in if this code has them."""
    with tempfile.TemporaryDirectory() as name, Nursery(Path(name, "logs")) as nursery:
        keystore = KeystoreProcess(Path(name), nursery)
        policy = organisations_pb2.Policy(largest_batch=1, session=TERMS)
        asked = organisations_pb2.SetPolicyRequest(profile="p256", policy=policy)
        keystore.registry.organisations.SetPolicy(asked, timeout=SECONDS)
        user, own = keystore.holder("ada")
        serial, tape = keystore.card(user, own), Tape()
        phone = Phone(own, identity.channel(own))
        pc = grpc.intercept_channel(identity.channel(keystore.workstation("PC")), tape)

        def decide(operation_id: str, number: str, approves: bool) -> None:
            ringing = phone.find(operation_id)
            if approves:
                phone.approve(ringing, number)
            else:
                phone.deny(ringing)

        holder = Holder(decide)
        results = visit(RemoteKeys(pc, serial, holder), RemoteKeys(pc, NOBODY, holder), holder)
        if importlib.util.find_spec("reader_bridge.remote.sign_in") is not None:
            sign_in(WorkstationServiceStub(pc), phone)
        Recording(commit, serial, schema(), tape.calls, results).write(file)


def sign_in(pc: WorkstationServiceStub, phone: Phone) -> None:
    """Sign in with a code, and leave."""
    asked = workstation_pb2.BeginSignInRequest(request_id=os.urandom(16))
    begun = pc.BeginSignIn(asked, timeout=SECONDS).sign_in
    phone.approve(phone.claim(begun.qr_text), "")
    stream = pc.WatchSignIn(workstation_pb2.WatchSignInRequest(sign_in_id=begun.id))
    next(iter(stream))
    stream.cancel()
    pc.EndSignIn(workstation_pb2.EndSignInRequest(sign_in_id=begun.id), timeout=SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
