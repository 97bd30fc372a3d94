"""Sign-ins at the keystore: whose card is put into the reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from card_os.uses import REQUEST_ID_BYTES
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.remote.operation import spread
from reader_bridge.remote.refusals import code
from reader_bridge.remote.stub import CALL_SECONDS
from reader_bridge.tasks import Cancellation

AGAIN_SECONDS = 0.5  # after a stream that broke, doubled up to the longest
LONGEST_PAUSE = 4.0
# An answer that another call does not change.
FINAL = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED})


@dataclass(frozen=True, slots=True)
class RemoteSignIns:
    """The sign-ins of this workstation."""

    stub: workstation_pb2_grpc.WorkstationServiceStub

    def begin(self, user: str) -> pb.SignIn:
        """Ring a user, or without one get a code to show. Raises grpc.RpcError."""
        asked = pb.BeginSignInRequest(request_id=os.urandom(REQUEST_ID_BYTES), user=user)
        try:
            return self.stub.BeginSignIn(asked, timeout=CALL_SECONDS).sign_in
        except grpc.RpcError as error:
            if code(error) is not grpc.StatusCode.UNAVAILABLE:
                raise
            # Perhaps only the answer was lost: the same request gets it again.
            return self.stub.BeginSignIn(asked, timeout=CALL_SECONDS).sign_in

    def watch(
        self, sign_in_id: str, tell: Callable[[pb.SignIn], None], cancellation: Cancellation
    ) -> None:
        """Tell how a sign-in is, now and at each change, until it has ended. A stream that breaks
        is opened again: while the keystore is out of reach the card stays.
        """
        pause, ended = AGAIN_SECONDS, False
        request = pb.WatchSignInRequest(sign_in_id=sign_in_id)
        while not ended and not cancellation.requested:
            stream = self.stub.WatchSignIn(request)
            try:
                with cancellation.running(stream.cancel):
                    for message in stream:
                        pause = AGAIN_SECONDS
                        ended = message.sign_in.state == pb.SIGN_IN_STATE_ENDED
                        tell(message.sign_in)
            except grpc.RpcError as error:
                if code(error) in FINAL:
                    tell(pb.SignIn(id=sign_in_id, state=pb.SIGN_IN_STATE_ENDED))
                    return
            if not ended:
                cancellation.wait(spread(pause))
                pause = min(2 * pause, LONGEST_PAUSE)

    def end(self, sign_in_id: str, cancellation: Cancellation) -> None:
        """End a sign-in; tries until the keystore has heard it, or it has ended."""
        pause = AGAIN_SECONDS
        while not cancellation.requested:
            try:
                self.stub.EndSignIn(
                    pb.EndSignInRequest(sign_in_id=sign_in_id), timeout=CALL_SECONDS
                )
            except grpc.RpcError as error:
                if code(error) in FINAL:
                    return
                cancellation.wait(spread(pause))
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            return
