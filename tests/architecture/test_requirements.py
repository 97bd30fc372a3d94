"""Each requirement is named by the test that proves it, in its docstring; those that no test proves
yet are in a table, which only gets shorter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from architecture.imports import ROOT

AREAS: Mapping[str, range] = {
    "CARD": range(1, 15),
    "USER": range(1, 27),
    "AUTH": range(8, 16),
    "DEV": range(1, 5),
    "COM": range(1, 8),
    "CIS": range(1, 2),
    "SPINE": range(1, 3),
    "API": range(1, 2),
    "OPS": range(3, 7),
}
REQUIRED = {f"{area}-{number:02}" for area, numbers in AREAS.items() for number in numbers}
NAMED = re.compile(r"\b[A-Z]+-\d\d\b")
# What no test proves, and why. Whoever proves one takes its row out.
MISSING: Mapping[str, str] = {}


def docstrings(path: Path) -> Iterator[str]:
    """What a module of tests, its classes and its functions say of themselves."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def named() -> set[str]:
    """The requirements that tests name."""
    own = Path(__file__).resolve()
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if path.resolve() != own]
    return {
        each for path in files for text in docstrings(path) for each in NAMED.findall(text)
    } & REQUIRED


def test_each_requirement_has_a_test_or_a_reason() -> None:
    assert sorted(REQUIRED - named()) == sorted(MISSING), "name it in a docstring, or say why not"


def test_reasons_are_said() -> None:
    assert all(MISSING.values())
