"""Has the doctor look at this computer while the agent runs, and the keystore told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

import grpc

from cloudcard_tools.doctor import every, telling
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.doctor.report import Report, examined

FIRST_SECONDS = 60.0  # until the desktop and its services have started
AGAIN_SECONDS = 86400.0

Look: TypeAlias = Callable[[], Report]


def looked() -> Report:
    """What the doctor finds here now."""
    return examined(every.checks(Places()))


@contextmanager
def reported(channel: grpc.Channel, look: Look = looked) -> Iterator[None]:
    """Report during the block, on a thread of its own. A keystore that is out of reach, or older,
    is not told; the next day it is.
    """
    ended = threading.Event()

    def run() -> None:
        seconds = FIRST_SECONDS
        while not ended.wait(seconds):
            seconds = AGAIN_SECONDS
            # The channel can be closed meanwhile.
            with suppress(grpc.RpcError, ValueError):
                telling.send(look(), channel)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
