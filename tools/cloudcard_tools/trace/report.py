"""What people read of a replay: the first difference, decoded."""

from __future__ import annotations

from collections.abc import Iterator

from card_os.trace.lines import Line, Received, write
from cloudcard_tools.trace import words
from cloudcard_tools.trace.replaying import Outcome


def report(outcome: Outcome) -> Iterator[str]:
    """What people read of one file: the first difference, decoded."""
    if outcome.passed:
        yield f"same     {outcome.path} ({outcome.commands} commands)"
        return
    if outcome.problem:
        yield f"unusable {outcome.path}: {outcome.problem}"
    if not outcome.differences:
        return
    first = outcome.differences[0]
    step = f", step {outcome.step!r}" if outcome.step else ""
    yield f"differs  {outcome.path}, line {first.number}{step}"
    yield f"  command   {words.command(first.command)}"
    yield from _side("expected", first.expected)
    yield from _side("actual", first.actual)
    if len(outcome.differences) > 1:
        yield f"  and {len(outcome.differences) - 1} more after it"


def _side(name: str, line: Line | None) -> Iterator[str]:
    match line:
        case None:
            yield f"  {name:9} nothing"
        case Received(apdu):
            yield f"  {name:9} {words.status(apdu)}, {len(apdu) - 2} bytes of data"
            tree = list(words.tree(apdu[:-2]))
            yield from (f"            {each}" for each in tree)
            if not tree and len(apdu) > 2:
                yield f"            {words.octets(apdu[:-2])}"
        case _:
            yield f"  {name:9} {write(line)}"
