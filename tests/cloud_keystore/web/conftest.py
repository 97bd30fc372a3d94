"""Tests of pages wait longer for what a page shows than people would."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

PATIENCE = 60_000.0  # ms; a busy computer is slow at times


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """Let what a page is expected to show come late; what is to come soon says so itself."""
    expect.set_options(timeout=PATIENCE)
