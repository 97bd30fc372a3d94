"""Manual pages, made from the help."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudcard_tools.__main__ import COMMANDS, cloudcard
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shell.lazy import LazyGroup


def written(folder: Path) -> dict[str, list[str]]:
    """What the command says that it has written."""
    arguments = ["manual", str(folder), "--json"]
    done = CliRunner().invoke(cloudcard, arguments, prog_name="cloudcard")
    assert done.exit_code == 0, done.output
    said: dict[str, list[str]] = json.loads(done.output)
    return said


def test_a_page_for_each_command(tmp_path: Path) -> None:
    said = written(tmp_path)
    names = {"cloudcard.1", *(f"cloudcard-{name}.1" for name in COMMANDS)}
    assert {Path(path).name for path in said["written"]} == names
    assert {path.name for path in tmp_path.iterdir()} == names
    page = (tmp_path / "cloudcard-ra.1").read_text()
    assert page.startswith('.TH "CLOUDCARD-RA" "1" "" "cloudcard ')
    assert '.SH "cloudcard ra card issue"' in page
    assert "\\fB\\-\\-organisation TEXT\\fR" in page
    assert "cloudcard ra card issue ada@example.org \\-\\-profile v2" in page
    assert "Run the keystore." in (tmp_path / "cloudcard.1").read_text()


def test_groff_has_nothing_to_say_about_the_pages(tmp_path: Path) -> None:
    groff = shutil.which("groff")
    for path in map(Path, written(tmp_path)["written"]):
        lines = path.read_text().splitlines()
        # A line that begins with a point or an apostrophe is a request.
        requests = {line.split()[0] for line in lines if line[:1] in (".", "'")}
        assert requests <= {".TH", ".ad", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi", ".BR"}
        if groff:
            command = [groff, "-man", "-Tutf8", "-ww", "-z", "-Kutf8", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")


def test_a_command_that_is_not_installed_has_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = LazyGroup.get_command

    def missing(self: LazyGroup, ctx: object, name: str) -> object:
        if name == "ra":
            raise Failure("install it")
        return found(self, ctx, name)  # type: ignore[arg-type]

    monkeypatch.setattr(LazyGroup, "get_command", missing)
    assert written(tmp_path)["left_out"] == ["ra"]
    assert not (tmp_path / "cloudcard-ra.1").exists()
