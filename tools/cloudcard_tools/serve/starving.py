"""What a process gets of the processors (Linux)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

# The state of a thread that runs or waits for a processor, as /proc/PID/stat says it (proc(5)),
# and the clock of another process's use of the processors (clock_getcpuclockid(3)).
READY_TO_RUN = "R"
SCHEDULED = 2


@dataclass(slots=True)
class Share:
    """What a process has got of the processors by the last look at it."""

    pid: int
    used: float = -math.inf  # seconds

    def missed(self, seconds: float) -> float:
        """How many of the seconds since the last look it was ready to run and had to wait. One that
        sleeps, is stopped or runs has missed none, nor has one that the system does not show.
        """
        try:
            before, self.used = self.used, time.clock_gettime(~self.pid << 3 | SCHEDULED)
            ready = _is_ready(self.pid)
        except OSError:
            return 0.0
        return max(0.0, seconds - (self.used - before)) if ready else 0.0


def _is_ready(pid: int) -> bool:
    """Whether any of its threads is. The one that speaks may wait for what another one holds."""
    return any(
        (task / "stat").read_text().rpartition(")")[2].split()[0] == READY_TO_RUN
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
