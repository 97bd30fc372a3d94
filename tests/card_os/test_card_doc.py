"""docs/card.md names what the card answers, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from card_os import commands
from card_os.piv import application
from card_os.piv.names import CONTAINER_ID, EXTENSION_OBJECTS, RETIRED_CERTIFICATES

TEXT = (Path(__file__).parents[2] / "docs" / "card.md").read_text()


def section(title: str) -> str:
    """What stands under a heading."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(title: str) -> list[str]:
    """The first cells of a section's tables."""
    return re.findall(r"^\| ([^|]+?) \|", section(title), re.M)


def numbers(cells: list[str]) -> set[int]:
    """Hexadecimal numbers in them."""
    return {int(each, 16) for cell in cells for each in re.findall(r"\b[0-9A-F]{2,6}\b", cell)}


def test_all_commands() -> None:
    instructions = [cell for cell in first_cells("Commands") if len(cell) == 2]
    assert numbers(instructions) == {*application.HANDLERS, *commands.PARSERS}


def test_all_extensions() -> None:
    assert numbers(first_cells("Extensions")) == set(application.EXTENSIONS)


def test_all_data_objects() -> None:
    named = numbers(first_cells("Data objects")) - {EXTENSION_OBJECTS[0], EXTENSION_OBJECTS[-1]}
    assert named | set(RETIRED_CERTIFICATES) == set(CONTAINER_ID)
