"""The phone's side of the approval protocol (docs/protocol.md), with no screen of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import grpc
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from google.protobuf.message import DecodeError

from cloudcard.approval.v1 import approval_pb2
from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1 import (
    authenticator_pb2_grpc,
    holder_pb2,
    holder_pb2_grpc,
    pins_pb2,
    pins_pb2_grpc,
)
from cloudcard_tools.authenticator.approving import Approver
from cloudcard_tools.shared.failures import Failure, IdentityUnusable
from cloudcard_tools.shared.identity import Identity
from reader_bridge.remote.refusals import code

ROLE = "authenticator"
TIMEOUT_SECONDS = 10.0
STATEMENT_DOMAIN = b"cloudcard statement v1\0"
REQUEST_DOMAIN = b"cloudcard request v1\0"
ASSENT_DOMAIN = b"cloudcard assent v1\0"
UNLOCK_DOMAIN = b"cloudcard unlock v1\0"
USE_VERSION = 2  # of payloads: of uses and sessions of a key
SIGN_IN_VERSION = 3
DOCUMENTS_VERSION = 4  # of uses of a key for documents that are listed
CAPABILITIES = (
    pb.CAPABILITY_SIGN_IN,
    pb.CAPABILITY_DOCUMENTS,
    pb.CAPABILITY_PORTAL_QUESTIONS,
    pb.CAPABILITY_UNLOCKS,
)


@dataclass(frozen=True, slots=True)
class Ringing:
    """A request that waits. `raw` is the bytes that will be signed, `payload` the same decoded."""

    operation_id: str
    raw: bytes = field(repr=False)
    payload: approval_pb2.Payload

    @property
    def is_sign_in(self) -> bool:
        """Whether a card is to be put into a reader, and no key is used."""
        return self.payload.version == SIGN_IN_VERSION


@dataclass(frozen=True, slots=True)
class Closed:
    """A request that no longer waits."""

    operation_id: str
    state: str  # "approved", "denied", "expired" …


@dataclass(frozen=True, slots=True)
class Warned:
    """An alert about a card of the holder's."""

    alert_id: str
    card_serial: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """All that the phone is asked about the portal now."""

    questions: tuple[pb.PortalQuestion, ...]


@dataclass(frozen=True, slots=True)
class Unlocks:
    """All cards for whose unlock the registration authority has asked now."""

    serials: tuple[str, ...]


Sent = TypeVar("Sent")
Received = TypeVar("Received")
Event: TypeAlias = Ringing | Closed | Warned | Asked | Unlocks


