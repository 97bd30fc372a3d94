"""Files and folders can be named in any way, and an empty name is never one of them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from cloudcard_tools.__main__ import cloudcard
from cloudcard_tools.paths import FOLDER
from support.commands import walk

PATHS = [
    pytest.param(each.type, id=f"{path} {max(each.opts, key=len)}")
    for path, command in walk(cloudcard)
    for each in command.params
    if isinstance(each.type, click.Path)
]


@pytest.mark.parametrize("kind", PATHS)
def test_an_empty_name_is_refused(
    kind: click.Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from a variable that is not set, and meant the folder that the command is run in."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.BadParameter):
        kind.convert("", None, None)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        (".", "here/in"),
        ("./", "here/in"),
        ("..", "here"),
        ("../", "here"),
        ("../..", ""),
        ("new", "here/in/new"),
        ("new/", "here/in/new"),
        ("../new/", "here/new"),
        ("../../link", "link"),
    ],
)
def test_a_folder_has_a_path_with_a_name(
    named: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link is not followed: what is written would refuse it."""
    (tmp_path / "here" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here" / "in")
    found = FOLDER.convert(named, None, None)
    assert found == tmp_path / meant
    assert found.name not in ("", ".", "..")
