"""Where this user's files are."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def folder() -> Path:
    """`CLOUDCARD_HOME`, or the platform's place for an application's data."""
    chosen = os.environ.get("CLOUDCARD_HOME")
    return Path(chosen) if chosen else platformdirs.user_data_path("cloudcard")


def of_role(role: str) -> Path:
    """Where the identity of a role is kept unless the user says otherwise."""
    return folder() / role