class Phone:
    """Holds the device's key and the keystore's pinned request key. It trusts no request without
    that key's signature.
    """

    def __init__(self, identity: Identity, channel: grpc.Channel) -> None:
        self.identity = identity
        self._approver = Approver(identity)
        try:
            key = load_der_public_key(identity.request_key)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise IdentityUnusable(
                f"the keystore's request key in {identity.folder} is damaged: {identity.again}"
            )
        self._request_key = key
        self._stub = authenticator_pb2_grpc.AuthenticatorServiceStub(channel)
        self._own = holder_pb2_grpc.HolderServiceStub(channel)
        self._pins = pins_pb2_grpc.AppPinServiceStub(channel)

    def watch(self) -> Iterator[Event]:
        """Yield what waits now, and every change from now on. Ends by raising grpc.RpcError."""
        request = pb.WatchRequestsRequest(capabilities=CAPABILITIES)
        for response in self._stub.WatchRequests(request):
            match response.WhichOneof("event"):
                case "request":
                    yield self._checked(response.request)
                case "closed":
                    yield Closed(response.closed.operation_id, state_name(response.closed.state))
                case "alert":
                    alert = response.alert
                    yield Warned(alert.id, alert.card_serial, alert.text)
                case "questions":
                    yield Asked(tuple(response.questions.questions))
                case "unlocks":
                    yield Unlocks(tuple(response.unlocks.card_serials))

    def find(self, operation_id: str) -> Ringing:
        """One request that waits, by its operation or the beginning of its identifier. Raises
        Failure if the keystore sends another one.
        """
        request = pb.GetRequestRequest(operation_id=operation_id)
        found = self._checked(self._stub.GetRequest(request, timeout=TIMEOUT_SECONDS).request)
        if not found.operation_id.startswith(operation_id):
            raise Failure(
                "the keystore sent another request than this one: tell your registration authority"
            )
        return found

    def claim(self, qr_text: str, card_serial: str = "") -> Ringing:
        """The request of a scanned code, which is bound to this device from now on; of a sign-in,
        for one of the holder's cards.
        """
        request = pb.ClaimQrCodeRequest(qr_text=qr_text, card_serial=card_serial)
        return self._checked(self._stub.ClaimQrCode(request, timeout=TIMEOUT_SECONDS).request)

    def approve(self, ringing: Ringing, number: str) -> str:
        """Approve with the number that the workstation shows, or "" after a scan. Returns the
        state.
        """
        return self._decide(ringing, pb.DECISION_APPROVE, number)

    def deny(self, ringing: Ringing) -> str:
        """Deny. Returns the state."""
        return self._decide(ringing, pb.DECISION_DENY, "")

    def not_me(self, ringing: Ringing) -> str:
        """Deny and report that somebody else asked, which suspends the card unless it is a sign-in.
        Returns the state.
        """
        return self._decide(ringing, pb.DECISION_NOT_ME, "")

    def questions(self) -> list[pb.PortalQuestion]:
        """What the phone is asked about the portal now."""
        request = holder_pb2.ListPortalQuestionsRequest()
        return list(self._own.ListPortalQuestions(request, timeout=TIMEOUT_SECONDS).questions)

    def say_yes(self, question_id: str, number: str) -> bool:
        """Agree to a question with the number that the portal shows. Returns whether it was that
        number.
        """
        digits = number.encode("ascii")
        statement = ASSENT_DOMAIN + bytes((len(digits),)) + digits + question_id.encode("ascii")
        request = holder_pb2.AnswerPortalQuestionRequest(
            question_id=question_id, answer=holder_pb2.PORTAL_ANSWER_YES, number=number
        )
        self._approver.decide(request, statement)
        agreed: bool = _patiently(self._own.AnswerPortalQuestion, request).is_agreed
        return agreed

    def say_no(self, question_id: str, *, is_me: bool) -> None:
        """Do not agree to a question; if it is not the holder who is at the portal, everybody is
        logged out there.
        """
        answer = holder_pb2.PORTAL_ANSWER_NO if is_me else holder_pb2.PORTAL_ANSWER_NOT_ME
        request = holder_pb2.AnswerPortalQuestionRequest(question_id=question_id, answer=answer)
        _patiently(self._own.AnswerPortalQuestion, request)

    def asks_for_pin(self) -> bool:
        """Whether this phone asks for a PIN before a yes."""
        try:
            is_set: bool = _repeated(self._pins.GetAppPin, pins_pb2.GetAppPinRequest()).is_set
        except grpc.RpcError as error:
            # A keystore from before programs could ask for one does not know the call.
            if code(error) is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            return False
        return is_set

    def check_pin(self, pin: str, request_id: str) -> None:
        """Give the PIN for a yes to something. Raises Failure if it is wrong."""
        request = pins_pb2.CheckAppPinRequest(pin=pin.encode(), request_id=request_id)
        # Not repeated, because the keystore counts each try.
        result = _patiently(self._pins.CheckAppPin, request).result
        if result.is_right:
            return
        if result.tries_left:
            raise Failure(f"the PIN of this phone is wrong: tries left: {result.tries_left}")
        raise Failure(
            "the PIN of this phone is locked: ask your registration authority for a code, and "
            "choose another one with it (cloudcard authenticator pin --code)"
        )

    def cards(self) -> list[pb.HolderCard]:
        """The holder's cards."""
        return list(self._stub.ListCards(pb.ListCardsRequest(), timeout=TIMEOUT_SECONDS).cards)

    def set_passcode(self, serial: str, passcode: str) -> str:
        """Set the first passcode of a card. Returns its PUK."""
        request = pb.SetPasscodeRequest(card_serial=serial, passcode=passcode.encode())
        response = self._stub.SetPasscode(request, timeout=TIMEOUT_SECONDS)
        puk: str = response.puk
        return puk

    def change_passcode(self, serial: str, old: str, new: str) -> pb.NewPasscodeResult:
        """Replace the passcode of a card, if the old one is right."""
        request = pb.ChangePasscodeRequest(
            card_serial=serial, old_passcode=old.encode(), new_passcode=new.encode()
        )
        return self._stub.ChangePasscode(request, timeout=TIMEOUT_SECONDS).result

    def reset_passcode(self, serial: str, puk: str, new: str) -> pb.NewPasscodeResult:
        """Give a card a new passcode, if the PUK is right."""
        request = pb.ResetPasscodeRequest(
            card_serial=serial, puk=puk.encode(), new_passcode=new.encode()
        )
        return self._stub.ResetPasscode(request, timeout=TIMEOUT_SECONDS).result

    def use_code(self, serial: str, code: str, new: str) -> pb.UseUnlockCodeResponse:
        """Give a card a new passcode, if the unlock code is right; the answer has another PUK."""
        request = pb.UseUnlockCodeRequest(
            card_serial=serial, code=code.encode(), new_passcode=new.encode()
        )
        return self._stub.UseUnlockCode(request, timeout=TIMEOUT_SECONDS)

    def unlock(self, serial: str) -> pb.HolderCard:
        """Agree to the unlock of a card. Returns the card."""
        request = pb.AgreeToUnlockRequest(card_serial=serial)
        waits = next((each.unlock_id for each in self.cards() if each.serial == serial), "")
        answer = self._approver.answer(UNLOCK_DOMAIN + waits.encode()) if waits else None
        if answer is not None:
            request.passkey_assertion.CopyFrom(answer)
        return self._stub.AgreeToUnlock(request, timeout=TIMEOUT_SECONDS).card

    def _decide(self, ringing: Ringing, decision: pb.Decision.ValueType, number: str) -> str:
        digits = number.encode("ascii")
        statement = STATEMENT_DOMAIN + bytes((decision, len(digits))) + digits + ringing.raw
        request = pb.DecideRequest(
            operation_id=ringing.operation_id,
            decision=decision,
            number=number,
            sign_in=ringing.is_sign_in,
        )
        self._approver.decide(request, statement)
        return state_name(_repeated(self._stub.Decide, request).state)

    def _checked(self, request: pb.Request) -> Ringing:
        """The request, checked. Raises Failure if the keystore did not sign it, or if this version
        cannot show all of it.
        """
        try:
            self._request_key.verify(
                request.keystore_signature, REQUEST_DOMAIN + request.payload, ec.ECDSA(SHA256())
            )
            payload = approval_pb2.Payload.FromString(request.payload)
        except (InvalidSignature, DecodeError):
            raise Failure(
                "this request is not from your keystore: do not approve it, and tell "
                "your registration authority"
            ) from None
        if payload.version != _version(payload):
            raise Failure("this request is of a newer kind: update the authenticator")
        if payload.documents and len(payload.documents) != len(payload.input_sha256):
            raise Failure(
                "this request does not list what it is for: do not approve it, and tell your "
                "registration authority"
            )
        if payload.operation_id != request.operation_id:
            raise Failure(
                "this request carries another one's payload: tell your registration authority"
            )
        return Ringing(request.operation_id, request.payload, payload)


def _patiently(call: grpc.UnaryUnaryMultiCallable[Sent, Received], request: Sent) -> Received:
    """The answer to what a person says to a request. The call waits, unsent, for a keystore that is
    just coming back.
    """
    return call(request, timeout=TIMEOUT_SECONDS, wait_for_ready=True)


def _repeated(call: grpc.UnaryUnaryMultiCallable[Sent, Received], request: Sent) -> Received:
    """The same, sent again if the answer was perhaps lost: the keystore gives it again."""
    try:
        return _patiently(call, request)
    except grpc.RpcError as error:
        if code(error) is not grpc.StatusCode.UNAVAILABLE:
            raise
        return _patiently(call, request)


def _version(payload: approval_pb2.Payload) -> int:
    """The version of a payload with what it has."""
    if payload.HasField("sign_in"):
        return SIGN_IN_VERSION
    return DOCUMENTS_VERSION if payload.documents else USE_VERSION


def state_name(state: approval_pb2.OperationState.ValueType) -> str:
    """ "approved", "denied" and so on."""
    return approval_pb2.OperationState.Name(state).removeprefix("OPERATION_STATE_").lower()
