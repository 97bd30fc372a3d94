"""What a person names for a command to write is never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudcard_tools import ending
from cloudcard_tools.__main__ import cloudcard

TRACE = str(next((Path(__file__).parents[1] / "traces/opensc").glob("*.trace")))


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "export", "there"),
        ("audit", "pack", "there"),
        ("audit", "verify", TRACE, "--keep", "there"),
        ("backup", "there"),
        ("trace", "import", TRACE, "-o", "there"),
        ("trace", "export", TRACE, "--to", "hex", "-o", "there"),
        ("trace", "minimise", TRACE, "-o", "there"),
    ],
    ids=lambda each: "-".join(each[:2]),
)
def test_a_file_that_exists_is_kept(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("kept")
    assert ending.run(cloudcard, arguments) == 1
    assert "Error: there exists: name another file, or remove it first" in capsys.readouterr().err
    assert Path("there").read_text() == "kept"
