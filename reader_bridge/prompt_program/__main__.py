"""`python3 -I FOLDER gtk|tk|notify`: shows the prompts that the agent sends on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # A folder that is run is on the path itself. The package's own folder comes last, so that only
    # what the system lacks is found there.
    sys.path[:] = [*sys.path[1:], str(Path(__file__).resolve().parents[2])]
    from reader_bridge.prompt_program import starting

    sys.exit(starting.main(sys.argv[1:]))
