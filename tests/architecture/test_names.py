"""Classes of use cases are called as their modules (docs/development.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from architecture.imports import modules, under

USE_CASES = ("audit", "cards", "custody", "operations", "people")
OWN_MODULE = {f"cloud_keystore.{room}" for room in USE_CASES}


def of_use_cases(source: str) -> Iterator[str]:
    """Public classes that are given a database to work on."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and _works_on(node):
            yield node.name


def _works_on(node: ast.ClassDef) -> bool:
    fields = (each for each in node.body if isinstance(each, ast.AnnAssign))
    arguments = (
        argument
        for each in node.body
        if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        for argument in each.args.args
    )
    annotations = [each.annotation for each in (*fields, *arguments)]
    return any(isinstance(each, ast.Name) and each.id == "Database" for each in annotations)


FOUND = {
    name: classes
    for name, path in modules()
    if under(name, OWN_MODULE) and (classes := set(of_use_cases(path.read_text())))
}


@pytest.mark.parametrize("module", FOUND)
def test_a_class_of_use_cases_is_called_as_its_module(module: str) -> None:
    words = module.rpartition(".")[2].split("_")
    assert FOUND[module] == {"".join(word.capitalize() for word in words)}


def test_use_cases_are_found() -> None:
    assert len(FOUND) > 15


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class A:\n    database: Database", ["A"]),
        ("class A:\n    def __init__(self, database: Database) -> None: ...", ["A"]),
        ("class A:\n    number: int", []),
        ("class _A:\n    database: Database", []),
    ],
)
def test_what_a_class_of_use_cases_is(source: str, found: list[str]) -> None:
    assert list(of_use_cases(source)) == found
