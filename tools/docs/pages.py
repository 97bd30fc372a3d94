"""Pages of the site that are not in docs/: other documents of the repository, and card_os's API."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
GUIDES = "docs"
DOCUMENTS = {  # path in the repository: path on the site
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "THIRD-PARTY.md": "third-party.md",
    "tests/traces/README.md": "recorded-sessions.md",
}
PROGRAMS = ("examples/hello_card.py", "examples/sign_many.py")  # which guides link to, as they are
API = "card_os"
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?=[)#])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the API to the navigation."""
    config.nav = [*(config.nav or []), {f"API of {API}": [{name: _page(name)} for name in _api()]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that docs/ does not hold."""
    for source, page in {**DOCUMENTS, **dict(zip(PROGRAMS, PROGRAMS, strict=True))}.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for name, modules in _api().items():
        text = "\n\n".join([f"# {name}", *(f"::: {module}" for module in modules)])
        files.append(File.generated(config, _page(name), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    del config, files
    own = page.file.src_uri
    sources = {at: source for source, at in DOCUMENTS.items()}
    folder = posixpath.dirname(sources.get(own, f"{GUIDES}/{own}"))
    return LINK.sub(lambda link: _linked(folder, link["path"]), markdown)


def _linked(folder: str, path: str) -> str:
    """The page of a file that is linked from a document in `folder`; `path` if it has none."""
    target = posixpath.normpath(posixpath.join(folder, path))
    return DOCUMENTS.get(target, target.removeprefix(f"{GUIDES}/"))


def _api() -> dict[str, list[str]]:
    """Each package of the API with the modules that its page describes, the package itself
    first.
    """
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / API).rglob("*.py")):
        package = ".".join(path.parent.relative_to(ROOT).parts)
        module = package if path.stem == "__init__" else f"{package}.{path.stem}"
        found.setdefault(package, []).append(module)
    return dict(sorted(found.items()))


def _page(name: str) -> str:
    return f"api/{name}.md"
