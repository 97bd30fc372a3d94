"""The scripts for Windows are PowerShell, as far as a grammar tells; nothing here can run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

FOLDER = Path(__file__).parents[2] / "drivers" / "windows"
SCRIPTS = sorted(FOLDER.glob("*.ps1"))
# The grammar takes no digits in the name of a command's parameter, as PowerShell does.
DIGITS = re.compile(rb"(?<= -)[A-Za-z]+\d+")


def mistakes(text: bytes) -> list[str]:
    """What is no PowerShell, each with its line."""
    letters = DIGITS.sub(
        lambda name: name[0].translate(bytes.maketrans(b"0123456789", b"x" * 10)), text
    )
    tree = Parser(Language(tree_sitter_powershell.language())).parse(letters)
    return [f"line {each.start_point.row + 1}: {each.text!r}" for each in wrong(tree.root_node)]


def wrong(node: Node) -> Iterator[Node]:
    if node.is_error or node.is_missing:
        yield node
    for each in node.children:
        yield from wrong(each)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_has_no_mistake_of_syntax(script: Path) -> None:
    assert mistakes(script.read_bytes()) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_brace_too_few_would_be_found(script: Path) -> None:
    text = script.read_bytes()
    last = text.rindex(b"}")
    assert mistakes(text[:last] + text[last + 1 :]) != []
