"""Finding things by what people call them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud_keystore.model.finding import Findable, as_written, find

ADA = Findable("01a2-ada", ("01a2-ada", "1500000000000017"), ("Ada Byron", "ada@x.org"), "Ada")
ADAM = Findable("01a2-adam", ("01a2-adam",), ("Adam", ""), "Adam")
ZOE = Findable("01b3-zoe", ("01b3-zoe",), ("Zoe\u0308 王小明", "01a2-ada"), "Zoë")
SMITH = Findable("01c4-smith", ("01c4-smith",), ("Adam Smith",), "Adam Smith")
ALL = (ZOE, ADA, ADAM, SMITH)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("01a2-ada", [ADA]),  # an identifier, although it is another one's name, and a beginning
        ("1500000000000017", [ADA]),
        ("ada byron", [ADA]),
        ("ADA  BYRON ", [ADA]),
        ("adam", [ADAM]),  # the whole name, although another one begins so
        ("adam ", [ADAM]),
        ("ada", [ADA, ADAM, SMITH]),
        ("150", [ADA]),
        ("zoë 王小明", [ZOE]),
        ("zoë 王", [ZOE]),
        ("01a2-", [ZOE, ADA, ADAM]),
        ("ad", []),
        ("byron", [ADA]),  # a word of a name
        ("smi", [SMITH]),
        ("yron", []),  # within a word
        ("zoe 王", [ZOE]),  # without the accent
        ("Zoe\u0308 王小明", [ZOE]),
        ("", []),
        ("\u0301", []),  # an accent alone, without which every text begins with nothing
    ],
)
def test_finding(text: str, found: list[Findable]) -> None:
    assert find(text, ALL) == found


def test_what_has_ended_comes_last() -> None:
    ended = replace(ADA, ended=True)
    assert find("ada", [ended, ADAM, SMITH]) == [ADAM, SMITH, ended]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("1500 0000 0000 0017", "1500000000000017"),
        (" 1234\u00a05678 9012", "123456789012"),
        ("12 Ada", "12 Ada"),
        ("", ""),
    ],
)
def test_digits_in_groups(said: str, written: str) -> None:
    assert as_written(said) == written
