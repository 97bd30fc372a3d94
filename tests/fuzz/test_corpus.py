"""What fuzzing has found stays right: each input of the corpus, without a fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]


def holds(target: str, data: bytes) -> None:
    """What a target says must hold does: it raises nothing."""
    try:
        TARGETS[target](data)
    except Exception as error:
        pytest.fail(f"{target} does not hold for {data.hex()}: {error!r}")


@pytest.mark.parametrize(("target", "path"), INPUTS, ids=[f"{t}-{p.name[:8]}" for t, p in INPUTS])
def test_the_corpus(target: str, path: Path) -> None:
    holds(target, path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_corpus(target: str) -> None:
    assert any(name == target for name, _ in INPUTS)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=600))
def test_any_bytes(target: str, data: bytes) -> None:
    holds(target, data)
