"""The site of the guides: it is built without a warning, and its pages ask no other host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from architecture.imports import ROOT, modules

CONFIG = ROOT / "mkdocs.yml"
ELSEWHERE = re.compile(r"(https?:)?//", re.IGNORECASE)
FETCHED = {"src", "srcset", "data", "poster"}  # attributes whose address a browser asks at once


class Fetches(HTMLParser):
    """Collects what a page makes a browser fetch. Links that a person follows are none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = FETCHED | ({"href"} if tag == "link" else set())
        self.found += [value for name, value in attrs if name in wanted and value]


def fetches(page: str) -> Iterator[str]:
    """What this page fetches from another host."""
    parser = Fetches()
    parser.feed(page)
    yield from (each for each in parser.found if ELSEWHERE.match(each))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    ran = subprocess.run(
        [*command, "--config-file", CONFIG, "--site-dir", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
    return folder


def test_no_page_asks_another_host(site: Path) -> None:
    pages = {path.name: list(fetches(path.read_text())) for path in site.rglob("*.html")}
    assert {name: found for name, found in pages.items() if found} == {}
    styles = {path.name: path.read_text() for path in site.rglob("*.css")}
    imported = re.compile(r"(?:url\(|@import)[\"'\s]*(?:https?:)?//", re.IGNORECASE)
    assert [name for name, style in styles.items() if imported.search(style)] == []
    assert {"index.html", "glossary.html", "security.html"} <= set(pages)


def test_the_api_has_every_module_of_the_card(site: Path) -> None:
    text = "".join(path.read_text() for path in (site / "api").iterdir())
    names = [name for name, _ in modules() if name.partition(".")[0] == "card_os"]
    assert [name for name in names if f'id="{name}"' not in text] == []


def test_a_link_that_leads_nowhere_fails(tmp_path: Path) -> None:
    guides = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    guide = guides / "start.md"

    def built() -> None:
        build(
            load_config(
                str(CONFIG),
                docs_dir=str(guides),
                site_dir=str(tmp_path / "site"),
                plugins=[],
                strict=True,
            )
        )

    built()
    guide.write_text(f"{guide.read_text()}\n[away](nowhere.md)\n")
    with pytest.raises(Abort):
        built()


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ('<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', ["//cdn.example/x.css"]),
        ('<img src="img/x.png"><a href="https://example.org">there</a>', []),
    ],
)
def test_what_a_page_fetches_is_seen(page: str, found: list[str]) -> None:
    assert list(fetches(page)) == found
