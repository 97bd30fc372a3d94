"""Requests as calls, against a scripted keystore over real gRPC."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from structlog.testing import capture_logs

from card_os.administration import CardKey
from card_os.keys import (
    ChangePasscode,
    KeyResult,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv.issuing import encode
from card_os.uses import KeyUse
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.remote import operation as remote_operation
from reader_bridge.remote.keys import PUSH, QR, RemoteKeys
from reader_bridge.tasks import Cancellation
from support.scripted_keystore import (
    APPROVED,
    EXPIRES,
    OPERATION_ID,
    PENDING,
    SECONDS,
    SUCCEEDED,
    Keystore,
    LostAnswer,
    Script,
    operation,
)

SIGN = UseKey(b"r" * 16, KeyUse.SIGN, 0x9A, 0x11, b"digest", b"proof")
STATUS = PasscodeStatus(bytes(16), 0x80)
VERIFY = VerifyPasscode(bytes(16), 0x80, b"123456")
CHANGE = ChangePasscode(bytes(16), 0x80, b"123456", b"654321")
RESET = ResetPasscode(bytes(16), 0x80, b"12345678", b"654321")
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Screen:
    """Remembers what was shown, and how it was cleared."""

    def __init__(self) -> None:
        self.shown: list[Prompt] = []
        self.withdraw: Withdraw | None = None
        self.cleared: list[tuple[str, Outcome]] = []

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        self.shown.append(prompt)
        self.withdraw = withdraw

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        self.cleared.append((operation_id, outcome))


class World:
    """A card's remote keys, their keystore, and the workstation's screen."""

    def __init__(self) -> None:
        self.script = Script()
        self.keystore = Keystore(self.script)
        self.screen = Screen()
        self.channel = self.keystore.channel()
        self.keys = RemoteKeys(
            self.channel, "1000", self.screen, (PUSH, QR), "pkcs11-tool", workstation="WARD7-PC3"
        )
        self.cancellation = Cancellation()

    def perform(self, request: UseKey = SIGN) -> KeyResult:
        return self.keys.perform(request, self.cancellation)

    def ask(
        self, request: PasscodeStatus | VerifyPasscode | ChangePasscode | ResetPasscode
    ) -> KeyResult:
        return self.keys.perform(request, self.cancellation)

    def outcomes(self) -> list[Outcome]:
        return [outcome for _, outcome in self.screen.cleared]


@pytest.fixture(params=[True, False], ids=["one stream", "keystore of before"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(remote_operation, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(remote_operation, "LONGEST_PAUSE", 0.05)
    world = World()
    world.script.together = request.param
    yield world
    world.script.hold.set()
    world.channel.close()
    world.keystore.stop()


def test_an_approved_use(world: World) -> None:
    world.script.create = [pb.CreateOperationResponse(operation=operation(qr="CLOUDCARD:1:X"))]
    world.script.states = [PENDING, APPROVED]
    assert world.perform() == b"signature"
    create, watch, perform = world.script.asked
    assert create == pb.CreateOperationRequest(
        request_id=b"r" * 16,
        card_serial="1000",
        key_ref=0x9A,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        inputs=[b"digest"],
        passcode_proof=b"proof",
        application="pkcs11-tool",
        channels=[PUSH, QR],
    )
    assert watch == pb.WatchOperationRequest(operation_id=OPERATION_ID)
    assert perform == pb.PerformOperationRequest(operation_id=OPERATION_ID, inputs=[b"digest"])
    (shown,) = world.screen.shown
    code = shown.check_code
    assert shown == Prompt(
        *(OPERATION_ID, "1000", "42", "CLOUDCARD:1:X", EXPIRES, code),
        *("WARD7-PC3", "pkcs11-tool", "9A", "sign"),
        inputs=1,
        seconds=120.0,
        qr_seconds=60.0,
    )
    assert world.screen.cleared == [(OPERATION_ID, Outcome.APPROVED)]


@pytest.mark.parametrize(
    ("state", "refusal", "outcome"),
    [
        (approval_pb2.OPERATION_STATE_DENIED, Refusal.DENIED, Outcome.DENIED),
        (approval_pb2.OPERATION_STATE_EXPIRED, Refusal.EXPIRED, Outcome.EXPIRED),
        (approval_pb2.OPERATION_STATE_CANCELLED, Refusal.CANCELLED, Outcome.CANCELLED),
        (approval_pb2.OPERATION_STATE_FAILED, Refusal.UNAVAILABLE, Outcome.FAILED),
        (99, Refusal.UNAVAILABLE, Outcome.FAILED),
    ],
)
def test_an_end_without_result(
    world: World,
    state: approval_pb2.OperationState.ValueType,
    refusal: Refusal,
    outcome: Outcome,
) -> None:
    world.script.states = [PENDING, state]
    assert world.perform() is refusal
    assert world.outcomes() == [outcome]
    assert world.script.kinds() == ["Create", "Watch"]


def test_a_retry_after_a_failure_does_not_ring_again(world: World) -> None:
    world.script.states = [approval_pb2.OPERATION_STATE_FAILED]
    for _ in range(4):
        assert world.perform(replace(SIGN, request_id=os.urandom(16))) is Refusal.UNAVAILABLE
    assert world.script.kinds().count("Create") == 1


def test_after_a_failure_another_input_and_a_new_passcode_are_asked_for(world: World) -> None:
    world.script.states = [approval_pb2.OPERATION_STATE_FAILED]
    world.script.passcode = [
        pb.VerifyPasscodeResponse(result=pb.PasscodeResult(passcode_proof=b"p"))
    ]
    world.perform()
    world.perform(replace(SIGN, input=b"another"))
    world.perform(replace(SIGN, input=b"another"))
    assert world.script.kinds().count("Create") == 2
    assert world.ask(VERIFY) == Verified(b"p")
    world.perform(replace(SIGN, input=b"another"))
    assert world.script.kinds().count("Create") == 3


def test_what_was_denied_is_left_to_the_keystore(world: World) -> None:
    world.script.states = [approval_pb2.OPERATION_STATE_DENIED]
    assert [world.perform() for _ in range(2)] == [Refusal.DENIED] * 2
    assert world.script.kinds().count("Create") == 2


@pytest.mark.parametrize("cut", [UNAVAILABLE, grpc.StatusCode.CANCELLED, None])
def test_a_cut_stream_is_opened_again(world: World, cut: grpc.StatusCode | None) -> None:
    world.script.states = [PENDING, cut, cut, PENDING, APPROVED]
    assert world.perform() == b"signature"
    assert world.script.kinds() == ["Create", "Watch", "Watch", "Watch", "Perform"]
    assert len(world.screen.shown) == 1


def test_lost_answers_are_asked_for_again(world: World) -> None:
    created = pb.CreateOperationResponse(operation=operation())
    result = pb.PerformOperationResponse(results=[b"signature"])
    world.script.create = [LostAnswer(), grpc.StatusCode.DEADLINE_EXCEEDED, created]
    world.script.perform = [LostAnswer(), LostAnswer(), result]
    assert world.perform() == b"signature"
    creates = [each for each in world.script.asked if isinstance(each, pb.CreateOperationRequest)]
    assert len(creates) == 3
    assert {each.request_id for each in creates} == {b"r" * 16}
    assert world.script.kinds().count("Perform") == 3


def test_a_result_that_is_there_already_is_fetched(world: World) -> None:
    world.script.states = [SUCCEEDED]
    assert world.perform() == b"signature"


def test_an_approval_that_came_too_late_ends_as_the_keystore_says(world: World) -> None:
    world.script.states = [APPROVED, approval_pb2.OPERATION_STATE_FAILED]
    world.script.perform = [grpc.StatusCode.FAILED_PRECONDITION]
    assert world.perform() is Refusal.UNAVAILABLE
    assert world.outcomes() == [Outcome.FAILED]


def test_a_use_that_is_refused_after_the_approval(world: World) -> None:
    world.script.perform = [grpc.StatusCode.FAILED_PRECONDITION]
    assert world.perform() is Refusal.DENIED
    assert world.outcomes() == [Outcome.DENIED]
    assert world.script.kinds()[-1] == "Cancel"


def test_the_keystore_is_restarted_while_the_holder_thinks(world: World) -> None:
    world.script.states = [PENDING, APPROVED]
    world.script.hold.clear()
    results: list[KeyResult] = []
    asking = threading.Thread(target=lambda: results.append(world.perform()))
    asking.start()
    assert world.script.watched.wait(SECONDS)
    world.keystore.stop()
    time.sleep(0.3)
    world.script.hold.set()
    world.keystore.start()
    asking.join(SECONDS)
    assert results == [b"signature"]
    assert len(world.screen.shown) == 1


def test_cancelling_withdraws_the_operation(world: World) -> None:
    world.script.states = [PENDING, APPROVED]
    world.script.hold.clear()
    results: list[KeyResult] = []
    asking = threading.Thread(target=lambda: results.append(world.perform()))
    asking.start()
    assert world.script.watched.wait(SECONDS)
    world.cancellation.request()
    asking.join(SECONDS)
    assert results == [Refusal.CANCELLED]
    assert world.script.kinds()[-1] == "Cancel"
    assert world.outcomes() == [Outcome.CANCELLED]


def test_who_cancels_at_the_screen_is_not_asked_again_at_once(world: World) -> None:
    """OpenSC repeats a failed signature, which would open the window and ring the phone again."""
    world.script.states = [PENDING, APPROVED]
    world.script.hold.clear()
    results: list[KeyResult] = []
    thread = threading.Thread(target=lambda: results.append(world.perform()))
    thread.start()
    assert world.script.watched.wait(SECONDS)
    assert world.screen.withdraw is not None
    world.screen.withdraw()
    thread.join(SECONDS)
    assert results == [Refusal.CANCELLED]
    assert world.outcomes() == [Outcome.CANCELLED]
    assert world.script.kinds()[-1] == "Cancel"

    world.cancellation, asked = Cancellation(), len(world.script.asked)
    assert world.perform(replace(SIGN, request_id=b"s" * 16)) is Refusal.CANCELLED
    assert len(world.script.asked) == asked
    world.script.hold.set()
    assert world.perform(replace(SIGN, input=b"another")) == b"signature"


def test_an_approval_before_the_cancel_counts(world: World) -> None:
    assert world.perform() == b"signature"
    assert world.screen.withdraw is not None
    world.screen.withdraw()
    world.cancellation = Cancellation()
    assert world.perform(replace(SIGN, request_id=b"s" * 16)) == b"signature"


def test_what_was_cancelled_may_be_asked_anew(world: World) -> None:
    world.cancellation.request()
    assert world.perform() is Refusal.CANCELLED
    assert world.script.asked == []
    world.cancellation = Cancellation()
    assert world.perform() == b"signature"


def test_a_screen_that_fails_withdraws_the_operation(world: World) -> None:
    def fail(_prompt: Prompt, _withdraw: Withdraw) -> None:
        raise OSError("nobody reads")

    world.screen.show = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="nobody reads"):
        world.perform()
    assert world.script.kinds() == ["Create", "Cancel"]
    assert world.outcomes() == [Outcome.UNAVAILABLE]


@pytest.mark.parametrize("stage", ["create", "watch", "perform"])
def test_patience_has_an_end(world: World, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose time begins with the first call that fails: what comes before may be slow."""
    monkeypatch.setattr(remote_operation, "DEADLINE_SECONDS", 0.5)
    begun: list[float] = []

    def clock() -> float:
        if stage.capitalize() not in world.script.kinds():
            return 0.0
        begun.append(time.monotonic())
        return begun[-1] - begun[0]

    world.keys = RemoteKeys(world.channel, "1000", world.screen, clock=clock)
    match stage:
        case "create":
            world.script.create = [UNAVAILABLE]
        case "watch":
            world.script.states = [UNAVAILABLE]
        case "perform":
            world.script.perform = [UNAVAILABLE]
    assert world.perform() is Refusal.UNAVAILABLE
    assert world.outcomes() == ([] if stage == "create" else [Outcome.UNAVAILABLE])
    asked = len(world.script.asked)
    assert asked < 20  # the pauses grow: the keystore is not flooded
    assert world.perform() is Refusal.UNAVAILABLE  # the application's retry: not waited for again
    assert len(world.script.asked) == asked


