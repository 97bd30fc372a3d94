"""Fuzzes one target: `python run.py TARGET SECONDS FOLDER`, which keeps what it finds.

The committed corpus is where it begins; a failing input is left in FOLDER as crash-*.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"
LONGEST_INPUT = 4096

FUZZED = ["card_os", "reader_bridge.ccid", "reader_bridge.records", "reader_bridge.vpcd"]

with atheris.instrument_imports(include=FUZZED):
    import targets


def main(target: str, seconds: str, folder: str) -> None:
    """Run until the time is over or something breaks; does not return."""
    found = Path(folder) / target
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-artifact_prefix={found.parent}/{target}-",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup(
        [sys.argv[0], *options, str(found), str(CORPUS / target)], targets.TARGETS[target]
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
