"""The benches of the keystore run and say what they promise; their figures are no test's matter."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from cloudcard_tools.bench import journal, sign, waiting


def test_signatures(tmp_path: Path) -> None:
    parts: list[int] = []
    result = sign.measure(tmp_path, 0.3, "", 1, parts.append, rounds=1)
    assert sum(parts) == sign.steps(1)
    facts = result.facts()
    assert facts.keys() == {"rsa2048", "p256", "rsa2048_batch", "noop_per_s", "limit", "machine"}
    for name in ("rsa2048", "p256"):
        figures = facts[name]
        assert isinstance(figures, dict)
        assert figures.keys() == {"per_s", "ratio", "noop_ratio", "p50_ms", "p99_ms"}
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        assert 0 < figures["ratio"] < 1.5
    limit = facts["limit"]
    assert isinstance(limit, dict)
    parts_of_it = ("noop_ms", "openssl_rsa2048_ms", "commit_ms")
    assert abs(limit["sum_ms"] - sum(limit[part] for part in parts_of_it)) < 0.01
    assert [name for name, *_ in result.goals()] == list(sign.GOALS)


@pytest.mark.parametrize(
    "printed",
    [
        "+F2:2:2048:1210.714286:47445.454545\n",  # OpenSSL 3.0
        "+F2:2:2048:1210.714286:49476.119403:45366.037736:1257.692308\n"  # 3.5
        "+F9:2:25.757576:44650.943396:1418.181818\n+F10:2:19.696970:1088.0:44874.418605\n",
        "Forked child 0\nGot: +F4:3:256:600.0:4287.0 from 0\nGot: +F4:3:256:610.7:3358.0 from 1\n"
        "+F4:3:256:1210.714286:7645.000000\n",  # of two processes
    ],
)
def test_openssls_own_speed_is_read_whatever_its_version(printed: str) -> None:
    assert sign.signatures_per_second(printed) == 1210.714286


def test_a_speed_that_openssl_does_not_say_is_quoted() -> None:
    with pytest.raises(click.ClickException, match="no rate of signatures: 'nothing'"):
        sign.signatures_per_second("nothing")


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