STATUSES = [
    (grpc.StatusCode.RESOURCE_EXHAUSTED, Refusal.DENIED),
    (grpc.StatusCode.FAILED_PRECONDITION, Refusal.DENIED),
    (grpc.StatusCode.PERMISSION_DENIED, Refusal.DENIED),
    (grpc.StatusCode.INVALID_ARGUMENT, Refusal.MALFORMED),
    (grpc.StatusCode.NOT_FOUND, Refusal.UNKNOWN_KEY),
    (grpc.StatusCode.UNAUTHENTICATED, Refusal.UNAVAILABLE),
    (grpc.StatusCode.INTERNAL, Refusal.UNAVAILABLE),
    (grpc.StatusCode.UNIMPLEMENTED, Refusal.UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "refusal"), STATUSES)
def test_a_refused_use_shows_nothing(
    world: World, status: grpc.StatusCode, refusal: Refusal
) -> None:
    world.script.create = [status]
    assert world.perform() is refusal
    assert world.script.kinds() == ["Create"]
    assert world.screen.shown == []


@pytest.mark.parametrize("request_", [STATUS, VERIFY, CHANGE, RESET])
@pytest.mark.parametrize(("status", "refusal"), [*STATUSES, (UNAVAILABLE, Refusal.UNAVAILABLE)])
def test_a_passcode_is_sent_once_only(
    world: World,
    request_: PasscodeStatus | VerifyPasscode | ChangePasscode | ResetPasscode,
    status: grpc.StatusCode,
    refusal: Refusal,
) -> None:
    world.script.passcode = [status]
    assert world.ask(request_) is refusal
    assert len(world.script.asked) == 1


