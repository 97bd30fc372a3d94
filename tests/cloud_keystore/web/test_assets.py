"""The files that pages need; those of others are as `make vendor` wrote them."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from cloud_keystore.web.assets import FOLDER, TYPES, Assets

VENDOR = FOLDER / "vendor"


def test_what_others_made_is_unchanged() -> None:
    said = dict(line.split("  ")[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    assert {name: found.get(name) for name in said} == said
    assert found.keys() - said.keys() == {"SHA256SUMS", "LICENCE.txt"}


def test_nothing_is_the_nhss_own_and_nothing_comes_from_elsewhere() -> None:
    css = (VENDOR / "nhsuk-frontend.css").read_text()
    assert "frutiger" not in css.lower()
    assert "#005eb8" not in css
    assert "@font-face" not in css
    assert "@import" not in css
    named = {each.strip("\"'") for each in re.findall(r"url\(([^)]*)\)", css)}
    assert all((VENDOR / each).is_file() for each in named)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.js")), ids=lambda path: str(path.name))
def test_scripts_write_no_html_and_run_no_text(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in text


def test_the_worker_keeps_each_script_of_the_page() -> None:
    worker = Assets.read().files["authenticator/worker.js"].body.decode()
    names = {f"authenticator/{path.name}" for path in (FOLDER / "authenticator").glob("*.js")}
    found = re.search(r'"(authenticator/[^"]*\.js)"\.split', worker)
    assert found is not None
    assert {*found[1].split(" ")} == names - {"authenticator/worker.js"}


def test_the_authenticator_is_soon_there() -> None:
    """What a phone loads first has at most 150 kB on its way; what reads QR codes comes later."""
    files = Assets.read().files
    first = [
        each.packed or each.body
        for path, each in files.items()
        if path != "vendor/jsQR.js" and path.endswith((".js", ".css"))
    ]
    assert sum(map(len, first)) < 100_000


def test_each_file_has_a_type() -> None:
    served = Assets.read().files
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert there - served.keys() == {
        f"vendor/{name}" for name in ("SHA256SUMS", "LICENCE.txt", "LICENCE-jsQR.txt")
    }
    assert set(TYPES.values()) == {each.media_type for each in served.values()}
