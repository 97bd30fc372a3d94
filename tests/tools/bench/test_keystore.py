"""The benches of the keystore run and say what they promise; their figures are no test's matter."""

from __future__ import annotations

from pathlib import Path

from cloudcard_tools.bench import journal, waiting


def test_waiting(tmp_path: Path) -> None:
    result = waiting.measure(tmp_path, 30, 3, lambda _: None)
    assert result.waiting == 30
    assert result.rss_mib > 10
    assert result.kib_each < 1000
    assert 0 < result.approve_to_signature_p50_ms <= result.approve_to_signature_p99_ms


def test_journal(tmp_path: Path) -> None:
    parts: list[int] = []
    result = journal.measure(tmp_path, 7000, parts.append)
    assert sum(parts) == 14_000
    assert result.search_p50_ms.keys() == {"card", "user", "workstation", "operation", "time"}
    assert all(
        0 < result.search_p50_ms[each] <= result.search_p99_ms[each]
        for each in result.search_p50_ms
    )
