"""Benches measure real parts together: pcscd and vpcd, drivers, keystores and their clients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudcard_tools.bench import reader
from cloudcard_tools.shared import pcsc, pcscd

COMMAND = [sys.executable, "-m", "cloudcard_tools", "bench", "apdu", "--json", "--count", "300"]


def test_the_bench_measures_all_in_one_run(virtual_readers: pcsc.Client) -> None:
    done = subprocess.run(COMMAND, stdout=subprocess.PIPE, timeout=90, check=True)
    result = json.loads(done.stdout)
    assert 0 < max(result["echo_us"], result["card_us"]) < result["naive_us"]
    assert result["core_us"] < result["card_us"]
    assert (result["count"], result["response_bytes"]) == (300, 20)
    for slot in (0, 1):
        virtual_readers.wait_for_absence(slot)
    assert pcscd.occupied() == set()


def test_our_driver_is_measured_beside_vpcd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ROUNDS", 2)
    monkeypatch.setattr(reader, "EVENTS", 5)
    monkeypatch.setattr(reader, "SETTLE_SECONDS", 0.2)
    done: list[int] = []
    result = reader.measure(tmp_path, 20, done.append)
    assert sum(done) == reader.steps()
    assert (result.count, result.events) == (20, 10)
    assert min(result.floor_us, result.echo_ours_us, result.card_ours_us, result.card_vpcd_us) > 0
    assert 0 < result.insert_ms <= result.insert_p99_ms
    assert 0 < result.remove_ms <= result.remove_p99_ms
    assert all(value >= 0 for _, value, _ in result.goals())


@pytest.mark.timeout(600)
def test_signatures_are_measured_with_both_clients() -> None:
    small = ("--seconds", "0.2", "--rounds", "1", "--workstations", "2", "--sessions", "4")
    command = [*COMMAND[:3], "bench", "sign", "--json", "--client", "both", *small]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=580, check=True)
    results = json.loads(done.stdout)
    assert list(results) == ["native", "python"]
    for result in results.values():
        assert list(result) == ["rsa2048", "rsa2048_pss", "p256", "openssl", "noop", "limit"]
        assert list(result["rsa2048"]) == ["unary", "stream", "batch"]
        assert list(result["rsa2048_pss"]) == ["unary"]
        assert list(result["p256"]) == ["unary", "stream"]
        for algorithm in ("rsa2048", "rsa2048_pss", "p256"):
            for figures in result[algorithm].values():
                assert 0 < figures["p50_ms"] <= figures["p99_ms"]
                assert min(figures.values()) > 0
