"""Finds what the standard's home has and another module types once more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module

HOME = (
    "card_os.apdu",
    "card_os.commands",
    "card_os.status",
    "card_os.uses",
    *(f"card_os.piv.{name}" for name in ("algorithms", "names", "oids", "rules", "sizes")),
)
OID = re.compile(r"[0-2](\.\d+){3,}")
HEX = re.compile(r"([0-9A-F]{2}){4,}")
DIGITS = re.compile(r"0[xX][0-9a-fA-F_]+")
OF_BITS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)
LARGE = 1000  # from here on a decimal number tells what it is, too


@dataclass(frozen=True, slots=True)
class Home:
    """What stands there, each with its full name."""

    names: Mapping[str, str]  # of constants
    numbers: Mapping[int, str]  # that tell what they are
    octets: Mapping[str, str]  # in hexadecimal digits
    enums: Mapping[frozenset[tuple[str, int]], str]  # by their members


def read(modules: Sequence[str] = HOME) -> Home:
    """Import the home's modules and see what they have."""
    names: dict[str, str] = {}
    numbers: dict[int, str] = {}
    octets: dict[str, str] = {}
    enums: dict[frozenset[tuple[str, int]], str] = {}
    for module in modules:
        for name, value in vars(import_module(module)).items():
            if name.startswith("_"):
                continue
            full = f"{module}.{name}"
            match value:
                case type() if issubclass(value, IntEnum) and value.__module__ == module:
                    enums[frozenset((each.name, int(each)) for each in value)] = full
                    for each in value:
                        numbers.setdefault(int(each), f"{full}.{each.name}")
                case int() if name.isupper():
                    numbers.setdefault(value, full)
                case range() if name.isupper() and value.start >= LARGE:
                    numbers.update({number: full for number in value if number not in numbers})
                case bytes() if len(value) >= 4:
                    octets.setdefault(value.hex().upper(), full)
            if name.isupper() and module != "card_os.commands":
                names.setdefault(name, full)
    return Home(names, {n: name for n, name in numbers.items() if _tells(n)}, octets, enums)


def _tells(number: int) -> bool:
    """Whether a number is neither a small count nor a mask: one bit of a byte, or all but one."""
    return number > 0x20 and number.bit_count() > 1 and (number ^ 0xFF).bit_count() > 1


def typed_again(source: str, home: Home) -> list[str]:
    """What a module types that the home has, in words."""
    tree = ast.parse(source)
    lines = source.splitlines()
    return [
        f"line {node.lineno}: {found}"
        for finder in (_constants, _enums, _numbers, _texts)
        for node, found in finder(tree, lines, home)
    ]


Findings = Iterator[tuple[ast.stmt | ast.expr, str]]


def _constants(tree: ast.Module, _lines: Sequence[str], home: Home) -> Findings:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if isinstance(node, ast.AnnAssign):
            targets = (node.target,)
        for name in (each for target in targets for each in ast.walk(target)):
            if isinstance(name, ast.Name) and name.id in home.names:
                yield node, f"a constant of the name of {home.names[name.id]}"


def _enums(tree: ast.Module, _lines: Sequence[str], home: Home) -> Findings:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            members = frozenset(
                (each.targets[0].id, each.value.value)
                for each in node.body
                if isinstance(each, ast.Assign)
                and isinstance(each.targets[0], ast.Name)
                and isinstance(each.value, ast.Constant)
            )
            if members in home.enums:
                yield node, f"the members of {home.enums[members]}"


def _numbers(tree: ast.Module, lines: Sequence[str], home: Home) -> Findings:
    """Hexadecimal numbers, and large ones, but for masks of bits."""
    masks = {
        id(operand)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, OF_BITS)
        for operand in (node.left, node.right)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or type(node.value) is not int or id(node) in masks:
            continue
        written = DIGITS.match(lines[node.lineno - 1].encode()[node.col_offset :].decode())
        if (written or node.value >= LARGE) and (name := home.numbers.get(node.value)):
            yield node, f"{node.value:#x} is {name}"


def _texts(tree: ast.Module, _lines: Sequence[str], home: Home) -> Findings:
    """Object identifiers, and octets in hexadecimal digits."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if OID.fullmatch(node.value):
            yield node, f"the object identifier {node.value}"
        text = node.value.replace(" ", "").upper()
        if HEX.fullmatch(text):
            for octets, name in home.octets.items():
                if octets in text:
                    yield node, f"{octets} is {name}"
