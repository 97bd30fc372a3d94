"""What `openssl speed` prints is read, whatever its version."""

from __future__ import annotations

import click
import pytest

from cloudcard_tools.bench.signing import openssl


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
def test_a_rate_is_read(printed: str) -> None:
    assert openssl.signatures_per_second(printed) == 1210.714286


def test_a_rate_that_openssl_does_not_say_is_quoted() -> None:
    with pytest.raises(click.ClickException, match="no rate of signatures: 'nothing'"):
        openssl.signatures_per_second("nothing")


def test_without_openssl_the_bench_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(click.ClickException, match="openssl speed cannot be run"):
        openssl.measure(1)


def test_the_time_of_a_signature_is_that_of_one_core() -> None:
    assert openssl.Speed(per_s=4000, per_cpu_s=2500).ms == 0.4
