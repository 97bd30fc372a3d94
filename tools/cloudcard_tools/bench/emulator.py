"""Measures the same commands in vsmartcard's own emulator. Its own Python runs this as a script.

The emulator has files where PIV has objects, so READ BINARY in parts stands for GET DATA with its
chain of GET RESPONSE. It has no GENERAL AUTHENTICATE.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter_ns

SELECT = bytes.fromhex("00A4020C022001")
SELECT_LONGER = bytes.fromhex("00A4020C022002")
VERIFY = bytes.fromhex("0020008006313233343536")
LONG_BYTES, LONGER_BYTES = 2048, 12288
PART = 256  # what one short command reads
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Result:
    """Medians in microseconds."""

    select_us: float
    get_data_2k_us: float
    get_data_12k_us: float
    verify_us: float


def measure(execute: Callable[[bytes], bytes], count: int) -> Result:
    """Measure a card with two files. Raises SystemExit if a command fails."""

    def send(*commands: bytes) -> None:
        for command in commands:
            if not execute(command).endswith(b"\x90\x00"):
                raise SystemExit(f"{command.hex()} failed")

    def time(*commands: bytes) -> float:
        durations = []
        for _ in range(WARM_UP + count):
            begin = perf_counter_ns()
            send(*commands)
            durations.append(perf_counter_ns() - begin)
        return round(median(durations[WARM_UP:]) / 1000, 2)

    select, verify = time(SELECT), time(VERIFY)
    get_2k = time(*_read(LONG_BYTES))
    send(SELECT_LONGER)
    return Result(select, get_2k, time(*_read(LONGER_BYTES)), verify)


def _read(size: int) -> list[bytes]:
    return [b"\x00\xb0" + offset.to_bytes(2) + b"\0" for offset in range(0, size, PART)]


def main(count: int) -> None:
    """Make the emulator's card and print the result."""
    from virtualsmartcard import SmartcardFilesystem, SmartcardSAM, VirtualSmartcard

    logging.disable(logging.CRITICAL)
    # The emulator prints messages.
    with contextlib.redirect_stdout(io.StringIO()):
        files = SmartcardFilesystem.MF()
        for fid, size in ((0x2001, LONG_BYTES), (0x2002, LONGER_BYTES)):
            files.append(
                SmartcardFilesystem.TransparentStructureEF(parent=files, fid=fid, data=bytes(size))
            )
        access = SmartcardSAM.SAM(b"123456", b"1234567890")
        access.set_MF(files)
        result = measure(VirtualSmartcard.Iso7816OS(files, access).execute, count)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
