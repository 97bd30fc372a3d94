"""Requests on threads of their own, and how they are stopped."""

from __future__ import annotations

import select
import threading
import time

from structlog.testing import capture_logs

from card_os.keys import KeyRequest, KeyResult, PasscodeStatus, Refusal, TriesLeft
from reader_bridge.tasks import Cancellation, KeyTask
from support.fakes import ScriptedKeys
from support.vpcd_end import Person, Ready

ASK = PasscodeStatus(bytes(16), 0x80)
SECONDS = 60.0


def wait(task: KeyTask) -> None:
    readable, _, _ = select.select([task.finished], [], [], SECONDS)
    assert readable


def test_the_end_can_be_waited_for() -> None:
    with KeyTask(Ready(ScriptedKeys()), ASK) as task:
        wait(task)
        assert task.result == TriesLeft(3, factory=True)


def test_a_bug_is_no_result() -> None:
    class Bug:
        def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
            raise ZeroDivisionError

    with capture_logs() as logs, KeyTask(Bug(), ASK) as task:
        wait(task)
        assert task.result is Refusal.UNAVAILABLE
        assert logs[0]["request"] == "PasscodeStatus"


def test_cancelling_waits_for_the_end() -> None:
    person = Person(ScriptedKeys())
    with KeyTask(person, ASK) as task:
        person.wait_until_asked()
        task.cancel(SECONDS)
        assert person.cancelled.is_set()
        wait(task)


def test_cancelling_gives_time_for_withdrawing() -> None:
    class Slow:
        withdrawn = False

        def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
            assert cancellation.wait(SECONDS)
            time.sleep(0.2)
            self.withdrawn = True
            return Refusal.CANCELLED

    slow = Slow()
    with KeyTask(slow, ASK) as task:
        task.cancel(SECONDS)
        assert slow.withdrawn


def test_one_that_does_not_stop_is_left_alone() -> None:
    go_on = threading.Event()

    class Deaf:
        def perform(self, request: KeyRequest, cancellation: Cancellation) -> KeyResult:
            assert go_on.wait(SECONDS)
            return Refusal.CANCELLED

    with KeyTask(Deaf(), ASK) as task:
        task.cancel(0.01)
        assert not select.select([task.finished], [], [], 0)[0]
        go_on.set()
        wait(task)


def test_a_request_to_stop_before_the_action_runs_it_at_once() -> None:
    cancellation, ran = Cancellation(), []
    cancellation.request()
    with cancellation.running(lambda: ran.append(1)):
        assert ran == [1]
    assert cancellation.wait(SECONDS)


def test_an_action_is_over_with_its_block() -> None:
    cancellation, ran = Cancellation(), []
    with cancellation.running(lambda: ran.append(1)):
        pass
    cancellation.request()
    assert ran == []
