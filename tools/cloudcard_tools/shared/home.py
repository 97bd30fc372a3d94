"""Where this user's files are."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

from cloudcard_tools.shared.failures import Failure

VARIABLE = "CLOUDCARD_HOME"


def folder() -> Path:
    """`CLOUDCARD_HOME`, or the platform's place for an application's data. Raises Failure if this
    user has no home folder.
    """
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else of_user(platformdirs.user_data_path)


def cache() -> Path:
    """The place for what can be made again. Raises Failure if this user has no home folder."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen, "cache") if chosen else of_user(platformdirs.user_cache_path)


def of_role(role: str) -> Path:
    """Where the identity of a role is kept unless the user says otherwise."""
    return folder() / role


def of_user(locate: Callable[[str], Path]) -> Path:
    """The platform's place for our files. Raises Failure if the user's home folder is unknown: then
    the place stays relative, or cannot be named at all.
    """
    with suppress(RuntimeError):
        place = locate("cloudcard")
        if place.is_absolute():
            return place
    raise Failure(
        f"this user has no home folder: name a folder for cloudcard's files in {VARIABLE}"
    )
