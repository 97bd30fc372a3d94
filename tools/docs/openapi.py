"""Writes docs/openapi.json, the description of the REST API: run by `make openapi`."""

from __future__ import annotations

import json
from pathlib import Path

from cloud_keystore.rest.application import description

DESCRIBED = Path(__file__).parents[2] / "docs" / "openapi.json"


def text() -> str:
    """The description as the file has it."""
    return json.dumps(description(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DESCRIBED.write_text(text())
