"""Which packages of others a command needs: by what its modules import, and by pyproject.toml."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from architecture.imports import PACKAGES, ROOT, imported_by, modules

NAME = "cloudcard"
GENERATED = ROOT / "proto" / "gen"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
_OURS = {*PACKAGES, NAME}


class _AtImport(ast.NodeTransformer):
    """Leaves what runs when a module is imported."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [ast.Pass()]
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def at_import(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """The full names that are imported with a module, not those that its functions import."""
    tree = _AtImport().visit(ast.parse(source))
    return imported_by(ast.unparse(tree), module, is_package=is_package)


@cache
def files() -> dict[str, Path]:
    """Our modules by name, those of the schema included."""
    generated = {
        ".".join(path.relative_to(GENERATED).with_suffix("").parts): path
        for path in GENERATED.rglob("*.py")
    }
    return {**dict(modules()), **generated}


@cache
def needs(module: str) -> frozenset[str]:
    """The distributions of others that importing one of our modules needs."""
    seen: set[str] = set()
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for name in _with_parents(waiting.pop()):
            if name in seen or name not in files():
                continue
            seen.add(name)
            imported = _imports(name)
            waiting += [each for each in imported if _top(each) in _OURS]
            found.update(each for each in imported if _top(each) not in _OURS)
    return frozenset(_distributions(found))


@cache
def imported_anywhere() -> frozenset[str]:
    """The distributions of others that any of our modules imports, at once or later."""
    found: set[str] = set()
    for name, path in files().items():
        found |= imported_by(path.read_text(), name, is_package=path.name == "__init__.py")
    return frozenset(_distributions({each for each in found if _top(each) not in _OURS}))


@cache
def _imports(name: str) -> frozenset[str]:
    path = files()[name]
    return frozenset(at_import(path.read_text(), name, is_package=path.name == "__init__.py"))


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _top(name: str) -> str:
    return name.partition(".")[0]


def _distributions(imported: set[str]) -> Iterator[str]:
    """Those that have the modules; of a package that several share, the one with the module."""
    for name in imported:
        if _top(name) in sys.stdlib_module_names:
            continue
        owners = _owners().get(_top(name), [_top(name)])
        parts = name.split(".") if len(owners) > 1 else []
        for count in range(len(parts), 1, -1):
            place = "/".join(parts[:count])
            if found := [owner for owner in owners if _holds(owner, place)]:
                owners = found
                break
        yield canonicalize_name(min(owners))


def _holds(name: str, place: str) -> bool:
    return any(file.startswith((f"{place}/", f"{place}.py")) for file in _files_of(name))


@cache
def _owners() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def _files_of(name: str) -> tuple[str, ...]:
    return tuple(file.as_posix() for file in distribution(name).files or ())


def required(*extras: str) -> frozenset[str]:
    """The distributions that pyproject.toml names for these extras, and always."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    found: set[str] = set()
    for requirement in map(Requirement, lines):
        if requirement.name == NAME:
            found |= required(*requirement.extras)
        else:
            found.add(canonicalize_name(requirement.name))
    return frozenset(found)


def installed_with(names: frozenset[str]) -> frozenset[str]:
    """These distributions and all that they need in turn."""
    found: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for requirement in map(Requirement, distribution(name).requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    return frozenset(found)
