"""docs/threat-model.md names tests; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(
    set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", (ROOT / "docs/threat-model.md").read_text()))
)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_is_there(file: str, test: str) -> None:
    text = (ROOT / "tests" / file).read_text()
    assert re.search(rf"^ *(async )?def {test}\(", text, re.MULTILINE), f"no {test} in {file}"


def test_the_threat_model_names_tests() -> None:
    assert len(NAMED) > 40