def test_passcode_status(world: World) -> None:
    world.script.passcode = [pb.GetPasscodeStatusResponse(tries_left=2)]
    assert world.ask(STATUS) == TriesLeft(2)
    assert world.script.asked == [pb.GetPasscodeStatusRequest(card_serial="1000", key_ref=0x80)]


RESULTS = [
    (pb.PasscodeResult(passcode_proof=b"proof"), Verified(b"proof")),
    (pb.PasscodeResult(tries_left=2), TriesLeft(2)),
    (pb.PasscodeResult(tries_left=0), TriesLeft(0)),
    (pb.PasscodeResult(policy_violation="too simple"), Refusal.MALFORMED),
    (pb.PasscodeResult(), Refusal.UNAVAILABLE),
]


@pytest.mark.parametrize(("result", "expected"), RESULTS)
def test_passcode_results(world: World, result: pb.PasscodeResult, expected: KeyResult) -> None:
    world.script.passcode = [
        pb.VerifyPasscodeResponse(result=result),
        pb.ChangePasscodeResponse(result=result),
        pb.ResetPasscodeResponse(result=result),
    ]
    assert [world.ask(each) for each in (VERIFY, CHANGE, RESET)] == [expected] * 3
    assert world.script.asked == [
        pb.VerifyPasscodeRequest(card_serial="1000", key_ref=0x80, passcode=b"123456"),
        pb.ChangePasscodeRequest(
            card_serial="1000", key_ref=0x80, old_passcode=b"123456", new_passcode=b"654321"
        ),
        pb.ResetPasscodeRequest(card_serial="1000", puk=b"12345678", new_passcode=b"654321"),
    ]


