"""Results of changes as words of a trace."""

from __future__ import annotations

import pytest

from card_os.administration import Changed
from card_os.trace import results


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (Changed(management_algorithm=0x0A), "changed management 0a"),
        (
            Changed(management_algorithm=0x0A, factory_management_key=True),
            "changed management 0a factory",
        ),
    ],
)
def test_the_factorys_management_key_has_a_word(changed: Changed, words: str) -> None:
    """Traces from before it have none."""
    assert results.write(changed).lower() == words
    assert results.read(results.write(changed)) == changed
