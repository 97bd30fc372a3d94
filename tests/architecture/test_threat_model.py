"""docs/threat-model.md names tests: each is there and expects something, and in each section some
were seen to fail while what they attack was taken out.
"""

from __future__ import annotations

import re

import pytest

from architecture.expectations import TESTS, expects, read
from mutation.sabotage import Sabotage, sabotages

MODEL = (TESTS.parent / "docs/threat-model.md").read_text()
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
NAMED = sorted(set(TEST.findall(MODEL)))
SECTIONS = {
    section.partition("\n")[0]: {f"tests/{file}::{test}" for file, test in TEST.findall(section)}
    for section in MODEL.split("\n### ")[1:]
}
SABOTAGES = sabotages()


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_is_there_and_expects_something(file: str, test: str) -> None:
    module = read(TESTS / file)
    assert test in module.functions, f"no {test} in {file}"
    assert all(expects(each, module) for each in module.functions[test])


def test_the_threat_model_names_tests() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize("section", SECTIONS)
def test_tests_of_each_section_were_seen_to_fail(section: str) -> None:
    """`make mutants` takes each guard out and looks again."""
    assert SECTIONS[section] & {each.test for each in SABOTAGES}


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: each.test.rpartition("::")[2])
def test_a_guard_that_is_taken_out_is_there_and_has_its_test(sabotage: Sabotage) -> None:
    assert sabotage.code()
    file, _, test = sabotage.test.partition("::")
    assert test in read(TESTS.parent / file).functions
