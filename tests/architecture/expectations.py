"""Which tests expect anything: read from their text, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

TESTS = Path(__file__).parents[1]
REFUSALS = {"raises", "fail", "warns"}  # of pytest
# What raises where something is not as it should be: signatures, certificates, inputs, clocks.
CHECKS = {"verify", "verify_directly_issued_by", "check", "check_clock"}

Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"


@dataclass(frozen=True, slots=True)
class Module:
    """The functions and methods of a file by name, and the files that it has names from."""

    path: Path
    functions: Mapping[str, tuple[Function, ...]]
    imported: Mapping[str, Path]

    def tests(self) -> Iterator[Function]:
        """Those that pytest runs."""
        for name, found in self.functions.items():
            if name.startswith("test_"):
                yield from found


@cache
def read(path: Path) -> Module:
    """A file of tests, or one of what they share."""
    functions: dict[str, tuple[Function, ...]] = {}
    imported: dict[str, Path] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions[node.name] = (*functions.get(node.name, ()), node)
            case ast.ImportFrom(module=str() as module, names=names):
                file = TESTS.joinpath(*module.split(".")).with_suffix(".py")
                if file.exists():
                    imported |= {each.asname or each.name: file for each in names}
    return Module(path, functions, imported)


def expects(function: Function, module: Module) -> bool:
    """Whether the test, or a function that it calls, compares something or waits for a refusal."""
    left, seen = [(function, module)], set[tuple[Path, str]]()
    while left:
        at, home = left.pop()
        if _expects_itself(at):
            return True
        for name in _called(at):
            file = home.imported.get(name, home.path)
            if (file, name) not in seen:
                seen.add((file, name))
                there = read(file)
                left += [(each, there) for each in there.functions.get(name, ())]
    return False


def _expects_itself(function: Function) -> bool:
    for node in ast.walk(function):
        match node:
            case ast.Assert(test=test) if not isinstance(test, ast.Constant):
                return True
            case ast.Call(func=ast.Attribute(value=ast.Name(id="pytest"), attr=attr)):
                if attr in REFUSALS:
                    return True
            case ast.Call(func=ast.Attribute(attr=attr) | ast.Name(id=attr)):
                if attr in CHECKS:
                    return True
    return False


def _called(function: Function) -> set[str]:
    return {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
