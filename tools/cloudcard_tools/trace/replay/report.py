"""The report of a replay for people: the first difference, decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from card_os.application import Application
from cloudcard_tools.trace.replay.replaying import Outcome


def report(outcome: Outcome, applications: Sequence[Application] = ()) -> Iterator[str]:
    """The report on one file: the first difference, decoded. Without `applications`, the card is a
    PIV card.
    """
    if outcome.passed:
        yield f"same     {outcome.path} ({outcome.commands} command{'s' * (outcome.commands != 1)})"
        return
    if outcome.problem:
        yield f"unusable {outcome.path}: {outcome.problem}"
    if not outcome.differences:
        return
    from cloudcard_tools.trace.replay.difference import (
        told,  # which a replay without one does not need
    )

    first = outcome.differences[0]
    step = f", step {outcome.step!r}" if outcome.step else ""
    yield f"differs  {outcome.path}, line {first.number}{step}"
    yield from told(first, applications)
    if len(outcome.differences) > 1:
        yield f"  and {len(outcome.differences) - 1} more after it"
