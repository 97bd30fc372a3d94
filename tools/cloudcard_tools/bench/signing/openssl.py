"""How fast OpenSSL signs on this computer, by `openssl speed`."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import click

# A row of `openssl speed -mr` for RSA (F2) or ECDSA (F4): signatures and verifications per second.
# OpenSSL 3.5 adds encryptions to it, and rows of other kinds. The table for people is less stable.
ROW = re.compile(r"^\+F[24]:\d+:\d+:(\d+\.\d+):(\d+\.\d+)", re.MULTILINE)
NAMES: Mapping[str, str] = {"rsa2048": "rsa2048", "p256": "ecdsap256"}  # openssl's
LONGEST_SECONDS = 10.0
PATIENCE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Speed:
    """Signatures of one algorithm."""

    per_s: float  # on all cores
    per_cpu_s: float  # in a second of one core's time, while all cores are busy

    @property
    def ms(self) -> float:
        """The time for one signature."""
        return 1000 / self.per_cpu_s


def measure(seconds: float) -> Mapping[str, Speed]:
    """Both algorithms, for about so many seconds each. Raises ClickException."""
    return {name: _speed(name, seconds) for name in NAMES}


def _speed(algorithm: str, seconds: float) -> Speed:
    cores = os.cpu_count() or 1
    whole = ("-seconds", str(max(1, round(min(seconds, LONGEST_SECONDS)))))
    # With -multi it counts the clock's seconds, without the seconds that it has computed.
    (together,) = _run([("-multi", str(cores), *whole)], algorithm)
    each = _run([whole] * cores, algorithm)
    return Speed(together, sum(each) / cores)


def _run(ways: list[tuple[str, ...]], algorithm: str) -> list[float]:
    """What processes say that run beside each other."""
    processes = []
    try:
        for way in ways:
            command = ["openssl", "speed", "-mr", *way, NAMES[algorithm]]
            processes.append(
                subprocess.Popen(  # noqa: S603 (nobody else's words)
                    command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            )
        outputs = [each.communicate(timeout=PATIENCE_SECONDS)[0] for each in processes]
    except (OSError, subprocess.SubprocessError) as error:
        raise click.ClickException(f"openssl speed cannot be run: {error}") from None
    finally:
        for each in processes:
            each.kill()
            each.wait()
    return [signatures_per_second(each) for each in outputs]


def signatures_per_second(printed: str) -> float:
    """What `openssl speed -mr` says of one algorithm. Raises ClickException if it says nothing."""
    found = ROW.search(printed)
    if found is None:
        raise click.ClickException(f"`openssl speed` printed no rate of signatures: {printed!r}")
    return float(found[1])
