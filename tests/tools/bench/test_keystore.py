"""The benches of the keystore run and say what they promise; their figures are no test's matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudcard_tools.bench import journal, waiting
from support.postgres import Server


@pytest.mark.parametrize("together", [True, False], ids=["one call", "a call each"])
def test_waiting(together: bool, tmp_path: Path) -> None:
    result = waiting.measure(tmp_path, 30, 3, lambda _: None, together=together)
    assert (result.waiting, result.together) == (30, together)
    assert result.rss_mib > 10
    assert result.kib_each < 1000
    assert min(result.p50_ratio, result.p99_ratio) > 0
    assert 0 < result.approve_to_signature_p50_ms <= result.approve_to_signature_p99_ms


@pytest.mark.parametrize("shared", [False, True])
def test_journal(tmp_path: Path, shared: bool, postgresql: Server) -> None:
    parts: list[int] = []
    address = postgresql.new_database() if shared else ""
    result = journal.measure(tmp_path, 1000, address, parts.append)
    assert sum(parts) == 2000
    if shared:
        assert list(tmp_path.iterdir()) == []
    assert result.search_p50_ms.keys() == {"card", "user", "workstation", "operation", "time"}
    assert all(
        0 < result.search_p50_ms[each] <= result.search_p99_ms[each]
        for each in result.search_p50_ms
    )
