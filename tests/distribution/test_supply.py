"""Where the product's parts come from: what is installed is known by its hash, and is listed."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from architecture.imports import ROOT
from distribution.requirements import NAME, PROJECT

BILL = runpy.run_path(str(ROOT / "tools" / "setup" / "bill.py"))
LOCKS = sorted(ROOT.glob("requirements*.lock"))
LOCKED = re.compile(r"^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)
INSTALLS = re.compile(r"\bpip\"? install\b|\bpip\b[^\n]* install\b")
# Anything else is looked at by a person before it comes here.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "HPND", "ISC", "MIT",
    "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense",
    # Used as separate libraries, which anybody can replace.
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
}  # fmt: skip


def locked(name: str) -> dict[str, str]:
    """The versions of a lock file, by package."""
    return dict(LOCKED.findall((ROOT / name).read_text()))


@pytest.mark.parametrize("name", ["BILL", "LICENCES"])
def test_the_lists_are_those_of_the_lock(name: str) -> None:
    path = BILL[name]
    assert BILL["written"]()[path] == path.read_text(), "run make sbom"


def test_the_bill_names_each_locked_package_with_its_hashes() -> None:
    """OPS-06: the bill of materials that is shipped is that of what is installed."""
    bill = json.loads((ROOT / "cloudcard.cdx.json").read_text())
    components = bill["components"]
    assert {each["name"]: each["version"] for each in components} == locked("requirements.lock")
    text = (ROOT / "requirements.lock").read_text()
    for each in components:
        hashes = [one["content"] for one in each["externalReferences"][0]["hashes"]]
        assert hashes
        assert all(f"--hash=sha256:{one}" in text for one in hashes)
    names = {each["bom-ref"] for each in (*components, bill["metadata"]["component"])}
    assert {each["ref"] for each in bill["dependencies"]} == names
    required = {ref for each in bill["dependencies"] for ref in each["dependsOn"]}
    assert required == names - {f"pkg:pypi/{NAME}@{PROJECT['version']}"}


def test_licences_are_those_that_were_looked_at() -> None:
    bill = json.loads((ROOT / "cloudcard.cdx.json").read_text())
    said = {each["name"]: each["licenses"][0]["expression"] for each in bill["components"]}
    words = {
        name: set(re.findall(r"[\w.-]+", text)) - {"AND", "OR", "WITH"}
        for name, text in said.items()
    }
    assert {name: found for name, found in words.items() if found - ALLOWED} == {}


def test_a_package_that_hides_its_licence_is_named() -> None:
    with pytest.raises(LookupError, match="no-such-package does not state its licence"):
        BILL["licence"]("no-such-package", {})


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_of_a_lock_has_its_hashes(lock: Path) -> None:
    for block in re.split(r"\n(?=[a-z0-9])", lock.read_text())[1:]:
        assert "--hash=sha256:" in block, block.partition("\n")[0]


def test_what_builds_is_locked() -> None:
    """pip made an environment of its own for each build, and fetched the newest hatchling,
    setuptools and swig into it, whatever their hashes.
    """
    versions = locked("requirements-build.lock")
    pyproject = (ROOT / "pyproject.toml").read_text()
    [line] = re.findall(r"^requires = \[(.*)\]$", pyproject, re.MULTILINE)
    for text in re.findall(r'"([^"]+)"', line):
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[requirement.name])
    # The only package without wheels for Linux, and what its pyproject.toml requires.
    assert {"setuptools", "swig"} <= set(versions)


def installs() -> list[tuple[str, str]]:
    """Each command in the repository that has pip install something, with the lines it goes on."""
    files = [
        ROOT / "Makefile",
        *sorted((ROOT / ".github").rglob("*.yml")),
        *sorted((ROOT / "tools" / "setup").glob("*.sh")),
        *sorted(path for path in (ROOT / ".ci").iterdir() if path.is_file()),
    ]
    found = []
    for path in files:
        lines = path.read_text().replace("\\\n", " ").splitlines()
        found += [(path.name, line) for line in lines if INSTALLS.search(line)]
    return found


def test_nothing_is_installed_whose_hash_is_not_known() -> None:
    """Continuous integration installed the newest pip-audit and build, with all that they need."""
    assert len(installs()) >= 2
    for file, line in installs():
        if "install --quiet uv" in line:
            continue  # make lock, which a developer runs to choose versions and their hashes
        assert "--no-build-isolation" in line or "--only-binary :all:" in line, (file, line)
    script = (ROOT / "tools" / "setup" / "python.sh").read_text()
    calls = re.findall(r"^install (.*)$", script, re.MULTILINE)
    assert calls
    assert all("--require-hashes" in call or call == "--editable ." for call in calls)
