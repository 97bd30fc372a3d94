"""How checks are made: in parallel, in time, each with a finding whatever happens to it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloudcard_tools.doctor import checks
from cloudcard_tools.doctor.checks import Check, Level, Once


def test_examining_keeps_order_and_survives_bad_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LIMIT_SECONDS", 2.0)
    released = threading.Event()

    def broken() -> checks.Finding:
        raise ValueError("odd")

    def hangs() -> checks.Finding:
        released.wait()
        return checks.ok("too late")

    found = checks.examine(
        [
            Check("a.hangs", "hangs", hangs, "end what hangs"),
            Check("a.broken", "broken", broken),
            Check("a.good", "good", lambda: checks.ok("fine")),
        ]
    )
    released.set()  # it has not been waited for
    assert [finding.level for finding in found] == [Level.FAILED, Level.FAILED, Level.OK]
    assert found[0].cause == "no answer in 2 s"
    assert found[0].fix == "end what hangs"
    assert "ValueError: odd" in found[1].cause


def test_what_several_ask_for_is_asked_once() -> None:
    asked = []

    def ask() -> int:
        asked.append(threading.get_ident())
        return len(asked)

    once = Once(ask)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: once(), range(8))) == [1] * 8
    assert len(asked) == 1
