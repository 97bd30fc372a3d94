"""The guide for holders leaves out no command of theirs."""

from __future__ import annotations

import click
import pytest

from architecture.imports import ROOT
from cloudcard_tools.authenticator.command import authenticator

GUIDE = (ROOT / "docs" / "holder.md").read_text()


def leaves(group: click.Group, *path: str) -> list[str]:
    """The commands of a group, as they are typed behind it."""
    return [
        leaf
        for name, each in group.commands.items()
        for leaf in (
            leaves(each, *path, name)
            if isinstance(each, click.Group)
            else [" ".join((*path, name))]
        )
    ]


@pytest.mark.parametrize("command", leaves(authenticator))
def test_the_guide_has_an_example(command: str) -> None:
    assert f"cloudcard authenticator {command}" in GUIDE
