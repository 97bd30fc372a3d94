"""The pictures of the guide for holders: each is there, small, and made by the test it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/pictures"
NAMED = re.compile(r"!\[([^\]]+)\]\(pictures/([a-z-]+)\.png\) <!-- made by (\S+)::(\w+) -->")
GUIDE = (ROOT / "docs/holder.md").read_text()
PICTURES = {name: (text, file, test) for text, name, file, test in NAMED.findall(GUIDE)}
MOST, LARGEST = 8, 40_000  # bytes of one
WIDTH = 360


def test_they_are_few_and_all_are_named() -> None:
    assert 0 < len(PICTURES) <= MOST
    assert GUIDE.count("](pictures/") == len(PICTURES)
    assert {each.stem for each in FOLDER.iterdir()} == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_made_by_the_test_that_it_names(name: str) -> None:
    """And `make pictures` runs that test's file."""
    _, file, test = PICTURES[name]
    source = (ROOT / file).read_text()
    _, begun, rest = source.partition(f"def {test}(")
    assert begun
    body = re.split(r"\n(?:def |@)", rest)[0]
    assert f'pictures.take(page, "{name}")' in body
    makefile = (ROOT / "Makefile").read_text()
    (files,) = re.findall(r"^PICTURED = (.+)$", makefile, re.MULTILINE)
    assert file in files.split()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_told_in_words(name: str) -> None:
    """As wide as a phone, with few colours; whoever does not see it reads what is on it."""
    path = FOLDER / f"{name}.png"
    assert path.stat().st_size < LARGEST
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.width) == ("PNG", "P", WIDTH)
    assert len(PICTURES[name][0]) > 30
