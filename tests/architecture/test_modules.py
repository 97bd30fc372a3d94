"""Each module on its own: its length, its docstring, its types."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from architecture.imports import modules

LONGEST, MEDIAN = 400, 180  # lines
MOST = 20  # modules in a folder
MODULES = dict(modules())


def faults(source: str) -> list[str]:
    """What a module lacks or has too much of."""
    found = []
    tree = ast.parse(source)
    if ast.get_docstring(tree) is None:
        found.append("no docstring")
    if len(source.splitlines()) > LONGEST:
        found.append(f"more than {LONGEST} lines: does it hold two ideas?")
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="Any") | ast.Attribute(attr="Any") | ast.alias(name="Any"):
                found.append(f"Any in line {node.lineno}")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_in_shape(name: str) -> None:
    assert faults(MODULES[name].read_text()) == []


def test_most_modules_are_short() -> None:
    assert median(len(path.read_text().splitlines()) for path in MODULES.values()) <= MEDIAN


def test_no_folder_has_too_many_modules() -> None:
    folders = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > MOST} == {}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1", "no docstring"),
        ('"""Long."""\n' + "x = 1\n" * LONGEST, "more than 400 lines: does it hold two ideas?"),
        ('"""T."""\nfrom typing import Any', "Any in line 2"),
        ('"""T."""\nimport typing\n\nx: typing.Any', "Any in line 4"),
        ('"""T."""\n\ndef f(x: list[Any]) -> None: ...', "Any in line 3"),
    ],
)
def test_a_fault_is_found(source: str, fault: str) -> None:
    assert faults(source) == [fault]


def test_the_packages_are_where_they_are_looked_for(tmp_path: Path) -> None:
    assert {name.partition(".")[0] for name in MODULES} == {
        "card_os",
        "private_files",
        "private_keys",
        "reader_bridge",
        "cloud_keystore",
        "cloudcard_client",
        "cloudcard_tools",
    }
    assert tmp_path not in MODULES.values()
