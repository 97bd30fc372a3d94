"""The listed survivors are still mutants of the program."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from mutation.operators import mutants
from mutation.reaching import ROOT

LISTED = tomllib.loads(Path(__file__).with_name("known.toml").read_text())["survivor"]


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: f"{entry['file']} {entry['before']}")
def test_a_listed_survivor_is_there(entry: dict[str, str]) -> None:
    found = mutants(ast.parse((ROOT / entry["file"]).read_text()))
    said = {(each.function, each.before, each.after) for each in found}
    assert (entry.get("function", ""), entry["before"], entry["after"]) in said
    assert entry["reason"]
