"""docs/development.md draws the tree: each room is named there, and what it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from architecture.imports import PACKAGES, ROOT

INDENT = 2
DRAWN = re.compile(r"^( *)([\w.]+/?)( |$)")


def drawn(lines: Iterable[str]) -> Iterator[str]:
    """The paths of a drawn tree; those of folders end with a slash."""
    above: list[str] = []
    for line in lines:
        found = DRAWN.match(line)
        assert found is not None, f"this names nothing: {line}"
        depth = len(found[1]) // INDENT
        above[depth:] = [found[2]]
        yield "".join(above)


def rooms() -> set[str]:
    """The folders of our packages that hold modules, and the folders of the tests."""
    of_code = {path.parent for folder in PACKAGES.values() for path in folder.rglob("*.py")}
    of_tests = {path for path in (ROOT / "tests").iterdir() if any(path.glob("*"))}
    of_tests = {path for path in of_tests if not path.name.startswith((".", "_"))}
    return {f"{path.relative_to(ROOT).as_posix()}/" for path in of_code | of_tests}


def test_the_layout_is_that_of_the_tree() -> None:
    text = (ROOT / "docs" / "development.md").read_text()
    named = list(drawn(text.split("## Layout")[1].split("```")[1].strip("\n").splitlines()))
    assert rooms() - set(named) == set()
    assert [each for each in named if not (ROOT / each).exists()] == []
    assert len(named) == len(set(named))


def test_a_tree_is_read() -> None:
    lines = ["a/    one", "  b/  two", "    c.py", "  d/", "e/    x/"]
    assert list(drawn(lines)) == ["a/", "a/b/", "a/b/c.py", "a/d/", "e/"]


def test_a_room_that_is_not_drawn_is_missed() -> None:
    assert "cloud_keystore/custody/use/" in rooms()
    assert "tests/architecture/" in rooms()
    assert "card_os/__pycache__/" not in rooms()
