"""Settings of every test: in CI, hypothesis tries the same examples each time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("default", deadline=None)  # a busy computer is no fault of the code
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
