"""A running reader tells once when its keystore goes and when it is back."""

from __future__ import annotations

import io
import json

from cloudcard_tools.reader.keystore_watch import LOST_SECONDS, STEADY_SECONDS, KeystoreWatch
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.shared.failures import Failure, OutOfReach, Refused
from reader_bridge.remote.operation import spread


def events(*failures: Failure | None) -> tuple[list[str], list[float]]:
    """What is told while the keystore answers so, and after how long it is asked again."""
    out = io.StringIO()
    answers = iter(failures)
    watch = KeystoreWatch(lambda: next(answers), Screen(out, as_json=True))
    pauses = [watch.look() for _ in failures]
    return [json.loads(line)["event"] for line in out.getvalue().splitlines()], pauses


def test_it_goes_and_comes() -> None:
    gone = OutOfReach("nobody listens", "CONNECTION_REFUSED")
    told, pauses = events(None, gone, gone, OutOfReach("no way", "NO_ROUTE"), None, None, gone)
    assert told == ["keystore_lost", "keystore_back", "keystore_lost"]
    assert pauses[:2] == [STEADY_SECONDS, LOST_SECONDS]


def test_a_removal_is_noticed_within_a_minute() -> None:
    assert max(spread(STEADY_SECONDS) for _ in range(1000)) <= 60


def test_a_removed_workstation_is_told_once() -> None:
    removed = Refused("this workstation was removed: enrol it again", "IDENTITY_REJECTED")
    assert events(None, removed, removed)[0] == ["rejected"]
    assert events(OutOfReach("gone"), removed, removed)[0] == ["keystore_lost", "rejected"]
