"""What a desktop tells of its person."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum, unique
from typing import TypeAlias


@unique
class Event(StrEnum):
    """Something that the person at the computer has done, or has not done for some time."""

    LOCKED = "lock"  # the screen, also by itself
    AWAY = "away"  # another session is on the screen
    SLEEPS = "sleep"  # the computer is about to
    IDLE = "idle"  # nobody has touched it for as long as was configured
    LOGGED_OFF = "log-off"  # or the computer shuts down
    HERE = "here"  # again


LEAVING = frozenset(Event) - {Event.HERE}

# Called on the threads that listen. It returns when what follows is done: the computer sleeps then.
Tell: TypeAlias = Callable[[Event], None]
