"""Tells once when the keystore of a running reader goes, why, and when it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import grpc

from cloudcard_tools.shared.failures import Failure, Refused, sentence
from reader_bridge.remote.operation import spread

# How often the keystore is asked, or half as often, by chance. A connection that ends is noticed at
# once, a removed workstation only by asking: within a minute.
STEADY_SECONDS = 30.0
LOST_SECONDS = 2.0

Ask = Callable[[], Failure | None]


class Says(Protocol):
    """What tells people, as `Screen` does."""

    def say(self, event: str, text: str, **more: str | int) -> None: ...


@dataclass(slots=True)
class KeystoreWatch:
    """What was told last, so that nothing is told twice."""

    ask: Ask
    screen: Says
    told: str = ""  # the reason of the failure; empty while all is well

    def look(self) -> float:
        """Ask, tell what has changed, and return after how many seconds to ask again."""
        failure = self.ask()
        if failure is None:
            if self.told:
                self.screen.say("keystore_back", "The keystore is back.")
            self.told = ""
            return STEADY_SECONDS
        rejected = isinstance(failure, Refused)
        event = "rejected" if rejected else "keystore_lost"
        if not self.told or (rejected and self.told != failure.reason):
            self.screen.say(event, sentence(failure.message), reason=failure.reason)
        self.told = failure.reason
        return STEADY_SECONDS if rejected else LOST_SECONDS


@contextmanager
def watched(channel: grpc.Channel, ask: Ask, screen: Says) -> Iterator[None]:
    """Watch the keystore during the block, on a thread of its own."""
    woken, ended = threading.Event(), threading.Event()
    watch = KeystoreWatch(ask, screen)

    def changed(state: grpc.ChannelConnectivity) -> None:
        if state is not grpc.ChannelConnectivity.READY and not watch.told:
            woken.set()

    def run() -> None:
        seconds = STEADY_SECONDS
        while not ended.is_set():
            woken.wait(spread(seconds))
            woken.clear()
            # The channel can be closed meanwhile.
            with suppress(ValueError):
                seconds = seconds if ended.is_set() else watch.look()

    channel.subscribe(changed)
    threading.Thread(target=run, name="keystore watch", daemon=True).start()
    try:
        yield
    finally:
        channel.unsubscribe(changed)
        ended.set()
        woken.set()
