"""The stage waits for what belongs to the request in hand, and has ports of its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from cloud_keystore.model.operations import QUIET_TIME
from cloudcard_tools.demo import stage
from cloudcard_tools.demo.programs import Ended
from cloudcard_tools.demo.stage import Stage, free_ports
from cloudcard_tools.demo.timeline import Declined, StepFailed
from cloudcard_tools.shared.processes import Nursery


def test_an_earlier_request_on_the_phone_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """It was approved by its QR code, and nobody has looked at the phone since."""
    events = [{"event": "request", "operation": each} for each in ("earlier", "this one")]
    said = "; sleep 0.2; ".join(f"echo '{json.dumps(each)}'" for each in events)
    with Nursery(tmp_path) as nursery:
        nursery.start("phone", "sh", "-c", f"{said}; exec sleep 60")
        stage = Stage(tmp_path, nursery, interactive=False)
        assert stage.ringing({"operation": "this one"}) == events[1]
        assert stage.count_rings() == 1


def test_what_the_application_said_is_told_although_it_may_fail(tmp_path: Path) -> None:
    """It was told to have ended well, and nobody saw why it had asked nothing."""

    def decide() -> None:
        raise StepFailed("nothing was asked")

    with Nursery(tmp_path) as nursery:
        stage = Stage(tmp_path, nursery, interactive=False)
        with pytest.raises(StepFailed, match=r"nothing was asked; .* with 1: CKR_FUNCTION_FAILED"):
            stage.while_deciding(decide, lambda: Ended(1, "", "CKR_FUNCTION_FAILED\n"))


def test_a_key_that_was_just_refused_is_left_in_peace(tmp_path: Path) -> None:
    """Who typed fast met the keystore's own refusal, and the demo failed."""

    def decide() -> None:
        raise Declined("no")

    with Nursery(tmp_path) as nursery:
        stage = Stage(tmp_path, nursery, interactive=True)
        stage.leave_in_peace()
        with pytest.raises(Declined):
            stage.while_deciding(decide, lambda: None)
        assert stage.declined > time.monotonic() - QUIET_TIME.total_seconds()
        stage.leave_in_peace()
        assert stage.declined <= time.monotonic() - QUIET_TIME.total_seconds()


def test_two_processes_have_no_port_in_common(tmp_path: Path) -> None:
    """Nobody has bound them yet, so that each port looks free to both."""
    ask = "import json, sys; from cloudcard_tools.demo.stage import free_ports as free;"
    ask += "print(json.dumps({'ports': free(60)}), flush=True); sys.stdin.read()"
    with Nursery(tmp_path) as nursery:
        others = [nursery.start(name, sys.executable, "-c", ask) for name in ("one", "another")]
        found = [each.wait_for_json()["ports"] for each in others]
        own = free_ports(60)
    theirs = [port for ports in found if isinstance(ports, list) for port in ports]
    assert len({*map(str, own), *map(str, theirs)}) == 180


def test_ports_go_round_before_others_are_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that started many listeners, one after the other, took the ports of all."""
    claimed = [[1, 2, 3, 4], [5, 6, 7, 8]]
    monkeypatch.setattr(stage.Ports, "_claimed", lambda _: claimed.pop(0) if claimed else ())
    busy = set[int]()
    monkeypatch.setattr(stage, "_is_free", lambda port: port not in busy)
    ports = stage.Ports()
    assert [ports.free(3), ports.free(3), ports.free(2)] == [[1, 2, 3], [4, 1, 2], [3, 4]]
    assert len(claimed) == 1
    busy.update((1, 2, 3))
    assert [ports.free(1), ports.free(2)] == [[4], [4, 5]]
    assert claimed == []
    assert sorted(ports.free(9)) == [4, 5, 6, 7, 8]
    busy.clear()
    assert len(ports.free(8)) == 8


def test_too_few_ports_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have all blocks; whoever asked got fewer, without a word."""
    own = free_ports(1)
    monkeypatch.setattr(stage.Ports, "_claimed", lambda _: ())
    monkeypatch.setattr(stage, "_own_ports", lambda: stage.Ports(list(own)))
    assert free_ports(1) == own
    for _ in range(2):
        with pytest.raises(StepFailed, match=r"2 free ports are needed .* 1 are left"):
            free_ports(2)
