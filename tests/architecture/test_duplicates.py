"""No logic stands twice: no two places of our packages have ten or more of the same lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from architecture.imports import modules, under

MOST_SAME = 9  # lines in a row
LEFT_OUT = {"cloud_keystore.storage.migrations"}  # what a migration did stays as it was
MODULES = {name: path for name, path in modules() if not under(name, LEFT_OUT)}


def lines(source: str) -> list[tuple[int, str]]:
    """The lines that count, with their numbers: no blank ones, comments or imports. What white
    space is between words does not matter.
    """
    imports = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    folded = ((number, " ".join(line.split())) for number, line in enumerate(source.split("\n"), 1))
    return [
        (number, line)
        for number, line in folded
        if line and not line.startswith("#") and number not in imports
    ]


def duplicates(sources: Mapping[str, str]) -> list[str]:
    """The pairs of places with more than `MOST_SAME` same lines in a row, in words; of a longer
    run, its beginning.
    """
    length = MOST_SAME + 1
    first: dict[tuple[str, ...], tuple[str, int, int]] = {}
    found: list[str] = []
    for name, source in sources.items():
        counted = lines(source)
        before: tuple[str, int] | None = None  # the place that the last window was the same as
        for at in range(len(counted) - MOST_SAME):
            window = tuple(line for _, line in counted[at : at + length])
            other, its_at, its_number = first.setdefault(window, (name, at, counted[at][0]))
            is_other = other != name or at - its_at >= length
            if is_other and before != (other, its_at - 1):
                found.append(f"{name}:{counted[at][0]} is the same as {other}:{its_number}")
            before = (other, its_at) if is_other else None
    return found


def test_no_logic_stands_twice() -> None:
    assert duplicates({name: path.read_text() for name, path in MODULES.items()}) == []


def numbered(count: int, first: int = 0) -> Iterator[str]:
    return (f"x{number} = {number}" for number in range(first, first + count))


def test_a_duplicate_is_found() -> None:
    one = "\n".join(["import a", "", *numbered(12)])
    other = "\n".join(["y = 1", *numbered(12), "z = 1"])
    assert duplicates({"one": one, "other": other}) == ["other:2 is the same as one:3"]


def test_white_space_and_comments_do_not_hide_it() -> None:
    one = "\n".join(numbered(10))
    other = "\n\n# why\n".join(line.replace(" = ", "  =  ") for line in numbered(10))
    assert duplicates({"one": one, "other": other}) == ["other:1 is the same as one:1"]


def test_a_module_that_repeats_itself_is_found() -> None:
    twice = "\n".join([*numbered(10), "y = 1", *numbered(10)])
    assert duplicates({"one": twice}) == ["one:12 is the same as one:1"]


def test_what_is_shorter_may_stand_twice() -> None:
    source = "\n".join(numbered(MOST_SAME))
    assert duplicates({"one": source, "other": source}) == []


def test_imports_may_stand_twice() -> None:
    source = "\n".join(["from a import (", *(f"    x{n}," for n in range(20)), ")"])
    assert duplicates({"one": source, "other": source}) == []


def test_a_run_of_same_lines_is_no_duplicate_of_itself() -> None:
    assert duplicates({"one": "\n".join(["x = 1"] * 12)}) == []
