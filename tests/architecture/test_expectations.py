"""A test can fail: each expects something, and none reaches into what is private."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from architecture.expectations import TESTS, expects, read

FILES = sorted(TESTS.rglob("*.py"))
PRIVATE = re.compile(r"_[a-z]\w*")
names = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file.name.startswith("test_")],
    ids=lambda file: str(file.relative_to(TESTS)),
)
def test_every_test_expects_something(file: Path) -> None:
    module = read(file)
    assert [test.name for test in module.tests() if not expects(test, module)] == []


@names
def test_no_test_reaches_into_what_is_private(file: Path) -> None:
    """Neither an attribute of anything but itself nor a name of a module of the program."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=attr) if PRIVATE.fullmatch(attr) and attr not in ALLOWED:
                found.append(f"{node.lineno}: .{attr}")
            case ast.ImportFrom(names=imported):
                private = [each.name for each in imported if PRIVATE.fullmatch(each.name)]
                found += [f"{node.lineno}: {name}" for name in private]
    assert found == []


ALLOWED = {"_exit"}  # os._exit: the one way to end a process as kill -9 does


def test_a_test_that_expects_nothing_is_found(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        "import pytest\n"
        "def test_nothing():\n    act()\n"
        "def test_no_more():\n    assert True\n"
        "def test_compared():\n    assert act() == 1\n"
        "def test_refused():\n    refused()\n"
        "def refused():\n    with pytest.raises(ValueError):\n        act()\n"
    )
    module = read(file)
    hollow = [test.name for test in module.tests() if not expects(test, module)]
    assert hollow == ["test_nothing", "test_no_more"]
