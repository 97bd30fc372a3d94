"""The simulation comes to what was measured of a whole keystore."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudcard_tools.bench.scale import checking, costs

MEASURED = costs.read()
ERROR = 0.2  # as docs/scale.md says


@pytest.mark.parametrize("kind", costs.KINDS)
def test_it_is_near_what_was_measured(kind: str) -> None:
    check = checking.checks(MEASURED)[kind]
    assert check.simulated == pytest.approx(check.measured, rel=ERROR)


def test_a_computer_that_others_use_too_is_slower() -> None:
    less = replace(MEASURED, cores=0.9 * MEASURED.cores)
    whole = checking.checks(MEASURED)["unary"].simulated
    assert checking.checks(less)["unary"].simulated / whole == pytest.approx(0.9, abs=0.03)


def test_replicas_are_checked_if_they_were_measured() -> None:
    assert set(checking.checks(MEASURED)) == set(costs.KINDS)
    beside = replace(MEASURED, shared=True, replicas_to_one=1.5)
    checks = checking.checks(beside)
    assert set(checks) == {*costs.KINDS, checking.REPLICAS}
    assert checks[checking.REPLICAS].measured == 1.5 * checks["unary"].measured
    # PostgreSQL takes its part of the same cores.
    assert checks["unary"].simulated < checking.checks(MEASURED)["unary"].simulated