def test_a_refused_puk_is_a_blocked_one_and_the_log_says_what_to_do(world: World) -> None:
    """AUTH-09: the card answers 6983."""
    why = "no PUK is taken at workstations here: choose another passcode on your phone"
    status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message=why)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="PUK_REFUSED"))
    world.script.passcode = [rpc_status.to_status(status)]
    with capture_logs() as logs:
        assert world.ask(RESET) == TriesLeft(0)
    assert [each["why"] for each in logs] == [why]
    assert len(world.script.asked) == 1


def test_a_passcode_waits_for_a_keystore_that_is_coming_back(world: World) -> None:
    world.keystore.stop()
    assert world.ask(STATUS) is Refusal.UNAVAILABLE  # the channel knows now that nobody is there
    world.script.passcode = [pb.VerifyPasscodeResponse(result=pb.PasscodeResult(tries_left=1))]
    back = threading.Timer(0.3, world.keystore.start)
    back.start()
    assert world.ask(VERIFY) == TriesLeft(1)
    back.join()


def test_the_card_as_the_keystore_has_it(world: World) -> None:
    guid = bytes(range(16))
    world.script.card = [
        pb.GetCardResponse(
            card=pb.Card(
                serial="1000",
                guid=guid,
                objects=[pb.DataObject(tag=0x7E, value=encode.discovery())],
                keys=[pb.CardKey(key_ref=0x9A, algorithm=approval_pb2.ALGORITHM_RSA_2048)],
            )
        )
    ]
    image = world.keys.get_card()
    assert (image.serial, image.guid) == ("1000", guid)
    assert dict(image.objects) == {0x7E: encode.discovery()}
    assert dict(image.keys) == {0x9A: CardKey(0x07)}


