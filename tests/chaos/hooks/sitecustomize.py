"""Steps the wall clock of a program and of those that it starts, by what a file says. Python runs
this at each start while the folder is in PYTHONPATH.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

if clock := os.environ.get("CHAOS_CLOCK"):
    with open(clock, "rb") as file:
        step = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real = time.time_ns
    time.time_ns = lambda: real() + struct.unpack_from("=q", step)[0]
