"""A difference between a trace and a card, decoded and marked for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from card_os.application import Application
from card_os.trace.lines import Asked, Line, Received, write
from card_os.trace.replay import Difference
from cloudcard_tools.trace.explain import key_words, words
from cloudcard_tools.trace.explain.data_objects import DataObject, count, octets, row, rows

MOST_TEXT = 120  # characters that are shown of a trace's line
AROUND = 8  # bytes on each side of the first that differs
INDENT = " " * 12

Row: TypeAlias = "tuple[int, DataObject]"  # depth and object


def told(difference: Difference, applications: Sequence[Application] = ()) -> Iterator[str]:
    """The command, the expected line and the actual line, in the words of the card's applications;
    without `applications`, in PIV's.
    """
    interpreter = words.Interpreter(applications)
    command = difference.command
    yield f"  command   {interpreter.command(command)}"
    match difference.expected, difference.actual:
        case Received(expected), Received(actual):
            trees = tuple(_tree(interpreter, command, apdu) for apdu in (expected, actual))
            yield from _responses((trees[0], trees[1]), expected, actual)
        case expected_line, actual_line:
            for name, line in (("expected", expected_line), ("actual", actual_line)):
                yield from _side(name, line, command, interpreter)


def _side(
    name: str, line: Line | None, command: bytes, interpreter: words.Interpreter
) -> Iterator[str]:
    match line:
        case None:
            yield f"  {name:9} nothing"
        case Received(apdu):
            yield _headline(name, apdu)
            yield from _data(_tree(interpreter, command, apdu), set(), apdu)
        case Asked(request):
            yield f"  {name:9} {_cut(write(line))}"
            if interpreter.is_piv:
                yield f"{INDENT}asks the key service: {key_words.asked(request)}"
        case _:
            yield f"  {name:9} {_cut(write(line))}"


def _responses(
    trees: tuple[Sequence[Row], Sequence[Row]], expected: bytes, actual: bytes
) -> Iterator[str]:
    """Two responses and what is in them, with a mark where they differ."""
    here, there = _unlike(*trees)
    yield _headline("expected", expected)
    yield from _data(trees[0], here, expected)
    yield _headline("actual", actual)
    if expected[:-2] == actual[:-2]:
        if len(actual) > 2:
            yield f"{INDENT}the same data"
        return
    if there and here:  # the remaining lines are the same
        yield from (_row(*trees[1][at], mark="!") for at in sorted(there))
    else:
        yield from _data(trees[1], there, actual)
    yield from _first_byte(expected[:-2], actual[:-2])


def _headline(name: str, apdu: bytes) -> str:
    data = f", {count(len(apdu) - 2)} of data" if len(apdu) > 2 else ""
    return f"  {name:9} {words.status(apdu)}{data}"


def _tree(interpreter: words.Interpreter, command: bytes, apdu: bytes) -> Sequence[Row]:
    return list(rows(interpreter.received(command, apdu[:-2])))


def _data(tree: Sequence[Row], marked: set[int], apdu: bytes) -> Iterator[str]:
    """The data objects of a response; its bytes if there are none."""
    for at, (depth, each) in enumerate(tree):
        yield _row(depth, each, mark="!" if at in marked else " ")
    if not tree and len(apdu) > 2:
        yield f"{INDENT}{octets(apdu[:-2])}"


def _row(depth: int, each: DataObject, mark: str) -> str:
    return f"{INDENT[:-2]}{mark} {'  ' * depth}{row(each)}"


def _unlike(here: Sequence[Row], there: Sequence[Row]) -> tuple[set[int], set[int]]:
    """The rows of two trees that the other one lacks. A row with others inside counts by its own
    line.
    """
    keys = tuple([_key(depth, each) for depth, each in tree] for tree in (here, there))
    unlike: tuple[set[int], set[int]] = set(), set()
    for kind, a, b, c, d in SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        if kind != "equal":
            unlike[0].update(range(a, b))
            unlike[1].update(range(c, d))
    return unlike


def _key(depth: int, each: DataObject) -> tuple[int, str, bytes]:
    return depth, each.title, b"" if each.inside else each.value


def _first_byte(expected: bytes, actual: bytes) -> Iterator[str]:
    """The first byte that differs, with those around it."""
    pairs = enumerate(zip(expected, actual, strict=False))
    at = next((at for at, (here, there) in pairs if here != there), None)
    if at is None:
        at = min(len(expected), len(actual))
    yield f"  first     byte {at + 1}, expected {_around(expected, at)}"
    yield f"{INDENT}{' ' * len(f'byte {at + 1},')}   actual {_around(actual, at)}"


def _around(data: bytes, at: int) -> str:
    before, after = data[max(0, at - AROUND) : at], data[at + 1 : at + 1 + AROUND]
    start = "…" if at > AROUND else ""
    end = "…" if at + 1 + AROUND < len(data) else ""
    return f"{start}{before.hex().upper()}[{data[at : at + 1].hex().upper()}]" + (
        f"{after.hex().upper()}{end}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
