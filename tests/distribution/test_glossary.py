"""The glossary and the code have the same words."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from architecture.imports import ROOT, modules
from distribution.glossary import GLOSSARY, Word, read

WORDS = list(read(GLOSSARY.read_text()))
DECLARED = re.compile(r"^\s*(?:message|service|rpc|enum) (\w+)", re.MULTILINE)


def names(source: str) -> Iterator[str]:
    """What a module defines: classes, functions, values, parameters, attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.AsyncFunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name


def of_the_code() -> set[str]:
    """Names of packages, modules, what they define, and what the schema declares.

    `module.Name` is among them where one word has several places.
    """
    found: set[str] = set()
    for module, path in modules():
        *_, last = parts = module.split(".")
        defined = set(names(path.read_text()))
        found.update(parts, defined, (f"{last}.{name}" for name in defined))
    for path in (ROOT / "proto" / "cloudcard").rglob("*.proto"):
        found.update(DECLARED.findall(path.read_text()))
    return found


CODE = of_the_code()


def test_each_name_is_in_the_code() -> None:
    wanted = {name for word in WORDS for name in word.names}
    assert wanted - CODE == set()


def test_no_name_to_avoid_is_in_the_code() -> None:
    avoided = {name for word in WORDS for name in word.avoided}
    assert avoided & CODE == set()


MEANT = ("certificate signing request", "garbage collection during")  # PKCS#10's, and Python's


def said(text: str, phrases: Iterable[str]) -> list[str]:
    """Which phrases a text has, in one line or over the end of one."""
    plain = " ".join(re.sub(r"^\s*(#|//)", "", text, flags=re.MULTILINE).split()).lower()
    for each in MEANT:
        plain = plain.replace(each, "")
    return [each for each in phrases if re.search(rf"\b{each.lower()}s?\b", plain)]


def test_no_text_says_what_is_to_be_avoided() -> None:
    words = {each for word in WORDS for each in word.words}
    phrases = {each for word in WORDS for each in word.phrases} - words
    assert len(phrases) > 15
    texts = [path for _, path in modules()]
    texts += (ROOT / "proto" / "cloudcard").rglob("*.proto")
    texts += {*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")} - {GLOSSARY}
    found = {path.name: said(path.read_text(), sorted(phrases)) for path in texts}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# A signing\n# request waits.", ["signing request"]),
        ("// Signing requests.", ["signing request"]),
        ("A certificate signing request, DER.", []),
        ("A signed request.", []),
    ],
)
def test_what_a_text_says_is_found(text: str, found: list[str]) -> None:
    assert said(text, ["signing request"]) == found


def test_each_word_has_one_meaning() -> None:
    found = Counter(each for word in WORDS for each in word.words)
    assert [each for each, count in found.items() if count > 1] == []
    assert [word for word in WORDS if not (word.meaning and word.names)] == []


@pytest.mark.parametrize("document", ["README.md", "docs/development.md", "CONTRIBUTING.md"])
def test_it_is_found_from(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    assert GLOSSARY in {Path(path.parent / link).resolve() for link in links}


def test_a_table_is_read() -> None:
    head = "# Words\n\n| word | meaning | in code | avoid |\n|---|---|---|---|\n"
    assert list(read(f"{head}| a, b | c | `d` | `e`, f |\n")) == [
        Word(("a", "b"), "c", ("d",), "`e`, f", ("e",))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "| word | meaning |\n|---|---|\n",
        "| word | meaning | in code | avoid |\n| a | b | c | d |\n",
        "| word | meaning | in code | avoid |\n|---|---|---|---|\n| a | b | c |\n",
    ],
)
def test_another_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"column|begins"):
        list(read(text))


def test_names_are_found() -> None:
    source = "class A:\n    b: int = 1\n\ndef f(c):\n    d = c\n    return lambda e: e\n"
    assert set(names(source)) == {"A", "b", "f", "c", "d", "e"}
