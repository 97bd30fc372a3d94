"""Reads what modules import, without running them, and holds that against the dependency rules."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES: Mapping[str, Path] = {
    "card_os": ROOT / "card_os",
    "private_files": ROOT / "private_files",
    "private_keys": ROOT / "private_keys",
    "reader_bridge": ROOT / "reader_bridge",
    "cloud_keystore": ROOT / "cloud_keystore",
    "cloudcard_client": ROOT / "cloudcard_client",
    "cloudcard_tools": ROOT / "tools" / "cloudcard_tools",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Modules under `within` import nothing under `forbidden`, save the modules under `except_by`.

    A dotted name stands for itself and everything beneath it.
    """

    within: str
    forbidden: frozenset[str]
    except_by: frozenset[str] = frozenset()
    except_for: frozenset[str] = frozenset()  # names under `forbidden` that are allowed

    def breaches(self, module: str, imported: Iterable[str]) -> Iterator[str]:
        """What this module imports against the rule."""
        if not under(module, {self.within}) or under(module, self.except_by):
            return
        for name in imported:
            if under(name, self.forbidden) and not under(name, self.except_for):
                yield f"{module} imports {name}"


def under(name: str, places: Iterable[str]) -> bool:
    """Whether a dotted name is one of `places` or beneath one."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def imported_by(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """The full names that a module imports, anywhere in it.

    `from a import b` counts as `a.b`, as b may be a module. What only type checkers see counts too.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found.update(alias.name for alias in names)
            case ast.ImportFrom(module=base, names=names, level=level):
                parts = module.split(".")
                above = parts[: len(parts) - level + is_package] if level else []
                prefix = ".".join([*above, *([base] if base else [])])
                found.update(f"{prefix}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name("__import__") | ast.Attribute(attr="import_module")):
                if node.args and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
    return found


def modules() -> Iterator[tuple[str, Path]]:
    """Name and file of each of our modules."""
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *parts]).removesuffix(".__init__"), path