def test_a_card_that_cannot_be(world: World) -> None:
    world.script.card = [pb.GetCardResponse(card=pb.Card(serial="1000", guid=b"short"))]
    with pytest.raises(ValueError, match="GUID"):
        world.keys.get_card()


def come_back(seconds: float) -> grpc.Status:
    """A refusal for load, which says when to come again."""
    status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="busy")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(int(seconds * 1000))
    status.details.add().Pack(retry)
    return rpc_status.to_status(status)


def test_a_use_that_was_spent_without_a_result_has_failed(world: World) -> None:
    """The holder did not deny it."""
    status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="failed")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="NO_RESULT"))
    world.script.perform = [rpc_status.to_status(status)]
    assert world.perform() is Refusal.UNAVAILABLE


def test_a_busy_keystore_is_asked_again_when_it_says(world: World) -> None:
    world.script.create = [come_back(0.02), pb.CreateOperationResponse(operation=operation())]
    world.script.perform = [come_back(0.02), pb.PerformOperationResponse(results=[b"signature"])]
    assert world.perform() == b"signature"


def test_a_passcode_that_was_not_tried_is_sent_again(world: World) -> None:
    right = pb.VerifyPasscodeResponse(result=pb.PasscodeResult(passcode_proof=b"proof"))
    world.script.passcode = [come_back(0.02), right]
    assert world.ask(VERIFY) == Verified(b"proof")


def test_a_keystore_that_is_busy_for_long_is_not_waited_for(world: World) -> None:
    world.script.passcode = [come_back(60)]
    assert world.ask(VERIFY) is Refusal.DENIED  # as RESOURCE_EXHAUSTED comes without a reason


def test_readers_that_are_cut_off_together_do_not_come_back_together() -> None:
    pauses = [remote_operation.spread(1.0) for _ in range(200)]
    assert 1.0 <= min(pauses) < max(pauses) <= 2.0  # never before the time that was told
    assert max(pauses) - min(pauses) > 0.5


def test_a_keystore_that_names_a_time_beyond_patience_is_not_waited_for(world: World) -> None:
    world.script.create = [come_back(60)]
    begin = time.monotonic()
    assert world.perform() is Refusal.UNAVAILABLE
    assert time.monotonic() - begin < remote_operation.ASK_SECONDS / 2
    assert len(world.script.asked) == 1


def test_an_object_that_the_image_withholds(world: World) -> None:
    world.script.card = [
        pb.GetCardResponse(card=pb.Card(serial="1000", guid=bytes(16), withheld_objects=[0x5FC109]))
    ]
    assert world.keys.get_card().withheld == {0x5FC109}
    world.script.read = [
        pb.ReadObjectResponse(value=b"contents"),
        UNAVAILABLE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    ]
    request = ReadObject(b"proof", 0x5FC109)
    results = [world.keys.perform(request, world.cancellation) for _ in range(4)]
    assert results == [b"contents", Refusal.UNAVAILABLE, Refusal.UNKNOWN_KEY, Refusal.DENIED]
    asked = pb.ReadObjectRequest(card_serial="1000", tag=0x5FC109, passcode_proof=b"proof")
    assert world.script.asked[-1] == asked
    world.keystore.stop()
    assert world.keys.perform(request, world.cancellation) is Refusal.UNAVAILABLE
